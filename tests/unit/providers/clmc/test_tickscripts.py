"""The scripts that Kapacitor gets, word for word; `UPDATE_GOLDEN=1` writes them anew, for review."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from providers.base import PermanentError
from providers.clmc.tickscript import names_in, script_of, type_of
from specs.tosca.rules import Event, Rule
from tests.support.alerting import condition, rule
from tests.testbed.kapacitor.double import KapacitorDouble

GOLDEN = Path(__file__).parent / "golden"
PLACE = {"flame_location": "edge-1", "flame_sfci": "tour-1"}
ODD = {"flame_sf": 'it\'s a "b\\c"', "flame_sfp": "ünïcode ${x}"}

SCRIPTS = {
    "threshold": rule(condition(tags=PLACE)),
    "threshold-repeating": rule(condition(operator="lte", threshold=-0.5, aggregation="median"), repeats=True),
    "threshold-evaluations": rule(condition(operator="neq", aggregation="count"), evaluations=3),
    "relative": rule(condition(event=Event.RELATIVE, operator="gte", threshold=-100, granularity=120, tags=PLACE)),
    "deadman": rule(
        condition(event=Event.DEADMAN, field="*", aggregation="count", operator="lte", threshold=0, tags=PLACE)
    ),
    "deadman-anywhere": rule(
        condition(event=Event.DEADMAN, field="*", aggregation="count", operator="lte", threshold=5, granularity=10)
    ),
    "odd-names": rule(condition(measurement='my "storage"', field="re quests", tags=ODD), trigger="it's"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_as_they_were_reviewed(name: str) -> None:
    script = script_of(SCRIPTS[name], "tour", "autogen")
    file = GOLDEN / f"{name}.tick"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(script)

    assert script == file.read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_double_takes_every_script(name: str) -> None:
    task = {
        "id": SCRIPTS[name].id,
        "type": type_of(SCRIPTS[name]),
        "dbrps": [{"db": "tour", "rp": "autogen"}],
        "script": script_of(SCRIPTS[name], "tour", "autogen"),
        "status": "enabled",
    }

    assert KapacitorDouble().create(task)["executing"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_which_alert_it_is_for(name: str) -> None:
    one = SCRIPTS[name]

    assert names_in(script_of(one, "tour", "autogen")) == (one.sfc, one.sfci, one.policy, one.trigger)


@pytest.mark.parametrize("script", ["", "batch", '// alert ["a"]', "// alert {", "// alert [1, 2, 3, 4]"])
def test_scripts_of_others_say_nothing(script: str) -> None:
    assert names_in(script) is None


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (rule(condition(), condition()), "several conditions"),
        (rule(condition(hysteresis=5)), "hysteresis and counters"),
        (rule(condition(counter=True)), "hysteresis and counters"),
    ],
)
def test_what_kapacitor_cannot_watch_is_said(one: Rule, why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        script_of(one, "tour", "autogen")
