"""The version of this program; a test compares it with `pyproject.toml`.

A constant, because to ask the installed metadata costs more than everything else `--version` does.
"""

VERSION = "0.1.0"
