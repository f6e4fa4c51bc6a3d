"""Why the wish changes and where it lands: placement, and alerts in and SpecPatch out.

Pure functions over values of `specs.model`; no I/O, no library.
"""
