"""From a metric to a commit to a changed world, on a clock that is moved by hand."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pygit2
import pytest
from msgspec.structs import replace
from pygit2.enums import ResetMode

from policies.decide import Decision, decide
from reconciler.watch import Watch
from specs.model import Service
from specs.patch import Reason, trailer
from state.sql_store import SqlStore
from state.store import AlertState, Firing, Outcome, Store
from tests.support.alerting import ALERTS, SERVICE, SETTINGS, SITE, STATE
from tests.support.metering import NOON
from tests.support.watchtower import Tower, make_tower
from tests.testbed.git.servers import make_key

SERVER = "bristol/tour-1/storage@edge-1.0:sandpit.server"
EDGE = f"edge-1: {STATE}"


@pytest.fixture
def tower(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Tower]:
    caplog.set_level(logging.INFO)
    made = make_tower(tmp_path / "specs")
    made.turn()
    yield made
    made.close()


def begin(tmp_path: Path, **changes: str) -> Tower:
    names = {"settings": "reconciler.yaml", "service": "specs/tour.yaml", "alerts": "policies/tour-alerts.yaml"}
    made = make_tower(tmp_path / "specs", {names[key]: text for key, text in changes.items()})
    made.turn()
    return made


def test_alert_rules_are_resources_of_the_site(tower: Tower) -> None:
    assert {
        "bristol/tour-1/crowd:clmc.alert/many_requests",
        "bristol/tour-1/crowd:clmc.alert/few_requests",
        "bristol/tour-1/queue:clmc.alert/long_queue",
        "bristol/tour-1/queue:clmc.alert/short_queue",
        "bristol/tour-1/silence:clmc.alert/nobody",
    } == {address for address in tower.addresses() if ":clmc." in address}


def test_load_moves_the_spec_and_the_world_and_back(tower: Tower, caplog: pytest.LogCaptureFixture) -> None:
    assert SERVER not in tower.world()
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()
    (firing,) = tower.firings()

    assert f"{EDGE}connected  # the cabinet" in tower.spec()
    assert SERVER in tower.world()
    assert tower.subjects() == ["tour-1: storage on edge-1 from placed to connected", "Begin"]
    assert firing.outcome is Outcome.DONE
    message = tower.messages()[0]
    assert trailer(message, "Alert") == firing.id
    assert trailer(message, "Value") == "120"
    assert trailer(message, "Rule").startswith("mean(storage.requests) > 100 over 60 s where")
    assert tower.runs()[-1] == (f"alert {firing.id}", Outcome.DONE)
    assert caplog.text.count(firing.id) >= 3

    tower.wait(61)
    tower.measure(requests=5)
    tower.wait(59)
    tower.alerts()

    assert f"{EDGE}placed  # the cabinet" in tower.spec()
    assert SERVER not in tower.world()
    assert tower.spec() == SERVICE


def test_an_alert_that_goes_on_fires_once(tower: Tower) -> None:
    for _ in range(4):
        tower.wait(60)
        tower.measure(requests=120)
        tower.alerts()

    assert [one.trigger for one in tower.firings()].count("many_requests") == 1
    assert len(tower.subjects()) == 2


def test_looking_again_in_the_same_window_changes_nothing(tower: Tower) -> None:
    tower.measure(requests=120)
    for _ in range(3):
        tower.wait(1)
        tower.alerts()

    assert len(tower.firings()) == 1


def test_a_restart_does_not_fire_again(tower: Tower) -> None:
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()
    tower.restart()
    tower.turn()
    tower.measure(requests=120)
    tower.alerts()
    tower.wait(60)
    tower.alerts()

    assert len(tower.firings()) == 1
    assert len(tower.subjects()) == 2


def test_what_has_to_rest_is_done_when_the_rest_is_over(tmp_path: Path) -> None:
    tower = begin(tmp_path, settings=f"{SETTINGS}alerts: {{cooldown: 150s}}\n")
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()
    tower.wait(59)
    tower.measure(requests=5)
    tower.alerts()
    waiting = tower.firings()[-1]
    resting = tower.spec()
    tower.wait(91)
    tower.alerts()

    assert (waiting.trigger, waiting.outcome) == ("few_requests", Outcome.OPEN)
    assert "rests until 12:02:31 UTC" in waiting.message
    assert f"{EDGE}connected" in resting
    assert f"{EDGE}placed" in tower.spec()
    tower.close()


def test_what_is_over_before_the_rest_is_given_up(tmp_path: Path) -> None:
    tower = begin(tmp_path, settings=f"{SETTINGS}alerts: {{cooldown: 150s}}\n")
    for requests in (120, 5, 50, 50):
        tower.measure(requests=requests)
        tower.alerts()
        tower.wait(60)
    firing = next(one for one in tower.firings() if one.trigger == "few_requests")

    assert firing.outcome is Outcome.CANCELLED
    assert firing.message.startswith("it was over before anything could be done")
    assert f"{EDGE}connected" in tower.spec()
    tower.close()


def test_scaling_goes_on_while_it_holds_and_rests_between(tower: Tower) -> None:
    for step in range(1, 9):
        tower.wait(10)
        tower.measure(measurement="frontend", queue=20 * step, tags={"flame_sfc": "tour", "flame_sfci": "tour-1"})
        tower.alerts()
    counts = [subject for subject in tower.subjects() if "frontend" in subject]

    assert counts == ["tour-1: frontend from 4 to 5 instances", "tour-1: frontend from 2 to 4 instances"]
    assert "default_instances: 5" in tower.spec()
    assert {firing.outcome for firing in tower.firings()} == {Outcome.DONE, Outcome.CANCELLED}


SHOP = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {service: shop, sites: [bristol]}
topology_template:
  node_templates:
    web:
      type: tosca.nodes.Compute
      capabilities:
        host: {properties: {num_cpus: 1, mem_size: 1 GB, disk_size: 1 GB}}
        scalable: {properties: {min_instances: 1, max_instances: 4, default_instances: 1}}
  policies:
    - grow:
        type: tosca.policies.Scaling
        targets: [web]
        triggers:
          hot:
            condition: {constraint: cpu.usage greater_than 80, period: 10 s, method: average}
            action: [{call_operation: {operation: scale_out, inputs: {value: 2}}}]
"""


def test_a_trigger_of_tosca_scales_servers_of_normative_types(tmp_path: Path) -> None:
    tower = make_tower(tmp_path / "specs", {"specs/shop.yaml": SHOP})
    tower.turn()
    tags = {"flame_sfc": "shop", "flame_sfci": "shop", "flame_sf": "web"}
    tower.measure(measurement="cpu", database="shop", tags=tags, usage=90.5)
    tower.alerts()
    servers = {address for address in tower.world() if "/shop/" in address and address.endswith(":sandpit.server")}

    assert tower.subjects()[0] == "shop: web from 1 to 3 instances"
    assert servers == {f"bristol/shop/web@dc-1.{number}:sandpit.server" for number in range(3)}
    tower.close()


BATON = """\
properties:
          max_instances: 5
          auto_scale_policy:
            - name: busy
              threshold: 70.0
              comparisonOperator: ">="
              period: 10
              cooldown: 10
              type: WEIGHTED
              alarms:
                - {metric: CONSUMED_CAPACITY, statistic: avg, comparisonOperator: ">=", threshold: 140.0, weight: 3.0}
                - {metric: host.load, statistic: max, comparisonOperator: ">", threshold: 4.0, weight: 1.0}
              actions: [{type: SCALE_OUT_TO, value: "4"}]
            - name: idle
              threshold: 100.0
              comparisonOperator: ">="
              period: 10
              cooldown: 10
              type: VOTED
              alarms: [{metric: CONSUMED_CAPACITY, statistic: avg, comparisonOperator: "<=", threshold: 60.0}]
              actions: [{type: SCALE_IN, value: "2"}]"""


def test_open_batons_policies_scale_out_by_weight_and_in_again(tmp_path: Path) -> None:
    tower = begin(tmp_path, service=SERVICE.replace("properties: {max_instances: 5, cooldown: 30 s}", BATON))
    tags = {"flame_sfc": "tour", "flame_sfci": "tour-1", "flame_sf": "frontend"}
    for load, capacity in ((9, 100), (9, 150), (0, 150), (0, 50)):
        tower.measure(measurement="host", tags=tags, load=load)
        tower.measure(measurement="CONSUMED_CAPACITY", tags=tags, value=capacity)
        tower.alerts()
        tower.wait(10)

    assert tower.subjects()[:-1] == [
        "tour-1: frontend from 4 to 2 instances",
        "tour-1: frontend from 2 to 4 instances",
    ]
    tower.close()


def test_silence_is_told_and_moves_nothing(tower: Tower) -> None:
    for _ in range(3):
        tower.wait(120)
        tower.alerts()
    (firing,) = [one for one in tower.firings() if one.trigger == "nobody"]

    assert (firing.outcome, firing.message) == (Outcome.DONE, "its handlers are told; it moves nothing")
    assert len(tower.subjects()) == 1


def test_missing_data_fires_nothing_but_a_deadman(tower: Tower) -> None:
    for _ in range(10):
        tower.wait(60)
        tower.alerts()

    assert {firing.trigger for firing in tower.firings()} == {"nobody"}


def test_late_points_are_waited_for(tmp_path: Path) -> None:
    lagging = SITE.replace("{plugin: clmc}", "{plugin: clmc, settings: {lag: 10 s}}")
    tower = make_tower(tmp_path / "specs", {"sites/bristol.yaml": lagging})
    tower.turn()
    tower.measure(requests=60)
    tower.wait(9)
    tower.alerts()
    early = tower.firings()
    tower.measure(seconds_ago=20, requests=200)
    tower.wait(1)
    tower.alerts()

    assert early == []
    assert [(firing.value, firing.at) for firing in tower.firings()] == [("130", NOON)]
    tower.close()


def test_text_where_numbers_should_be_is_a_problem_and_fires_nothing(tower: Tower) -> None:
    tower.measure(requests="many")
    tower.wait(1)
    tower.alerts()
    problems = {state.problem for state in tower.states() if state.problem}
    tower.wait(60)
    tower.measure(seconds_ago=10, requests=120)  # of another type, as the embedded store allows
    tower.alerts()

    assert problems == {"the values are text, of which there is no mean"}
    assert [firing.at for firing in tower.firings()] == [NOON + timedelta(seconds=60)]
    assert {state.problem for state in tower.states()} == {""}


def test_a_proposal_waits_on_a_branch(tmp_path: Path) -> None:
    tower = begin(tmp_path, settings=f"{SETTINGS}alerts: {{mode: propose}}\n")
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()

    assert f"{EDGE}placed" in tower.spec()
    assert f"{EDGE}connected" in tower.spec("reconciler/tour-1/crowd/many_requests")
    assert SERVER not in tower.world()
    assert tower.firings()[0].message.startswith("proposed on reconciler/tour-1/crowd/many_requests: storage")
    tower.close()


@pytest.mark.parametrize("signs", [False, True])
def test_where_commits_must_be_signed_an_alert_signs_its_own_or_makes_none(
    tower: Tower, tmp_path: Path, signs: bool
) -> None:
    make_key(tmp_path / "key")
    config = pygit2.Repository(str(tower.folder)).config
    config["commit.gpgsign"], config["gpg.format"] = "true", "ssh"
    config["user.signingkey"] = str(tmp_path / "key")
    signers = f"ann@example.org {(tmp_path / 'key.pub').read_text()}"
    (tower.folder / ".reconciler" / "signers").write_text(signers)
    tower.commit("reconciler.yaml", "id: ", f"allowed_signers: {tower.folder}/.reconciler/signers\nid: ")
    tower.turn()
    config["commit.gpgsign"] = str(signs).lower()
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()
    (firing,) = tower.firings()

    assert firing.outcome is (Outcome.DONE if signs else Outcome.FAILED)
    assert ("git signs none here" in firing.message) is not signs
    assert (SERVER in tower.world()) is signs
    assert len(tower.subjects()) == 2 + signs


def test_a_report_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tower = begin(tmp_path, settings=f"{SETTINGS}alerts: {{mode: report}}\n")
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()

    assert tower.subjects() == ["Begin"]
    assert "only reported: storage on edge-1 from placed to connected" in caplog.text
    tower.close()


def test_what_a_person_changed_after_the_alert_is_left_alone(tower: Tower) -> None:
    tower.measure(requests=120)
    tower.wait(1)
    tower.commit("specs/tour.yaml", f"{EDGE}placed", f"{EDGE}booted")  # pushed, and not read yet
    tower.alerts()
    (firing,) = tower.firings()

    assert firing.outcome is Outcome.CANCELLED
    assert "is left alone" in firing.message
    assert f"{EDGE}booted" in tower.spec()


def test_a_file_that_somebody_broke_is_waited_for(tower: Tower) -> None:
    tower.measure(requests=120)
    tower.wait(1)
    tower.commit("specs/tour.yaml", "http://x/f", "[http://x/f")
    tower.alerts()
    (waiting,) = tower.firings()
    tower.commit("specs/tour.yaml", "[http://x/f", "http://x/f")
    tower.turn()
    tower.alerts()

    assert waiting.outcome is Outcome.OPEN
    assert "specs/tour.yaml:" in waiting.message
    assert f"{EDGE}connected" in tower.spec()


def test_a_defect_ends_one_alert_and_keeps_no_other_waiting(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(service: Service, reason: Reason, *rest: Any) -> Decision:
        if reason.trigger == "many_requests":
            raise KeyError("something nobody thought of")
        return decide(service, reason, *rest)

    monkeypatch.setattr("reconciler.alerts_act.decide", broken)
    tower.measure(requests=120)
    tower.measure(measurement="frontend", queue=0)
    tower.wait(1)
    tower.alerts()
    outcomes = {firing.trigger: firing.outcome for firing in tower.firings()}

    assert outcomes == {"many_requests": Outcome.FAILED, "short_queue": Outcome.DONE}
    assert tower.subjects()[0] == "tour-1: frontend from 2 to 1 instance"


def test_a_change_elsewhere_in_the_file_does_not_hinder(tower: Tower) -> None:
    tower.measure(requests=120)
    tower.wait(1)
    tower.commit("specs/tour.yaml", "http://x/f", "http://x/g")
    tower.alerts()

    assert f"{EDGE}connected" in tower.spec()
    assert "http://x/g" in tower.spec()


def test_a_commit_that_was_made_before_a_crash_is_found_again(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    tower.measure(requests=120, measurement="storage")
    tower.wait(1)

    class Killed(BaseException):
        """The process dies between the push and the note of it."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("state.sql_store.SqlStore.settle", die)
        with pytest.raises(Killed):
            tower.loop.look_after_alerts()
    assert len(tower.subjects()) == 2
    tower.restart()
    tower.turn()
    tower.alerts()
    (firing,) = tower.firings()

    assert len(tower.subjects()) == 2
    assert firing.outcome is Outcome.DONE
    assert SERVER in tower.world()


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_is_put_back_keeps_no_rule_asleep_and_no_policy_at_rest(tower: Tower, restarts: bool) -> None:
    day = 86400
    tower.wait(day)
    tower.measure(requests=120)
    tower.alerts()
    ahead = tower.spec()
    tower.wait(120 - day)
    if restarts:
        tower.restart()
        tower.turn()
    tower.measure(requests=5)
    tower.alerts()

    assert f"{EDGE}connected" in ahead
    assert f"{EDGE}placed" in tower.spec()
    assert tower.firings()[0].trigger == "few_requests"  # the oldest by its clock


def test_after_a_commit_git_is_left_alone(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Watch] = []

    class Counting(Watch):
        def look(self, store: Store, *, fetch: bool = True) -> bool:
            looks.append(self)
            return super().look(store, fetch=fetch)

    monkeypatch.setattr(tower.loop, "_watch", Counting(tower.loop._place))
    tower.turn()
    tower.measure(requests=120)
    tower.wait(1)
    for _ in range(4):
        tower.alerts()

    assert len(tower.subjects()) == 2
    assert len(looks) == 2


def test_a_commit_that_somebody_took_off_the_branch_is_not_waited_for(tower: Tower) -> None:
    good = tower.git().resolve()
    tower.commit("policies/tour-alerts.yaml", "threshold: 10,", "threshold: ten,")  # so that the goal stays behind
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()
    taken_off = tower.subjects()
    pygit2.Repository(str(tower.folder)).reset(pygit2.Oid(hex=good), ResetMode.HARD)
    tower.commit("specs/tour.yaml", "http://x/f", "http://x/g")
    tower.turn()
    tower.wait(60)
    tower.measure(measurement="frontend", queue=0)
    tower.wait(10)
    tower.alerts()

    assert "storage on edge-1 from placed to connected" in taken_off[0]
    assert tower.subjects()[0] == "tour-1: frontend from 2 to 1 instance"


def test_handlers_are_told_of_what_another_thread_has_decided_already(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    save = SqlStore.save_alerts

    def save_and_settle(
        store: SqlStore, states: Iterable[AlertState], firings: Iterable[Firing] = ()
    ) -> frozenset[str]:
        made = list(firings)
        new = save(store, states, made)
        for firing in made:
            store.settle(replace(firing, outcome=Outcome.DONE))
        return new

    monkeypatch.setattr(SqlStore, "save_alerts", save_and_settle)
    monkeypatch.setattr(tower.loop._alerts._teller, "tell", lambda firing: told.append(firing.trigger))
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()

    assert told == ["many_requests"]


def test_pruned_rules_are_not_watched(tower: Tower) -> None:
    tower.commit("policies/tour-alerts.yaml", ALERTS, ALERTS.replace("threshold: 100", "threshold: 500"))
    tower.turn()
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()

    assert tower.firings() == []


def test_every_apply_writes_configuration_events(tower: Tower) -> None:
    tower.measure(requests=120)
    tower.wait(1)
    tower.alerts()
    (firing,) = tower.firings()
    events = [
        (tags["flame_sfe"], tags["flame_location"], fields["state"], fields["cause"])
        for tags, fields in tower.points("configuration_event")
        if tags["flame_sf"] == "storage"
    ]

    assert events == [
        ("bristol/tour-1/storage@edge-1.0", "square", "placed", "push"),
        ("bristol/tour-1/storage@dc-1.0", "university", "connected", "push"),
        ("bristol/tour-1/storage@edge-1.0", "square", "connected", f"alert {firing.id}"),
    ]
    assert firing.commit == tower.git().resolve()
