"""Compiles an alerts spec: policies whose triggers CLMC watches, after the rules of FLAME."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from specs.model import Alerts
from specs.tosca.cursor import Cursor
from specs.tosca.flame import AGGREGATIONS, EVENT_TYPES, OPERATORS, SFEMC, TAGS
from specs.tosca.grouping import CONDITION_KEYS, policies
from specs.tosca.nodes import plain_text
from specs.tosca.topology import Setting, Topology
from specs.tosca.wording import kind_of, suggest

_MARGIN = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_METRIC = re.compile(r"[^.\s]+\.\S+")
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")


def compile_alerts(top: Cursor, setting: Setting) -> Alerts:
    """Compile an alerts spec; what is wrong is reported to the faults of `top`."""
    fields = top.fields()
    topology = Topology(fields["topology_template"], setting)
    topology.check_inputs()
    for key in ("node_templates", "groups", "substitution_mappings", "workflows"):
        if key in topology.fields:
            topology.fields[key].error("not-of-alerts", f"an alerts document has policies, not {key!r}", key=True)
    found = policies(topology)
    for _, cursor in topology.fields["policies"].named_items() if "policies" in topology.fields else ():
        if isinstance(cursor.value, dict):
            _check_policy(cursor)
    sfc, sfci = (_metadata(top, key) for key in ("sfc", "sfci"))
    stem = top.source.path.rpartition("/")[2].rpartition(".")[0]
    return Alerts(name=stem, sfc=sfc, sfci=sfci, policies=dict(sorted(found.items())), position=top.position())


def _metadata(top: Cursor, key: str) -> str:
    fields = top.fields()
    given = fields["metadata"].fields() if "metadata" in fields else {}
    text = plain_text(given[key].value) if key in given else None
    if not text:
        what = {"sfc": "the service function chain", "sfci": "the instance of the chain"}[key]
        place = given.get(key) or fields.get("metadata") or top
        place.error("missing-key", f"metadata needs {key!r}, the name of {what}", key=True)
    return text or ""


def _check_policy(cursor: Cursor) -> None:
    given = cursor.fields()
    triggers = given["triggers"].fields() if "triggers" in given else {}
    if not triggers:
        cursor.error("missing-key", f"{cursor.name} needs 'triggers'", key=True)
    for trigger in triggers.values():
        _check_trigger(trigger)


def _check_trigger(cursor: Cursor) -> None:
    given = _Given(cursor, cursor.fields())
    event = given.one_of("event_type", EVENT_TYPES)
    given.matching("metric", _METRIC, "<measurement>.<field>")
    _check_handlers(given)
    _check_metadata(given)
    if "condition" not in given.fields:
        cursor.error("missing-key", f"{cursor.name} needs 'condition'", key=True)
        return
    place = given.fields["condition"]
    condition = _Given(place, place.fields(CONDITION_KEYS))
    condition.number("threshold", whole=event == "deadman")
    condition.number("granularity", whole=True, least=1)
    _check_tags(condition)
    if "evaluations" in condition.fields:
        condition.number("evaluations", whole=True, least=1)
    if event != "deadman":
        condition.one_of("comparison_operator", OPERATORS)
        condition.one_of("aggregation_method", AGGREGATIONS)


def _check_tags(condition: _Given) -> None:
    for tag, place in condition.fields["resource_type"].fields().items() if "resource_type" in condition.fields else ():
        if tag not in TAGS:
            place.error("unknown-tag", f"{tag!r} is no tag of a resource{suggest(tag, TAGS)}", key=True)
        elif plain_text(place.value) is None:
            place.error("wrong-type", f"the tag {tag!r} must be text, not {kind_of(place.value)}")


def _check_metadata(given: _Given) -> None:
    """Check what the builtin evaluator reads there; other keys are anybody's."""
    fields = given.fields["metadata"].fields() if "metadata" in given.fields else {}
    if "counter" in fields and plain_text(fields["counter"].value) not in ("true", "false"):
        fields["counter"].error("wrong-type", "'counter' must be true or false")
    if "hysteresis" in fields and not _MARGIN.fullmatch(plain_text(fields["hysteresis"].value) or ""):
        fields["hysteresis"].error("wrong-type", "'hysteresis' must be a number from 0")


def _check_handlers(given: _Given) -> None:
    action = given.fields["action"].fields() if "action" in given.fields else {}
    handlers = action["implementation"].items() if "implementation" in action else ()
    if not handlers:
        place = action.get("implementation") or given.fields.get("action") or given.place
        place.error("missing-key", f"action.implementation lists who is told: {SFEMC} or http URLs", key=True)
    for handler in handlers:
        text = handler.text()
        if handler.is_text and text != SFEMC and not _URL.fullmatch(text):
            handler.error("wrong-handler", f"{text!r} is no handler; write {SFEMC} or an http URL")


class _Given:
    """The keys of a trigger or condition, with checks that report at them."""

    def __init__(self, place: Cursor, fields: Mapping[str, Cursor]) -> None:
        self.place = place
        self.fields = fields

    def _required(self, key: str) -> Cursor | None:
        if key not in self.fields:
            self.place.error("missing-key", f"{self.place.name} needs {key!r}", key=True)
        return self.fields.get(key)

    def one_of(self, key: str, words: Sequence[str]) -> str:
        """Check a closed word, and give it."""
        cursor = self._required(key)
        if cursor is None:
            return ""
        if cursor.value not in words:
            hint = suggest(str(cursor.value), words)
            cursor.error("wrong-type", f"{key!r} cannot be {kind_of(cursor.value)}{hint}")
        return str(cursor.value)

    def matching(self, key: str, pattern: re.Pattern[str], form: str) -> None:
        """Check a text of a certain form."""
        cursor = self._required(key)
        if cursor is not None and not (isinstance(cursor.value, str) and pattern.fullmatch(cursor.value)):
            cursor.error("wrong-type", f"{key!r} must be {form}, not {kind_of(cursor.value)}")

    def number(self, key: str, *, whole: bool, least: int | None = None) -> None:
        """Check a number."""
        cursor = self._required(key)
        if cursor is None:
            return
        value = cursor.value
        kinds = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds) or (least is not None and value < least):
            form = "a whole number" if whole else "a number"
            bound = f" from {least}" if least is not None else ""
            cursor.error("wrong-type", f"{key!r} must be {form}{bound}, not {kind_of(value)}")
