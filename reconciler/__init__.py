"""The loop: desired and observed are paired, diffed, planned and applied; schedule and command line.

`desire`, `diff` and `plan` are pure. `apply`, `turn`, `loop` and the command line are the rim.
"""
