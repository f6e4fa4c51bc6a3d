"""Reads what others post: Kapacitor's alert messages and Alertmanager's webhook. Strict, bounded, pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

from msgspec import Struct

from reconciler.alerts_check import firing_id, rule_detail
from specs.errors import ReconcilerError
from specs.tosca.rules import Rule
from state.store import AlertState, AlertStatus, Firing

OLDEST = timedelta(hours=1)
FARTHEST = timedelta(minutes=5)
"""How old, and how far in the future, the moment of a message may be."""
MOST_ALERTS = 500
"""How many alerts one webhook may bring."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LEVELS = ("OK", "INFO", "WARNING", "CRITICAL")
_LONGEST_VALUE = 200


class MessageError(ReconcilerError):
    """A message cannot be taken; says why, in words for its sender."""


class Known(Struct, frozen=True, kw_only=True):
    """An alert that may be told of from outside, and where it belongs."""

    rule: Rule
    sites: tuple[str, ...]
    """The sites its service runs on."""
    base: str
    """The commit that is applied now."""


class News(Struct, frozen=True):
    """What a message says: alerts that began and alerts that ended."""

    firings: tuple[Firing, ...] = ()
    states: tuple[AlertState, ...] = ()


Find = Mapping[tuple[str, str, str], Known]
"""Chain, policy and trigger → what is known of the alert."""


def read_kapacitor(body: bytes, known: Known, now: datetime) -> News:
    """Read the message that Kapacitor posts to `/<sfc>/<policy>/<trigger>`; `MessageError` if it is none."""
    data = _object(body)
    rule = known.rule
    named = data.get("id", rule.trigger)
    if named not in (rule.trigger, rule.id):
        raise MessageError("the id is not that of the trigger in the path")
    level = data.get("level")
    if level not in _LEVELS:
        raise MessageError(f"the level must be one of {', '.join(_LEVELS)}")
    for key, kinds in (("message", str), ("details", str), ("previousLevel", str), ("duration", int)):
        if key in data and (not isinstance(data[key], kinds) or isinstance(data[key], bool)):
            raise MessageError(f"{key} must be {'text' if kinds is str else 'a whole number'}")
    at = _moment(data.get("time"), now)
    value = _kapacitor_value(data.get("data"))
    return _news(known, "kapacitor", _site(known, ""), at, level == "CRITICAL", value, now)


def _kapacitor_value(data: object) -> str:
    """Give the last value of the first series; the message must have the shape that Kapacitor gives it."""
    if data is None:
        return ""
    series = data.get("series") if isinstance(data, Mapping) else None
    if series is None and isinstance(data, Mapping):
        return ""
    if not isinstance(series, list):
        raise MessageError("data must be {series: […]}")
    for one in series:
        columns, values = (one.get(key) for key in ("columns", "values")) if isinstance(one, Mapping) else (None, None)
        if not isinstance(columns, list) or not isinstance(values, list):
            raise MessageError("a series must have columns and values")
        for row in values:
            if not isinstance(row, list) or len(row) != len(columns):
                raise MessageError("a row must have as many values as there are columns")
            for column, cell in zip(columns, row, strict=True):
                if column != "time" and (isinstance(cell, bool) or not isinstance(cell, int | float | None)):
                    raise MessageError(f"the value of {str(column)[:40]!r} must be a number")
    rows = [row for one in series for row in one["values"]]
    numbers = [cell for cell in rows[-1] if isinstance(cell, int | float)] if rows else []
    return f"{numbers[-1]:g}" if numbers else ""


def read_alertmanager(body: bytes, find: Find, now: datetime) -> News:
    """Read Alertmanager's webhook (version 4): alerts carry labels `sfc`, `policy`, `trigger`, and `site` if they like.

    Alerts of nobody we know are passed over, as a group may hold them beside ours.
    """
    data = _object(body)
    if data.get("version") != "4":
        raise MessageError("only version 4 of Alertmanager's webhook is read")
    alerts = data.get("alerts")
    if not isinstance(alerts, list) or len(alerts) > MOST_ALERTS:
        raise MessageError(f"alerts must be a list of at most {MOST_ALERTS}")
    found = [_alert(one, find, now) for one in alerts]
    return News(
        firings=tuple(firing for news in found for firing in news.firings),
        states=tuple(state for news in found for state in news.states),
    )


def _alert(alert: object, find: Find, now: datetime) -> News:
    if not isinstance(alert, Mapping) or alert.get("status") not in ("firing", "resolved"):
        raise MessageError("an alert must be firing or resolved")
    labels = _texts(alert.get("labels"), "labels")
    notes = _texts(alert.get("annotations", {}), "annotations")
    known = find.get((labels.get("sfc", ""), labels.get("policy", ""), labels.get("trigger", "")))
    if known is None:
        return News()
    firing = alert["status"] == "firing"
    started = _moment(alert.get("startsAt"), now, oldest=timedelta(days=365))
    at = started if firing else max(started, _moment(alert.get("endsAt"), now, oldest=timedelta(days=365)))
    value = notes.get("value", "")[:_LONGEST_VALUE]
    return _news(known, "alertmanager", _site(known, labels.get("site", "")), at, firing, value, now)


def _news(known: Known, source: str, site: str, at: datetime, firing: bool, value: str, now: datetime) -> News:
    rule = known.rule
    state = AlertState(
        site=site,
        rule=f"{source}:{rule.id}",  # beside what our own evaluator knows of the same rule
        status=AlertStatus.FIRING if firing else AlertStatus.QUIET,
        value=value,
        checked_at=at,
        since=at,
        fired_at=at if firing else None,
    )
    if not firing:
        return News(states=(state,))
    made = Firing(
        id=firing_id(site, rule.id, at),
        site=site,
        sfc=rule.sfc,
        sfci=rule.sfci,
        policy=rule.policy,
        trigger=rule.trigger,
        source=source,
        at=at,
        received_at=now,
        value=value,
        detail={**rule_detail(rule, at), "rule_id": state.rule, "handlers": [], "base": known.base},
    )
    return News(firings=(made,), states=(state,))


# --- parts -----------------------------------------------------------------------------------------


def _object(body: bytes) -> Mapping[str, object]:
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise MessageError("the body is not JSON in UTF-8") from error
    if not isinstance(data, dict):
        raise MessageError("the body must be a JSON object")
    return cast("Mapping[str, object]", data)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _moment(text: object, now: datetime, oldest: timedelta = OLDEST) -> datetime:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise MessageError("a time must be written as 2026-03-04T12:00:00Z")
    try:
        moment = datetime.fromisoformat(_to_microseconds(text)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MessageError("there is no such time") from error
    if moment < now - oldest:
        raise MessageError("the message is too old")
    if moment > now + FARTHEST:
        raise MessageError("the message is from the future; check the clocks")
    return moment


def _to_microseconds(text: str) -> str:
    """Cut a fraction of a second to what Python keeps."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def _texts(given: object, what: str) -> Mapping[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(value, str) for value in given.values()):
        raise MessageError(f"{what} must be texts by name")
    return cast("Mapping[str, str]", given)


def _site(known: Known, named: str) -> str:
    """Give the site a message is about: the one it names, or the one its service runs on first."""
    if named and named not in known.sites:
        raise MessageError("its service does not run on that site")
    return named or next(iter(known.sites), "")


def path_parts(path: str) -> tuple[str, ...] | None:
    """Take the path of a request apart; nothing if a part could not be a name."""
    parts = tuple(path.removeprefix("/").split("/"))
    return parts if all(_NAME.fullmatch(part) for part in parts) else None


def known_alerts(alerts: Iterable[Known]) -> Find:
    """Index what is known; of two alerts of one name the first counts."""
    found: dict[tuple[str, str, str], Known] = {}
    for one in alerts:
        found.setdefault((one.rule.sfc, one.rule.policy, one.rule.trigger), one)
    return found
