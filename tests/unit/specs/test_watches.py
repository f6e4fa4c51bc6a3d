from __future__ import annotations

from hashlib import sha256

import pytest

from specs.errors import Severity
from specs.tosca.rules import Event, Rule, RuleError, identity, read_rule, rule_properties
from specs.tosca.watches import rules_of
from tests.support.alerting import ALERTS, SERVICE, reading, rule, service

ALERT_FILE, SERVICE_FILE = "policies/tour-alerts.yaml", "specs/tour.yaml"


def found(changes: dict[str, str] | None = None) -> dict[str, Rule]:
    read = reading(changes)
    read.check()
    tour = read.catalogue.services_on("bristol")[0]
    return {f"{one.policy}/{one.trigger}": one for one in rules_of(tour, read.catalogue.alerts)}


def faults(changes: dict[str, str]) -> list[str]:
    return [one.message for one in reading(changes).diagnostics if one.severity is not Severity.HINT]


def test_every_trigger_of_an_alerts_spec_is_a_rule() -> None:
    rules = found()
    many, queue, nobody = rules["crowd/many_requests"], rules["queue/long_queue"], rules["silence/nobody"]

    assert sorted(rules) == [
        "crowd/few_requests",
        "crowd/many_requests",
        "queue/long_queue",
        "queue/short_queue",
        "silence/nobody",
    ]
    assert str(many) == "mean(storage.requests) > 100 over 60 s where flame_location=edge-1"
    assert (many.moves, many.repeats, many.handlers) == (True, False, ("http://127.0.0.1:9/alerts",))
    assert str(queue) == "change of max(frontend.queue) >= 10 over 10 s"
    assert (queue.moves, queue.repeats) == (True, True)
    assert str(nobody) == "points of frontend <= 0 over 120 s"
    assert (nobody.moves, nobody.conditions[0].event) == (False, Event.DEADMAN)


@pytest.mark.parametrize("name", ["crowd/many_requests", "queue/long_queue", "silence/nobody"])
def test_a_rule_can_be_written_and_read(name: str) -> None:
    one = found()[name]

    assert read_rule(rule_properties(one)) == one


def test_identities_do_not_run_into_each_other() -> None:
    assert identity("ab", "c") != identity("a", "bc")
    assert identity("a", "b") == sha256(b"1:a1:b").hexdigest()
    assert rule().id != rule().handler_id("http://x")


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"conditions": []},
        {
            **rule_properties(rule()),
            "conditions": [{"event": "never", "metric": "a.b", "threshold": 1, "granularity": 1}],
        },
        {
            **rule_properties(rule()),
            "conditions": [{"event": "deadman", "metric": "a.*", "threshold": 1, "granularity": 0}],
        },
        {**rule_properties(rule()), "quorum": True},
        {**rule_properties(rule()), "sfc": 5},
    ],
)
def test_what_is_no_rule_is_an_error(broken: dict[str, object]) -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        read_rule(broken)  # type: ignore[arg-type]  # broken on purpose


def test_evaluations_counters_and_hysteresis_are_read() -> None:
    text = ALERTS.replace(
        "            metric: storage.requests\n",
        "            metric: storage.requests\n            metadata: {counter: true, hysteresis: 2.5}\n",
        1,
    ).replace("              threshold: 100\n", "              threshold: 100\n              evaluations: 3\n")
    many = found({ALERT_FILE: text})["crowd/many_requests"]

    assert many.evaluations == 3
    assert many.conditions[0].counter
    assert many.conditions[0].hysteresis == 2.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("threshold: 100\n", 'threshold: "100"\n', "'threshold' must be a number, not the text '100'"),
        ("threshold: 100\n", "threshold: 100\n              evaluations: 0\n", "'evaluations' must be a whole number"),
        ("granularity: 60\n", "granularity: 1.5\n", "'granularity' must be a whole number from 1"),
        ("comparison_operator: gt", "comparison_operator: above", "'comparison_operator' cannot be"),
        ("aggregation_method: mean", "aggregation_method: average", "'aggregation_method' cannot be"),
        ("event_type: threshold", "event_type: treshold", "did you mean 'threshold'?"),
        ("flame_location: edge-1", "location: edge-1", "'location' is no tag of a resource"),
        ("metric: storage.requests", "metric: storage", "'metric' must be <measurement>.<field>"),
        ("http://127.0.0.1:9/alerts", "ftp://duty", "'ftp://duty' is no handler"),
        ("          many_requests:", "          most_requests:", "'constraint: clmc::most_requests'"),
        ("    - crowd:", "    - crowds:", "needs a StateChange or Scaling policy 'crowds'"),
        ("sfc: tour,", "sfc: other,", "metadata.sfc is 'other', but"),
        (
            "metric: storage.requests\n",
            "metric: storage.requests\n            metadata: {hysteresis: -1}\n",
            "'hysteresis'",
        ),
        ("metric: storage.requests\n", "metric: storage.requests\n            metadata: {counter: 7}\n", "'counter'"),
    ],
)
def test_what_an_alerts_spec_may_not_say_is_a_fault(old: str, new: str, message: str) -> None:
    assert any(message in fault for fault in faults({ALERT_FILE: ALERTS.replace(old, new, 1)}))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{scale_out: 2}", "{scale_up: 2}", "cannot have 'scale_up'"),
        ("{scale_out: 2}", "{scale_out: 2, scale_in: 1}", "needs exactly one of scale_out"),
        ("{scale_out: 2}", '{scale_out: "2"}', "'scale_out' must be a whole number from 0, not the text '2'"),
        ("{scale_out: 2}", "{scale_out: -1}", "'scale_out' must be a whole number"),
        ("{frontend: {scale_out", "{frontends: {scale_out", "there is no node 'frontends' to scale"),
        ("clmc::long_queue", "clmc::", "a trigger of a Scaling has a condition"),
        ("max_instances: 5,", "min_instances: 7, max_instances: 5,", "min_instances is 7, more than max_instances, 5"),
        ("max_instances: 5,", "pool_size: -1,", "pool_size"),
        ("max_instances: 5,", "mode: sometimes,", "mode"),
    ],
)
def test_what_a_scaling_policy_may_not_say_is_a_fault(old: str, new: str, message: str) -> None:
    assert any(message in fault for fault in faults({SERVICE_FILE: SERVICE.replace(old, new, 1)}))


def baton(kind: str = "VOTED", more: str = "") -> str:
    return SERVICE.replace(
        "properties: {max_instances: 5, cooldown: 30 s}",
        f"""properties:
          max_instances: 5
          auto_scale_policy:
            - name: busy
              threshold: 60.0
              comparisonOperator: ">="
              period: 30
              mode: REACTIVE
              type: {kind}
              alarms:
                - {{metric: CONSUMED_CAPACITY, statistic: avg, comparisonOperator: ">=", threshold: 140.0, weight: 1.0}}
                - {{metric: host.load, statistic: max, comparisonOperator: ">", threshold: 3.0, weight: 3.0}}
              actions: [{{type: SCALE_OUT, value: "1"}}]{more}""",
    )


def test_open_batons_policy_is_a_rule_with_weights() -> None:
    weighted, voted = (found({SERVICE_FILE: baton(kind)})["queue/busy"] for kind in ("WEIGHTED", "VOTED"))

    assert [one.weight for one in weighted.conditions] == [1, 3]
    assert [one.weight for one in voted.conditions] == [1, 1]
    assert str(voted.conditions[0]) == "mean(CONSUMED_CAPACITY.value) >= 140 over 30 s where flame_sf=frontend"
    assert str(voted.conditions[1]) == "max(host.load) > 3 over 30 s where flame_sf=frontend"
    assert (voted.quorum, voted.quorum_operator, voted.repeats, voted.moves) == (60, "gte", True, True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mode: REACTIVE", "mode: PROACTIVE", "REACTIVE"),
        ("type: SCALE_OUT,", "type: SCALE_SIDEWAYS,", "SCALE_OUT"),
        ('value: "1"', 'value: "one"', "value"),
        ("statistic: avg", "statistic: mean", "avg"),
        ("period: 30", "period: 0", "period"),
    ],
)
def test_what_open_batons_policy_may_not_say_is_a_fault(old: str, new: str, message: str) -> None:
    assert any(message in fault for fault in faults({SERVICE_FILE: baton().replace(old, new, 1)}))


def tosca(condition: str, action: str = "[{call_operation: scale_out}]") -> dict[str, str]:
    rows = ("native:", "  event: load", f"  condition: {condition}", f"  action: {action}")
    trigger = "".join(f"{' ' * 10}{row}\n" for row in rows)
    return {SERVICE_FILE: SERVICE.replace("          in:\n", f"{trigger}          in:\n")}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "{constraint: 'cpu.usage greater_than 80%', period: 2 m, evaluations: 2, method: maximum}",
            "max(cpu.usage) > 80 over 120 s where flame_sf=frontend",
        ),
        (
            "[{utilization: [{greater_or_equal: 50}]}]",
            "mean(utilization.value) >= 50 over 60 s where flame_sf=frontend",
        ),
        (
            "[{cpu.usage: [{greater_than: 20}, {less_than: 30}]}]",
            ">= 100 % of: 1 x mean(cpu.usage) > 20 over 60 s where flame_sf=frontend; "
            "1 x mean(cpu.usage) < 30 over 60 s where flame_sf=frontend",
        ),
        (
            "[{or: [{cpu.usage: [{equal: 1}]}, {mem.used: [{less_or_equal: 2.5}]}]}]",
            "> 0 % of: 1 x mean(cpu.usage) = 1 over 60 s where flame_sf=frontend; "
            "1 x mean(mem.used) <= 2.5 over 60 s where flame_sf=frontend",
        ),
    ],
)
def test_triggers_of_tosca_are_rules(written: str, expected: str) -> None:
    native = found(tosca(written))["queue/native"]

    assert str(native) == expected
    assert native.moves
    assert native.repeats
    assert native.evaluations == (2 if "evaluations" in written else 1)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("[{not: [{cpu.usage: [{greater_than: 20}]}]}]", "cannot be watched"),
        ("{constraint: 'it is too hot'}", "is no comparison such as"),
        ("[{cpu.usage: [{in_range: [1, 2]}]}]", "there is no 'in_range'"),
        ("[{cpu.usage: [{greater_than: much}]}]", "is no number to compare with"),
        ("{constraint: 'cpu.usage greater_than 1', method: guess}", "there is no 'guess'"),
        ("[]", "compares nothing"),
    ],
)
def test_a_trigger_that_cannot_be_mapped_is_a_warning(written: str, reason: str) -> None:
    assert any("'native' is not watched" in fault and reason in fault for fault in faults(tosca(written)))
    assert "queue/native" not in found(tosca(written))


def test_a_service_without_alerts_has_only_its_own_rules() -> None:
    assert rules_of(service(), ()) == ()
