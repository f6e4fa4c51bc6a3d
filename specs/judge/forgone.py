"""Keeps out what tosca-parser imports and its judge never uses: its process starts in half the time.

`requests`, `urllib.request` and `zipfile` are for archives and templates from the network, which a judge must not
reach anyway; `pbr.version` asks the installed distributions for a version nobody reads, and `stevedore` asks all of
them, twice, for profiles beside those tosca-parser brings. Importing this puts modules of ours in their place, so it
belongs before the first import of tosca-parser, and only into a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

FORGONE = ("pbr", "pbr.version", "requests", "stevedore", "stevedore.extension", "urllib.request", "zipfile")


class VersionInfo:
    """Stands in for that of `pbr.version`."""

    def __init__(self, distribution: str) -> None:
        self._distribution = distribution

    def version_string(self) -> str:
        """Give no version."""
        return ""


class ExtensionManager:
    """Stands in for that of `stevedore.extension`: knows the profiles in tosca-parser's own folder."""

    def __init__(self, namespace: str, invoke_on_load: bool) -> None:
        self.extensions = [SimpleNamespace(plugin=profile) for profile in _profiles(namespace)]


def _profiles(package: str) -> Iterator[type]:
    """Give the class of every module `<package>/<profile>/tosca_*.py` that names the version of a profile."""
    for folder in import_module(package).__path__:
        for file in sorted(Path(folder).glob("*/tosca_*.py")):
            for found in vars(import_module(f"{package}.{file.parent.name}.{file.stem}")).values():
                if isinstance(found, type) and hasattr(found, "VERSION"):
                    yield found


for _name in FORGONE:
    sys.modules[_name] = ModuleType(_name)
sys.modules["pbr.version"].__dict__["VersionInfo"] = VersionInfo
sys.modules["pbr"].__dict__["version"] = sys.modules["pbr.version"]
sys.modules["stevedore.extension"].__dict__["ExtensionManager"] = ExtensionManager
sys.modules["stevedore"].__dict__["extension"] = sys.modules["stevedore.extension"]
