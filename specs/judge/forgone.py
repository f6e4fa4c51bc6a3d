"""Keeps out what tosca-parser imports and its judge never uses: its process starts in two thirds of the time.

`requests` is for archives from the network, which a judge must not reach anyway; `pbr.version` asks the installed
distributions for a version nobody reads. Importing this puts empty modules in their place, so it belongs before the
first import of tosca-parser, and only into a process of its own.
"""

from __future__ import annotations

import sys
from types import ModuleType

FORGONE = ("pbr", "pbr.version", "requests")


class VersionInfo:
    """Stands in for that of `pbr.version`."""

    def __init__(self, distribution: str) -> None:
        self._distribution = distribution

    def version_string(self) -> str:
        """Give no version."""
        return ""


for _name in FORGONE:
    sys.modules[_name] = ModuleType(_name)
sys.modules["pbr.version"].__dict__["VersionInfo"] = VersionInfo
sys.modules["pbr"].__dict__["version"] = sys.modules["pbr.version"]
