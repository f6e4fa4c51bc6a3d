"""Reads `reconciler.yaml` of a commit into `Settings`, with a diagnostic for whatever it does not understand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from reconciler.cron import read_cron
from reconciler.settings import FILE, Alerting, Breaker, Settings, SiteSettings, Sync, Timing, Window
from specs.errors import Diagnostic
from specs.patch import Mode
from specs.tosca.cursor import Cursor, Faults
from specs.tree import Tree
from specs.yaml.document import load

_SWITCHES = ("auto_apply", "self_heal", "prune")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_LONGEST = timedelta(days=366)

Read = TypeVar("Read")


def read_settings(tree: Tree) -> tuple[Settings, tuple[Diagnostic, ...]]:
    """Read the settings of a commit; defaults where it says nothing, diagnostics where it makes no sense."""
    if FILE not in tree.files:
        return Settings(), ()
    document, found = load(FILE, tree.read(FILE))
    if document is None:
        return Settings(), found
    faults = Faults()
    for diagnostic in found:
        faults.add(diagnostic)
    settings = _settings(Cursor.top(document, faults))
    return settings, faults.sorted()


def _settings(top: Cursor) -> Settings:
    known = frozenset({"id", "branch", "include", "timing", "alerts", "defaults", "sites", "allowed_signers"})
    fields = top.fields(known)
    empty = Settings()
    at_default = fields.get("defaults")
    defaults = _site(at_default, at_default, SiteSettings()) if at_default else SiteSettings()
    sites = fields["sites"].fields() if "sites" in fields else {}
    return Settings(
        id=_take(fields, "id", Cursor.text, empty.id),
        branch=_take(fields, "branch", Cursor.text, empty.branch),
        include=_take(fields, "include", Cursor.texts, empty.include),
        timing=_take(fields, "timing", _timing, empty.timing),
        alerts=_take(fields, "alerts", _alerting, empty.alerts),
        defaults=defaults,
        sites={name: _site(cursor, at_default, defaults) for name, cursor in sites.items()},
        allowed_signers=_take(fields, "allowed_signers", Cursor.text, empty.allowed_signers),
    )


def _timing(cursor: Cursor) -> Timing:
    fields = cursor.fields(frozenset({"poll", "jitter", "drift", "backoff", "longest_backoff"}))
    empty = Timing()
    timing = Timing(
        poll=_take(fields, "poll", _pause, empty.poll),
        jitter=_take(fields, "jitter", _duration, empty.jitter),
        drift=_take(fields, "drift", _pause, empty.drift),
        backoff=_take(fields, "backoff", _pause, empty.backoff),
        longest_backoff=_take(fields, "longest_backoff", _pause, empty.longest_backoff),
    )
    if timing.longest_backoff < timing.backoff:
        where = fields.get("longest_backoff", fields.get("backoff", cursor))
        where.error("wrong-value", "longest_backoff must not be shorter than backoff")
    return timing


def _alerting(cursor: Cursor) -> Alerting:
    fields = cursor.fields(frozenset({"mode", "cooldown", "commits_per_hour", "flaps", "flap_window"}))
    empty = Alerting()
    return Alerting(
        mode=_take(fields, "mode", _mode, empty.mode),
        cooldown=_take(fields, "cooldown", _duration, empty.cooldown),
        commits_per_hour=_take(
            fields, "commits_per_hour", lambda at: int(_number(at, 0, 3600, whole=True)), empty.commits_per_hour
        ),
        flaps=_take(fields, "flaps", lambda at: int(_number(at, 1, 1000, whole=True)), empty.flaps),
        flap_window=_take(fields, "flap_window", _pause, empty.flap_window),
    )


def _mode(cursor: Cursor) -> str:
    if cursor.value not in tuple(Mode):
        cursor.error("wrong-value", f"{cursor.name} must be one of {', '.join(Mode)}")
        return Mode.REPORT
    return str(cursor.value)


def _site(cursor: Cursor, defaults: Cursor | None, base: SiteSettings) -> SiteSettings:
    """Read what a site says over what holds for all; a service's switches weigh more than its site's."""
    fields = cursor.fields(frozenset({"sync", "services", "breaker", "health_deadline", "parallelism"}))
    sync = _sync(fields["sync"], base.sync) if "sync" in fields else base.sync
    services: dict[str, Sync] = {}
    for source in dict.fromkeys((defaults, cursor)):
        for name, at_service in _services(source).items():
            services[name] = _sync(at_service, services.get(name, sync))
    return SiteSettings(
        sync=sync,
        services=services,
        breaker=_take(fields, "breaker", lambda at: _breaker(at, base.breaker), base.breaker),
        health_deadline=_take(fields, "health_deadline", _pause, base.health_deadline),
        parallelism=_take(fields, "parallelism", lambda at: int(_number(at, 1, 1000, whole=True)), base.parallelism),
    )


def _services(site: Cursor | None) -> Mapping[str, Cursor]:
    if site is None or not isinstance(site.value, Mapping) or "services" not in site.value:
        return {}
    return site.at("services", site.value["services"]).fields()


def _sync(cursor: Cursor, base: Sync) -> Sync:
    fields = cursor.fields(frozenset({*_SWITCHES, "windows"}))
    return Sync(
        auto_apply=_take(fields, "auto_apply", _switch, base.auto_apply),
        self_heal=_take(fields, "self_heal", _switch, base.self_heal),
        prune=_take(fields, "prune", _switch, base.prune),
        windows=_take(fields, "windows", lambda at: tuple(map(_window, at.items())), base.windows),
    )


def _window(cursor: Cursor) -> Window:
    fields = cursor.fields(frozenset({"start", "duration", "allow", "timezone"}), required=("start", "duration"))
    return Window(
        start=_take(fields, "start", _cron, "0 0 * * *"),
        duration=_take(fields, "duration", _pause, timedelta(hours=1)),
        allow=_take(fields, "allow", _switch, True),
        timezone=_take(fields, "timezone", _timezone, "UTC"),
    )


def _timezone(cursor: Cursor) -> str:
    name = cursor.text()
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):  # unknown, a path that leads elsewhere, a folder of zones
        cursor.error("wrong-value", f"there is no time zone {name!r} here; write one such as Europe/London")
        return "UTC"


def _breaker(cursor: Cursor, base: Breaker) -> Breaker:
    fields = cursor.fields(frozenset({"share", "count"}))
    return Breaker(
        share=_take(fields, "share", lambda at: _number(at, 0, 1), base.share),
        count=_take(fields, "count", lambda at: int(_number(at, 0, 10**9, whole=True)), base.count),
    )


# --- single values ---------------------------------------------------------------------------------


def _take(fields: Mapping[str, Cursor], name: str, read: Callable[[Cursor], Read], otherwise: Read) -> Read:
    """Read one field; what is absent or left empty is as it was."""
    if name not in fields or fields[name].value is None:
        return otherwise
    return read(fields[name])


def _switch(cursor: Cursor) -> bool:
    if isinstance(cursor.value, bool):
        return cursor.value
    cursor.error("wrong-value", f"{cursor.name} must be true or false")
    return False


def _number(cursor: Cursor, least: float, most: float, whole: bool = False) -> float:
    value = cursor.value
    if isinstance(value, int if whole else int | float) and not isinstance(value, bool) and least <= value <= most:
        return value
    kind = "whole number" if whole else "number"
    cursor.error("wrong-value", f"{cursor.name} must be a {kind} from {least:g} to {most:g}")
    return least


def _pause(cursor: Cursor) -> timedelta:
    """Read a duration that must not be zero."""
    found = _duration(cursor)
    if not found:
        cursor.error("wrong-value", f"{cursor.name} must be longer than 0s")
        return timedelta(seconds=1)
    return found


def _duration(cursor: Cursor) -> timedelta:
    text = cursor.value
    match = _DURATION.fullmatch(text.replace(" ", "")) if isinstance(text, str) else None
    if match is None or not match[0]:
        cursor.error("wrong-value", f"{cursor.name} must be a duration such as 30s, 5m, 4h or 1d12h")
        return timedelta(seconds=1)
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    if days > _LONGEST.days or (days * 24 + hours) * 3600 + minutes * 60 + seconds > _LONGEST.total_seconds():
        cursor.error("wrong-value", f"{cursor.name} must not be longer than {_LONGEST.days}d")
        return _LONGEST
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _cron(cursor: Cursor) -> str:
    text = cursor.text()
    try:
        read_cron(text)
    except ValueError as error:
        cursor.error("wrong-value", str(error))
        return "0 0 * * *"
    return text
