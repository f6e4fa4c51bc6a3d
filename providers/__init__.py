"""The only hands: everything that looks at or changes a real system.

`base` is the protocol and its values, `registry` finds plugins; each provider has a folder of its own.
A provider sees resources and observations, never a plan, a policy or git.
"""
