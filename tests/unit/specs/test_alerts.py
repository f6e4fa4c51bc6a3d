from __future__ import annotations

import pytest

from specs.catalogue import Catalogue
from tests.support.spec_files import SITE, catalogue_of, codes, service_document

HEAD = "tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0\nimports: [flame_clmc_alerts_definitions.yaml]\n"
ALERTS = f"""{HEAD}metadata: {{sfc: tour, sfci: tour-1}}
topology_template:
  policies:
    - crowd:
        type: eu.ict-flame.policies.StateChange
        triggers:
          busy:
            event_type: threshold
            metric: storage.requests
            condition:
              threshold: 100
              granularity: 60
              aggregation_method: mean
              comparison_operator: gt
              resource_type: {{flame_sfp: storage}}
            action:
              implementation: [flame_sfemc, "http://alerts.example.org/hi"]
"""
STATE = "eu.ict-flame.sfe.state.lifecycle."
SERVICE = service_document(
    "store: {type: eu.ict-flame.nodes.ServiceFunction, properties: {image_url: x}}",
    f"""
    policies:
      - first:
          type: eu.ict-flame.policies.InitialPolicy
          triggers:
            t:
              condition: {{constraint: initialise}}
              action: {{store: {{lifecycle_actions: {{dc-1: {STATE}placed}}}}}}
      - crowd:
          type: eu.ict-flame.policies.StateChange
          triggers:
            up:
              condition: {{constraint: clmc::busy}}
              action: {{store: {{lifecycle_actions: {{dc-1: {STATE}booted}}}}}}
    """,
).replace("imports:", "metadata: {sfc: tour, sfci: tour-1}\nimports:")


def alerts(text: str) -> Catalogue:
    """Read a repository with only an alerts document."""
    return catalogue_of({"policies/alerts.yaml": text})


def found(text: str) -> list[str]:
    """Give what is said about an alerts document, without that it is alone."""
    return [f"{one.line} {one.code}" for one in alerts(text).diagnostics if one.code != "alerts-alone"]


def test_an_alerts_document_is_kept_as_written() -> None:
    (one,) = alerts(ALERTS).alerts

    assert (one.name, one.sfc, one.sfci) == ("alerts", "tour", "tour-1")
    trigger = one.policies["crowd"].triggers["busy"]
    assert trigger.event == "threshold"
    assert trigger.condition == {
        "metric": "storage.requests",
        "threshold": 100,
        "granularity": 60,
        "aggregation_method": "mean",
        "comparison_operator": "gt",
        "resource_type": {"flame_sfp": "storage"},
    }
    assert trigger.action == {"implementation": ["flame_sfemc", "http://alerts.example.org/hi"]}
    assert trigger.position.line == 9


@pytest.mark.parametrize("event", ["threshold", "relative", "deadman"])
def test_every_event_type_is_known(event: str) -> None:
    assert found(ALERTS.replace("event_type: threshold", f"event_type: {event}")) == []


@pytest.mark.parametrize("operator", ["lt", "gt", "lte", "gte", "eq", "neq"])
def test_every_operator_is_known(operator: str) -> None:
    assert found(ALERTS.replace("operator: gt", f"operator: {operator}")) == []


@pytest.mark.parametrize("method", ["count", "mean", "median", "mode", "sum", "first", "last", "max", "min"])
def test_every_aggregation_is_known(method: str) -> None:
    assert found(ALERTS.replace("method: mean", f"method: {method}")) == []


def test_a_relative_threshold_may_be_negative_and_broken() -> None:
    assert found(ALERTS.replace("event_type: threshold", "event_type: relative").replace("100", "-7.5")) == []


def test_a_deadman_needs_no_aggregation_and_no_operator() -> None:
    text = ALERTS.replace("event_type: threshold", "event_type: deadman")
    text = "".join(line for line in text.splitlines(True) if "aggregation" not in line and "comparison" not in line)

    assert found(text) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("event_type: threshold", "event_type: treshold", "10 wrong-type"),
        ("event_type: threshold", "description: x", "9 missing-key"),
        ("metric: storage.requests", "metric: requests", "11 wrong-type"),
        ("metric: storage.requests", "metric: 5", "11 wrong-type"),
        ("            metric: storage.requests\n", "", "9 missing-key"),
        ("threshold: 100", "threshold: '100'", "13 wrong-type"),
        ("threshold: 100", "threshold: true", "13 wrong-type"),
        ("              threshold: 100\n", "", "12 missing-key"),
        ("granularity: 60", "granularity: 1.5", "14 wrong-type"),
        ("granularity: 60", "granularity: -5", "14 wrong-type"),
        ("granularity: 60", "granularity: 0", "14 wrong-type"),
        ("granularity: 60", "granularity: 1 m", "14 wrong-type"),
        ("method: mean", "method: average", "15 wrong-type"),
        ("operator: gt", "operator: '>'", "16 wrong-type"),
        ("flame_sfp: storage", "sfp: storage", "17 unknown-tag"),
        ("flame_sfp: storage", "flame_sfp: {a: b}", "17 wrong-type"),
        ("{flame_sfp: storage}", "[flame_sfp]", "17 wrong-shape"),
        ("flame_sfemc, ", "flame_semc, ", "19 wrong-handler"),
        ("http://alerts", "ftp://alerts", "19 wrong-handler"),
        ('[flame_sfemc, "http://alerts.example.org/hi"]', "[]", "19 missing-key"),
        ('[flame_sfemc, "http://alerts.example.org/hi"]', "flame_sfemc", "19 wrong-shape"),
        ("condition:", "conditions:", "12 unknown-key"),
        ("granularity:", "period_s:", "14 unknown-key"),
        ("sfc: tour, ", "", "3 missing-key"),
        ("{sfc: tour, sfci: tour-1}", "[]", "3 wrong-shape"),
        ("  policies:", "  node_templates: {}\n  policies:", "5 not-of-alerts"),
        ("        triggers:", "        properties: {x: 1}\n        triggers:", "8 unknown-property"),
        ("policies.StateChange", "policies.Change", "7 unknown-type"),
    ],
)
def test_what_is_wrong_with_an_alert_is_found_at_its_place(old: str, new: str, fault: str) -> None:
    assert fault in found(ALERTS.replace(old, new))


def test_a_document_with_only_watched_metrics_is_an_alerts_document_without_the_import() -> None:
    text = ALERTS.replace("imports: [flame_clmc_alerts_definitions.yaml]", "imports: [flame_definitions.yaml]")

    assert len(alerts(text).alerts) == 1


# --- both documents ---


def both(alerts_text: str = ALERTS, service_text: str = SERVICE) -> Catalogue:
    """Read a repository with both documents of a chain."""
    return catalogue_of({"sites/lab.yaml": SITE, "specs/tour.yaml": service_text, "policies/alerts.yaml": alerts_text})


def test_documents_of_one_chain_fit_together() -> None:
    assert both().diagnostics == ()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("- crowd:", "- croud:"), 6),
        (("busy:", "bussy:"), 9),
        (("sfc: tour", "sfc: town"), 1),
    ],
)
def test_what_does_not_fit_is_an_error_at_the_alert(change: tuple[str, str], line: int) -> None:
    found = both(ALERTS.replace(*change)).diagnostics

    (only,) = [one for one in found if one.severity == "error"]
    assert (only.file, only.line, only.code) == ("policies/alerts.yaml", line, "alerts-mismatch")


def test_alerts_that_only_tell_urls_may_have_any_name() -> None:
    text = ALERTS.replace("flame_sfemc, ", "").replace("- crowd:", "- other:")

    assert {one.code for one in both(text).diagnostics} == {"never-fired"}


def test_a_change_that_no_alert_fires_is_mentioned() -> None:
    found = both(service_text=SERVICE.replace("clmc::busy", "clmc::calm"))

    assert sorted(codes(found)) == ["alerts-mismatch", "never-fired"]


def test_alerts_of_no_chain_are_mentioned() -> None:
    assert codes(both(ALERTS.replace("sfci: tour-1", "sfci: tour-2"))) == ["alerts-alone"]


def test_a_service_without_alerts_is_no_fault() -> None:
    assert catalogue_of({"sites/lab.yaml": SITE, "specs/tour.yaml": SERVICE}).diagnostics == ()
