"""Settings kept from the last reading: where `reconciler.yaml` has not changed, no YAML reader is even imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cache as once
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

from reconciler.settings import FILE, Alerting, Breaker, Settings, SiteSettings, Sync, Timing, Window
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
        return _decode(json.loads(kept)), ()
    settings: Settings
    settings, diagnostics = import_module("reconciler.settings_file").read_settings(tree)
    if not diagnostics:
        cache.put({key: json.dumps(asdict(settings), default=timedelta.total_seconds).encode()})
    return settings, diagnostics


@once
def _program() -> str:
    """Give the digest of the code that decides what a file means."""
    total = blake2b(digest_size=16)
    for name in _SOURCES:
        total.update(Path(__file__).with_name(name).read_bytes())
    return total.hexdigest()


def _decode(data: Mapping[str, Any]) -> Settings:
    return Settings(
        id=data["id"],
        branch=data["branch"],
        include=tuple(data["include"]),
        timing=Timing(**{name: timedelta(seconds=seconds) for name, seconds in data["timing"].items()}),
        alerts=_alerting(data["alerts"]),
        defaults=_site(data["defaults"]),
        sites={name: _site(site) for name, site in data["sites"].items()},
        allowed_signers=data["allowed_signers"],
    )


def _alerting(data: Mapping[str, Any]) -> Alerting:
    times = {name: timedelta(seconds=data[name]) for name in ("cooldown", "flap_window")}
    return Alerting(**{**data, **times})


def _site(data: Mapping[str, Any]) -> SiteSettings:
    deadline = data["health_deadline"]
    return SiteSettings(
        sync=_sync(data["sync"]),
        services={name: _sync(sync) for name, sync in data["services"].items()},
        breaker=Breaker(**data["breaker"]),
        health_deadline=None if deadline is None else timedelta(seconds=deadline),
        parallelism=data["parallelism"],
    )


def _sync(data: Mapping[str, Any]) -> Sync:
    windows = tuple(Window(**{**one, "duration": timedelta(seconds=one["duration"])}) for one in data["windows"])
    return Sync(**{**data, "windows": windows})
