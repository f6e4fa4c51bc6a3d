from __future__ import annotations

import pytest

from specs.model import LifecycleState
from tests.support.spec_files import SITE, catalogue_of, faults, messages, service, service_document

FUNCTIONS = """
front: {type: eu.ict-flame.nodes.ServiceFunction, properties: {image_url: x, fqdn: [front.example.org]}}
store: {type: eu.ict-flame.nodes.ServiceFunction, properties: {image_url: x}}
box: {type: tosca.nodes.Compute}
"""
STATE = "eu.ict-flame.sfe.state.lifecycle."


def initial(action: str, condition: str = "{constraint: initialise}") -> str:
    """Write a service whose InitialPolicy has the action in line 17."""
    return service_document(
        FUNCTIONS,
        f"""
        policies:
          - first:
              type: eu.ict-flame.policies.InitialPolicy
              properties: {{parent: shop}}
              triggers:
                begin:
                  condition: {condition}
                  action:
                    store: {{lifecycle_actions: {{dc-1: {STATE}connected}}}}
                    {action}
        """,
    )


def change(condition: str, action: str = f"{{store: {{lifecycle_actions: {{edge-1: {STATE}booted}}}}}}") -> str:
    """Write a service whose StateChange has its trigger in line 13."""
    rest = f"""
        policies:
          - first:
              type: eu.ict-flame.policies.StateChange
              triggers:
                t: {{condition: {condition}, action: {action}}}
        """
    return service_document(FUNCTIONS, rest)


def test_the_initial_policy_becomes_states_by_function_and_cluster() -> None:
    found = service(initial(f"front: {{lifecycle_actions: {{edge-1: {STATE}placed, dc-1: {STATE}unplaced}}}}"))

    assert found.states == {
        "front": {"dc-1": LifecycleState.UNPLACED, "edge-1": LifecycleState.PLACED},
        "store": {"dc-1": LifecycleState.CONNECTED},
    }


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (f"from: {{lifecycle_actions: {{edge-1: {STATE}placed}}}}", "unknown-node"),
        (f"box: {{lifecycle_actions: {{edge-1: {STATE}placed}}}}", "wrong-target"),
        (f"front: {{lifecycle_actions: {{edge-9: {STATE}placed}}}}", "unknown-cluster"),
        (f"front: {{lifecycle_actions: {{edge-1: {STATE}running}}}}", "unknown-state"),
        ("front: {lifecycle_actions: {edge-1: connected}}", "unknown-state"),
        ("front: {lifecycle_actions: {edge-1: 5}}", "wrong-shape"),
        (f"front: {{lifecycle_actions: {{edge-1: {STATE}booting}}}}", "transient-state"),
        (f"front: {{lifecycle_actions: {{edge-1: {STATE}placing}}}}", "transient-state"),
        (f"front: {{lifecycle_actions: {{edge-1: {STATE}connecting}}}}", "transient-state"),
        (f"front: {{lifecycle_actions: {{edge-1: {STATE}boot_failed}}}}", "transient-state"),
        ("front: {lifecycle_actions: [edge-1]}", "wrong-shape"),
        ("front: {}", "missing-key"),
        ("front: placed", "wrong-shape"),
        (f"front: {{state: x, lifecycle_actions: {{edge-1: {STATE}placed}}}}", "unknown-key"),
        (f"front: {{fqdn: other.example.org, lifecycle_actions: {{edge-1: {STATE}placed}}}}", "unknown-fqdn"),
    ],
)
def test_what_is_wrong_with_an_action_is_found_at_its_place(action: str, code: str) -> None:
    assert f"17 {code}" in faults(initial(action))


def test_a_transient_state_is_explained() -> None:
    found = messages(initial(f"front: {{lifecycle_actions: {{edge-1: {STATE}booting}}}}"))

    assert f"'booting' is passed through and cannot be wanted; write {STATE}booted" in found


def test_a_function_may_have_one_state_on_a_cluster() -> None:
    twice = f"{{lifecycle_actions: {{dc-1: {STATE}placed}}}}"
    begin = "{condition: {constraint: initialise}, action: {store: " + twice + "}}"
    policy = f"{{type: eu.ict-flame.policies.InitialPolicy, triggers: {{begin: {begin}}}}}"

    found = faults(service_document(FUNCTIONS, f"policies: [{{first: {policy}}},\n{{second: {policy}}}]"))

    assert "9 duplicate-state" in found


@pytest.mark.parametrize("condition", ["{constraint: initialize}", "{constraint: 'clmc::x'}", "{}", "[]"])
def test_an_initial_policy_begins_with_initialise(condition: str) -> None:
    text = initial(f"front: {{lifecycle_actions: {{edge-1: {STATE}placed}}}}", condition)

    assert any("wrong-constraint" in fault for fault in faults(text))


def test_an_initial_policy_without_trigger_is_refused() -> None:
    text = service_document(FUNCTIONS, "policies: [p: {type: eu.ict-flame.policies.InitialPolicy}]")

    assert "8 missing-key" in faults(text)


def test_a_function_no_policy_places_is_mentioned() -> None:
    assert faults(service_document(FUNCTIONS)) == ["5 not-placed", "6 not-placed"]


def test_a_state_change_is_kept_as_written() -> None:
    found = service(change("{constraint: 'clmc::busy'}")).policies["first"]

    assert found.triggers["t"].condition == {"constraint": "clmc::busy"}
    assert found.triggers["t"].action == {"store": {"lifecycle_actions": {"edge-1": f"{STATE}booted"}}}


@pytest.mark.parametrize(
    ("condition", "action", "code"),
    [
        ("{constraint: busy}", "{}", "wrong-constraint"),
        ("{constraint: 'clmc::'}", "{}", "wrong-constraint"),
        ("{constraint: 5}", "{}", "wrong-constraint"),
        ("{}", "{}", "wrong-constraint"),
        ("{constraint: 'clmc::x'}", "[]", "wrong-shape"),
        ("{constraint: 'clmc::x'}", f"{{stor: {{lifecycle_actions: {{edge-1: {STATE}booted}}}}}}", "unknown-node"),
        ("{constraint: 'clmc::x'}", f"{{store: {{lifecycle_actions: {{edge: {STATE}booted}}}}}}", "unknown-cluster"),
        ("{constraint: 'clmc::x'}", "{store: {lifecycle_actions: {edge-1: up}}}", "unknown-state"),
    ],
)
def test_what_is_wrong_with_a_state_change_is_found(condition: str, action: str, code: str) -> None:
    assert f"12 {code}" in faults(change(condition, action))


def test_clusters_are_checked_against_every_site_the_service_runs_on() -> None:
    text = initial(f"front: {{lifecycle_actions: {{edge-1: {STATE}placed}}}}").replace(
        "imports:", "metadata: {sites: all}\nimports:"
    )
    other = SITE.replace("site: lab", "site: two").replace("edge-1:", "edge-2:")
    strange = SITE.replace("site: lab", "site: far").replace("edge-1:", "edge-3:").replace("dc-1:", "dc-3:")

    found = catalogue_of({"sites/lab.yaml": SITE, "sites/two.yaml": other, "specs/shop.yaml": text})
    wrong = catalogue_of({"sites/lab.yaml": SITE, "sites/far.yaml": strange, "specs/shop.yaml": text})

    assert "two has no cluster 'edge-1': nothing goes there" in "\n".join(map(str, found.diagnostics))
    assert all(one.severity == "warning" for one in found.diagnostics)
    assert "none of these clusters is on the site 'far'; known: dc-3, edge-3" in "\n".join(map(str, wrong.diagnostics))
    assert any(one.severity == "error" for one in wrong.diagnostics)
