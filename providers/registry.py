"""Finds provider plugins: names without importing anything, classes on demand.

Plugins are entry points of the group `reconciler.providers`, ours included. The `entry_points.txt` files
are read here directly: importing `importlib.metadata` costs 25 ms of every command, this scan less than 2.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import cast

from msgspec import Struct

from providers.base import Context, PermanentError, Provider

GROUP = "reconciler.providers"


class Plugin(Struct, frozen=True, order=True):
    """One entry point: its name, where the class is, and who brings it."""

    name: str
    module: str
    attribute: str
    distribution: str


def names() -> tuple[str, ...]:
    """List the names of the installed plugins, sorted; imports none of them."""
    return tuple(sorted({plugin.name for plugin in _installed(tuple(sys.path))}))


def load(plugin: str) -> type[Provider]:
    """Import the class of a plugin; `PermanentError` for none, for more than one, and for what cannot be imported."""
    found = [candidate for candidate in _installed(tuple(sys.path)) if candidate.name == plugin]
    if not found:
        raise PermanentError(f"no provider {plugin!r}; installed: {list(names())}")
    if len(found) > 1:
        owners = ", ".join(sorted(candidate.distribution for candidate in found))
        raise PermanentError(f"provider {plugin!r} is installed {len(found)} times, by {owners}; uninstall all but one")
    try:
        return cast("type[Provider]", attrgetter(found[0].attribute)(import_module(found[0].module)))
    except ImportError as error:
        raise _missing(found[0], error) from error
    except AttributeError as error:
        raise PermanentError(
            f"provider {plugin!r} of {found[0].distribution} is broken: {error}; install a version that works"
        ) from error


def connect(context: Context) -> Provider:
    """Build the provider of a binding; errors as of `load`."""
    plugin = load(context.binding.plugin)
    try:
        return plugin(context)  # type: ignore[call-arg]  # a Protocol cannot say how it is built; `base` does in words
    except ImportError as error:
        found = next(item for item in _installed(tuple(sys.path)) if item.name == context.binding.plugin)
        raise _missing(found, error) from error


def _missing(plugin: Plugin, error: ImportError) -> PermanentError:
    return PermanentError(
        f"provider {plugin.name!r} cannot be used here: {error};"
        f" install what it needs with: pip install '{plugin.distribution}[{plugin.name}]'"
    )


@cache
def _installed(search_path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """Read every plugin on the search path; of a distribution that is there twice the first counts, as in Python."""
    found: dict[str, tuple[Plugin, ...]] = {}
    for folder in search_path:
        for info in _distributions(Path(folder)):
            distribution = info.name.partition("-")[0].replace("_", "-").lower()
            if distribution not in found:
                found[distribution] = tuple(_plugins(info / "entry_points.txt", distribution))
    return tuple(sorted(plugin for plugins in found.values() for plugin in plugins))


def _distributions(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.name.endswith(".dist-info"))
    except OSError:  # not there, not a folder or not ours to read: Python itself passes over it
        return []


def _plugins(file: Path, distribution: str) -> Iterator[Plugin]:
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:  # most distributions have none
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == GROUP and "=" in line and not line.startswith("#"):
            name, _, target = line.partition("=")
            module, _, attribute = target.partition("[")[0].strip().partition(":")
            yield Plugin(name.strip(), module.strip(), attribute.strip(), distribution)
