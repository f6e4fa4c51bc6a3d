"""Objects are seen through what is wanted of them: defaults never show, changes show exactly."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Mark, PermanentError
from providers.kubernetes.errors import Claim
from providers.kubernetes.ownership import contested, owned_fields, owned_keys, simulated
from providers.kubernetes.shape import covers, fill, manifest_of, parts_of, rolls_with_of, seen_through
from specs.model import Address, Resource
from specs.values import Reference, Secret, Value

ADDRESS = Address("lab/tour/web@edge-1.0:kubernetes.deployment")
MARK = Mark("repo", ADDRESS, "d1")
WANTED: dict[str, Any] = {
    "labels": {"app": "web"},
    "spec.replicas": 2,
    "spec.template": {
        "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}
    },
}
DEFAULTS: dict[str, Any] = {
    "labels": {"app": "web", "theirs": "1"},
    "spec.replicas": 2,
    "spec.revisionHistoryLimit": 10,
    "spec.template": {
        "spec": {
            "restartPolicy": "Always",
            "containers": [
                {"name": "sidecar", "image": "mesh:1"},
                {
                    "name": "web",
                    "image": "web:1",
                    "imagePullPolicy": "Always",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                },
            ],
        }
    },
}


def live(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DEFAULTS), **changes}


def resource(kind: str = "deployment", **properties: Value) -> Resource:
    base: dict[str, Value] = {"cluster": "edge-1", "namespace": "ns", "name": "web"}
    return Resource(
        address=Address(f"lab/tour/web@edge-1.0:kubernetes.{kind}"), binding="kube", properties={**base, **properties}
    )


def test_defaults_and_what_others_add_are_covered() -> None:
    assert covers(WANTED, live())
    assert seen_through(WANTED, live(), live()) == WANTED


@pytest.mark.parametrize(
    ("name", "value"),
    [("spec.replicas", 3), ("labels", {}), ("spec.template", {"spec": {"containers": []}}), ("spec.replicas", True)],
)
def test_what_differs_is_not_covered(name: str, value: Value) -> None:
    assert not covers(WANTED, live(**{name: value}))


def test_only_what_applying_would_change_is_shown() -> None:
    seen = live()
    seen["spec.template"]["spec"]["containers"][1]["image"] = "evil:1"
    shown: Any = seen_through(WANTED, seen, live())

    assert shown["spec.template"]["spec"]["containers"] == [
        {"name": "web", "image": "evil:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
    ]
    assert {name for name in shown if shown[name] != WANTED[name]} == {"spec.template"}


def test_another_spelling_of_the_same_is_no_difference() -> None:
    wanted = {"spec.resources": {"cpu": "1000m"}}

    assert seen_through(wanted, {"spec.resources": {"cpu": "1"}}, {"spec.resources": {"cpu": "1"}}) == wanted


def test_what_applying_would_take_away_is_shown() -> None:
    seen = live(**{"spec.paused": True})

    assert seen_through(WANTED, seen, live()) == {**WANTED, "spec.paused": True}


def test_what_applying_would_reset_is_shown() -> None:
    assert seen_through({"spec": {}}, {"spec": {"grace": 5}}, {"spec": {"grace": 30}}) == {"spec": {"grace": 5}}


def test_an_item_applying_would_remove_is_shown() -> None:
    wanted, there = [{"name": "a"}], [{"name": "a"}, {"name": "b"}]

    assert seen_through(wanted, there, [{"name": "a"}]) == there


def test_what_is_known_later_is_taken_from_what_is_there() -> None:
    reference = Reference("lab/tour/db@edge-1.0:kubernetes.service", "private_address")

    assert fill({"data": {"DB": reference, "A": "b"}}, {"data": {"DB": "10.0.0.1"}}) == {
        "data": {"DB": "10.0.0.1", "A": "b"}
    }
    assert fill({"data": {"DB": reference}}, {"data": {}}) == {"data": {}}
    assert covers({"data": {"DB": reference}}, {"data": {"DB": "10.0.0.1"}})


words = st.sampled_from(["name", "spec", "a", "b"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_everything_covers_itself_and_is_seen_as_itself(value: Any) -> None:
    seen = copy.deepcopy(value)

    assert value is None or covers(value, seen)
    assert seen_through(value, seen, seen) == value


@given(plain, plain, plain)
def test_nothing_is_called_equal_that_applying_would_change(wanted: Any, there: Any, answer: Any) -> None:
    """If the server would leave all as it is, nothing is shown as changed."""
    if answer == there:
        assert seen_through(wanted, there, answer) == fill(wanted, there)


def test_an_object_is_put_together_and_taken_apart_again() -> None:
    properties = {**WANTED, "annotations": {"note": "1"}}
    body = manifest_of(resource(**properties), "apps/v1", "Deployment", MARK)

    assert body["metadata"]["annotations"]["tosca-reconciler/address"] == ADDRESS
    assert body["metadata"]["labels"]["tosca-reconciler/site"] == "lab"
    assert parts_of(body) == properties


def test_what_pods_roll_with_is_no_part_of_their_template() -> None:
    rolls_with: Value = {"config": "d1", "secrets": {"PASSWORD": Secret("DB", "d2", "text")}}
    body = manifest_of(resource(**WANTED, rolls_with=rolls_with), "apps/v1", "Deployment", MARK)

    assert parts_of(body) == WANTED
    assert rolls_with_of(body) == {"config": "d1", "secrets": {"PASSWORD": Secret("DB", "d2")}}
    assert "text" not in repr(body)


def test_secrets_are_written_encoded_and_recorded_by_digest() -> None:
    data: Value = {"PASSWORD": Secret("DB", "d2", "pass"), "PLAIN": "a"}
    body = manifest_of(resource("secret", type="Opaque", data=data), "v1", "Secret", MARK)

    assert body["data"] == {"PASSWORD": "cGFzcw==", "PLAIN": "YQ=="}
    assert body["metadata"]["annotations"]["tosca-reconciler/secrets"] == (
        '{"PASSWORD":{"$secret":["DB","d2"]},"PLAIN":"a"}'
    )


def test_a_secret_elsewhere_is_refused() -> None:
    with pytest.raises(PermanentError, match="the secret 'DB' where Kubernetes would show it"):
        manifest_of(resource(args=[Secret("DB", "d", "text")]), "apps/v1", "Deployment", MARK)


# --- who owns what ---

FIELDS = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:paused": {},
        "f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}}}},
    },
}


def managed(*entries: tuple[str, str, Any]) -> dict[str, Any]:
    return {"managedFields": [{"manager": m, "operation": o, "fieldsV1": f} for m, o, f in entries]}


def test_what_we_own_and_no_longer_want_goes_in_a_simulation() -> None:
    seen = live(**{"spec.paused": True})
    wanted = {name: value for name, value in WANTED.items() if name != "labels"}
    after = simulated(wanted, seen, FIELDS)

    assert "spec.paused" not in after
    assert after["labels"] == {"theirs": "1"}
    assert [item["name"] for item in after["spec.template"]["spec"]["containers"]] == ["web", "sidecar"]
    assert seen_through(wanted, seen, after) == {**wanted, "labels": {"app": "web", "theirs": "1"}, "spec.paused": True}


def test_a_simulation_of_what_is_there_changes_nothing() -> None:
    assert seen_through(WANTED, live(), simulated(WANTED, live(), FIELDS)) == WANTED


def test_ours_is_what_we_applied() -> None:
    metadata = managed(("kubectl", "Apply", {}), ("tosca-reconciler", "Apply", {"f:data": {".": {}, "f:A": {}}}))

    assert owned_fields(metadata) == {"f:data": {".": {}, "f:A": {}}}
    assert owned_keys(metadata, "data") == {".", "A"}
    assert owned_fields({}) == {}


def test_only_those_who_apply_can_contest_a_field() -> None:
    metadata = managed(
        ("kubectl-scale", "Update", {}), ("helm", "Apply", {}), ("kubectl-client-side-apply", "Update", {})
    )
    claims = tuple(Claim(name, ".spec.replicas") for name in ("kubectl-scale", "helm", "kubectl-client-side-apply"))

    assert [claim.manager for claim in contested(claims, metadata)] == ["helm", "kubectl-client-side-apply"]
