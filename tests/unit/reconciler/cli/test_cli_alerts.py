"""alerts: list, test, fire, replay and feed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli.main import main
from tests.support.alerting import SITE, STATE
from tests.support.metering import NOON
from tests.support.watchtower import Tower, make_tower

POINT = "storage,flame_sfc=tour,flame_sfci=tour-1,flame_location=edge-1 requests=150"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tower(tmp_path: Path) -> Iterator[Tower]:
    made = make_tower(tmp_path / "specs")
    made.turn()
    yield made
    made.close()


@pytest.fixture
def run(tower: Tower, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def one(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["-C", str(tower.folder), "alerts", *arguments])
        return code, *capsys.readouterr()

    yield one
    root.handlers[:] = handlers
    root.setLevel(level)


def by_name(text: str) -> dict[str, dict[str, object]]:
    return {one["name"]: one for one in json.loads(text)["alerts"]}


def test_rules_are_listed_with_how_they_do(tower: Tower, run: Run) -> None:
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()
    code, out, _ = run()

    assert code == 0
    assert "tour-1/crowd/many_requests on bristol  Firing  120" in out
    assert "last fired 2026-03-04 12:00:00 UTC: done in " in out
    assert "tour-1/queue/long_queue on bristol  NoData" in out
    assert "tour-1/silence/nobody on bristol  Waiting" in out


def test_the_list_as_json_has_state_value_and_next_check(tower: Tower, run: Run) -> None:
    tower.alerts()
    one = by_name(run("list", "few_requests", "--json")[1])["tour-1/crowd/few_requests"]

    assert (one["state"], one["value"], one["problem"]) == ("NoData", "no data", "")
    assert datetime.fromisoformat(str(one["next_check"])) > datetime.now(UTC)


def test_rules_of_metrics_that_do_not_answer_are_unknown(
    tower: Tower, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tower.folder / ".reconciler" / "clmc" / "bristol-clmc.metrics"
    tower.alerts()
    tower.wait(120)
    for left in file.parent.glob("bristol-clmc.metrics*"):
        left.write_bytes(b"this is no database" * 1000)
    tower.restart()
    tower.turn()
    tower.alerts()
    states = {one["state"] for one in by_name(run("--json")[1]).values()}
    code = main(["-C", str(tower.folder), "status"])
    shown = capsys.readouterr().out

    assert states == {"Unknown"}
    assert code == 2
    assert "tour-1  Synced  Unknown" in shown
    assert "file is not a database" in shown


def test_alerts_that_nobody_watches_are_remarked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = SITE.replace("    clmc:\n      type: eu.ict-flame.nodes.Provider\n      properties: {plugin: clmc}\n", "")
    tower = make_tower(tmp_path / "specs", {"sites/bristol.yaml": alone})
    main(["-C", str(tower.folder), "plan"])

    assert "tour-1 has 5 alerts, and nobody watches: bristol names no provider that monitors" in capsys.readouterr().out


def test_a_test_shows_query_and_numbers_and_changes_nothing(tower: Tower, run: Run) -> None:
    run("feed", POINT)
    code, out, _ = run("test", "crowd/many_requests")
    head = tower.git().resolve()

    assert code == 0
    assert "mean(requests) of tour/storage where time >= '" in out
    assert "→ no data" in out  # the point is of the window that has not ended
    assert tower.firings() == []
    assert tower.git().resolve() == head


def test_a_firing_by_hand_is_decided_like_any_other(tower: Tower, run: Run) -> None:
    code, out, _ = run("fire", "many_requests", "--value", "999")

    assert code == 0
    assert "storage on edge-1 from placed to connected" in out
    assert f"edge-1: {STATE}connected" in tower.spec()
    assert "Value: 999" in tower.messages()[0]


def test_a_firing_that_changes_nothing_says_why(run: Run) -> None:
    assert "storage on edge-1 is placed already" in run("fire", "few_requests")[1]


def test_an_unknown_alert_is_named_with_those_there_are(run: Run) -> None:
    code, _, err = run("fire", "many_request")

    assert code == 1
    assert "there is no alert 'many_request'; did you mean" in err or "known: " in err


def test_a_name_must_mean_one_alert_to_fire(run: Run) -> None:
    assert run("fire", "nobody", "--site", "nowhere")[0] == 1


def test_points_that_are_none_are_refused(run: Run) -> None:
    code, _, err = run("feed", "no line at all")

    assert code == 1
    assert "line 1 is no line protocol" in err


def test_a_replay_shows_the_commits_there_would_have_been(tower: Tower, run: Run) -> None:
    for minute, requests in enumerate((50, 150, 150, 5, 5, 150)):
        tower.now = NOON
        tower.measure(seconds_ago=-60 * minute - 30, requests=requests)
    span = ("--from", "2026-03-04T11:59:00Z", "--to", "2026-03-04T12:10:00Z")
    _, out, _ = run("replay", "many_requests", "few_requests", *span)
    whole = json.loads(run("replay", *span, "--json")[1])

    assert "3 alerts would have fired, 3 commits been made" in out
    assert [one["commit"] for one in whole["alerts"] if "crowd" in one["name"]] == [
        "tour-1: storage on edge-1 from placed to connected",
        "tour-1: storage on edge-1 from connected to placed",
        "tour-1: storage on edge-1 from placed to connected",
    ]
    assert tower.subjects() == ["Begin"]


def test_a_replay_of_a_branch_uses_its_policies(tower: Tower, run: Run) -> None:
    tower.measure(seconds_ago=30, requests=60)
    text = tower.git().tree(tower.git().resolve()).read("policies/tour-alerts.yaml").decode()
    changes = {"policies/tour-alerts.yaml": text.replace("threshold: 100", "threshold: 50").encode()}
    tower.git().propose("stricter", changes, "Be stricter", tower.git().author())
    asked = ("replay", "many_requests", "--from", "2026-03-04T11:50:00Z", "--to", "2026-03-04T12:10:00Z", "--json")
    main_, branch = (json.loads(run(*asked, *more)[1])["alerts"] for more in ((), ("--revision", "stricter")))

    assert main_ == []
    assert [one["value"] for one in branch] == ["60"]


@pytest.mark.parametrize("moment", ["yesterday", "5x", "2026-13-01"])
def test_a_moment_that_is_none_is_refused(run: Run, moment: str) -> None:
    code, _, err = run("replay", "--from", moment)

    assert code == 1
    assert "is no moment" in err


def test_a_replay_must_not_go_on_for_ever(run: Run) -> None:
    assert "choose a shorter time" in run("replay", "--from", "365d")[2]
