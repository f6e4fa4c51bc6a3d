"""The type definitions the project ships: found by name, never by path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "types"
_VERSIONED = re.compile(r"([a-z_]+_definitions)([-_.]?v?[0-9][A-Za-z0-9._-]*)?\.ya?ml")
_SECTION = re.compile(r"(\w+_types):")
_TYPE = re.compile(r"  ([\w.-]+):")

PREFIX = "shipped:"
"""What the paths of shipped files begin with in diagnostics; no path of a repository does."""

NORMATIVE = f"{PREFIX}tosca.yaml"
NFV = f"{PREFIX}tosca_nfv.yaml"
ALERTS = f"{PREFIX}flame_clmc_alerts_definitions.yaml"


def shipped(import_name: str) -> str:
    """Give the path of the shipped file an import means, e.g. `flame_definitions-0.1.4.yaml`; empty if none.

    What is shipped as `<name>_definitions.yaml` can be imported by that name with any version suffix.
    """
    match = _VERSIONED.fullmatch(import_name)
    path = f"{PREFIX}{match[1]}.yaml" if match else ""
    return path if path in contents() else ""


def who_defines(section: str, name: str) -> str:
    """Give the name by which the shipped file that defines a type is imported; empty if none does."""
    return _definers().get((section, name), "")


@cache
def _definers() -> Mapping[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for path in contents():
        file, section = path.removeprefix(PREFIX), ""
        for line in read(path).decode().splitlines() if shipped(file) else ():
            if of := _SECTION.match(line):
                section = of[1]
            elif of := _TYPE.match(line):
                found[(section, of[1])] = file
    return found


def read(path: str) -> bytes:
    """Read a shipped file by its path with `PREFIX`."""
    return (_FOLDER / path.removeprefix(PREFIX)).read_bytes()


@cache
def contents() -> Mapping[str, str]:
    """Give the content digest of every shipped file, by its path with `PREFIX`."""
    names = sorted(path.name for path in _FOLDER.glob("*.yaml"))
    return {f"{PREFIX}{name}": blake2b(read(name), digest_size=16).hexdigest() for name in names}
