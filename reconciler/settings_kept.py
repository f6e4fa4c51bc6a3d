"""Settings kept from the last reading: where `reconciler.yaml` has not changed, no YAML reader is even imported."""

from __future__ import annotations

from functools import cache as once
from hashlib import blake2b
from importlib import import_module
from pathlib import Path

import msgspec

from reconciler.settings import FILE, Settings
from specs.errors import Diagnostic
from specs.tree import Cache, Tree

_SOURCES = ("cron.py", "settings.py", "settings_file.py", "settings_kept.py")


def settings_of(tree: Tree, cache: Cache) -> tuple[Settings, tuple[Diagnostic, ...]]:
    """Give the settings of a commit and what is wrong with them; only those without a fault are kept."""
    if FILE not in tree.files:
        return Settings(), ()
    key = f"settings-{_program()}-{tree.files[FILE]}"
    kept = cache.get_many([key]).get(key)
    if kept is not None:
        return msgspec.json.decode(kept, type=Settings), ()
    settings: Settings
    settings, diagnostics = import_module("reconciler.settings_file").read_settings(tree)
    if not diagnostics:
        cache.put({key: msgspec.json.encode(settings)})
    return settings, diagnostics


@once
def _program() -> str:
    """Give the digest of the code that decides what a file means."""
    total = blake2b(digest_size=16)
    for name in _SOURCES:
        total.update(Path(__file__).with_name(name).read_bytes())
    return total.hexdigest()
