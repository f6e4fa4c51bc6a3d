"""Why the wish changes and where it lands: placement now, alerts in and SpecPatch out later.

Pure functions over values of `specs.model`; no I/O, no library.
"""
