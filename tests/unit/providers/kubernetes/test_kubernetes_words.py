"""Names Kubernetes takes, ids taken apart, answers translated."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import PermanentError, ProviderError, QuotaExceeded, TransientError
from providers.kubernetes.errors import Answer, Claimed, Expired, Forbidden, Gone, Moved, Unchangeable, failure
from providers.kubernetes.identity import Identity, parse_identity
from providers.kubernetes.naming import dns_label, label_value, mark_of
from providers.kubernetes.quantities import processors, size

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,90}", fullmatch=True)


@given(names, st.sampled_from([15, 52, 63]))
def test_names_are_dns_labels(name: str, limit: int) -> None:
    found = dns_label(name, limit)

    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", found)
    assert len(found) <= limit


@given(names)
def test_labels_are_what_kubernetes_takes(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", label_value(name))


def test_different_names_stay_different() -> None:
    assert dns_label("Web") != dns_label("web")
    assert dns_label("a_b") != dns_label("a-b")
    assert dns_label("web") == "web"


def test_an_id_is_read_as_it_was_written() -> None:
    identity = Identity("edge-1", "deployments.apps", "ns", "web", "1f-2e")

    assert parse_identity(str(identity)) == identity
    assert parse_identity("edge-1:namespaces//ns#1") == Identity("edge-1", "namespaces", "", "ns", "1")
    with pytest.raises(PermanentError, match="names no object"):
        parse_identity("web")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"tosca-reconciler/repository": "other"}, "annotations": {"tosca-reconciler/address": "a"}},
        {"labels": {"tosca-reconciler/repository": "repo"}},
        {"labels": {"tosca-reconciler/repository": "repo"}, "annotations": {"tosca-reconciler/address": "nonsense"}},
        {
            "labels": {"tosca-reconciler/repository": "repo"},
            "annotations": {"tosca-reconciler/address": "lab/tour/web@e.0:kubernetes.deployment"},
            "ownerReferences": [{"controller": True}],
        },
    ],
)
def test_what_is_no_mark_of_ours_is_none(metadata: dict[str, object]) -> None:
    assert mark_of(metadata, "repo") is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [("2 GB", "2G"), ("1500 MB", "1500M"), ("2.5 GB", "2500M"), ("512 MiB", "536870912"), ("1 B", "1"), (None, "")],
)
def test_sizes_are_written_as_the_server_does(written: str | None, meant: str) -> None:
    assert size(written) == meant


@pytest.mark.parametrize(("written", "meant"), [(2, "2"), (0.5, "500m"), (1.25, "1250m"), (True, ""), ("2", "")])
def test_processors_are_written_as_the_server_does(written: float | str, meant: str) -> None:
    assert processors(written) == meant


def said(message: str, **more: object) -> bytes:
    return json.dumps({"kind": "Status", "message": message, **more}).encode()


CONFLICT = {
    "causes": [
        {"reason": "FieldManagerConflict", "message": 'conflict with "helm" using apps/v1', "field": ".spec.replicas"}
    ]
}
IMMUTABLE = {"causes": [{"reason": "FieldValueInvalid", "message": "field is immutable", "field": "spec.selector"}]}
FULL = 'pods "x" is forbidden: exceeded quota: few'
DENIED = 'deployments.apps is forbidden: User "u" cannot list resource "deployments"'


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, said("Unauthorized"), PermanentError, "credentials are wrong"),
        (403, said(DENIED), Forbidden, "grant it"),
        (403, said(FULL), QuotaExceeded, "raise the quota"),
        (403, said("x because it is being terminated"), TransientError, "terminated"),
        (403, said("the webhook said no"), PermanentError, "webhook"),
        (404, said("not found"), Gone, "not found"),
        (409, said("Apply failed", details=CONFLICT), Claimed, r"helm owns \.spec\.replicas"),
        (409, said("the object has been modified"), Moved, "modified"),
        (410, said("The provided continue parameter is too old"), Expired, "too old"),
        (422, said("is invalid", details=IMMUTABLE), Unchangeable, "invalid"),
        (422, said("is invalid"), PermanentError, "invalid"),
        (429, said("slow down"), TransientError, "slow down"),
        (503, b"upstream is away", TransientError, "upstream is away"),
        (400, b"", PermanentError, "no reason given"),
        (500, b"[]", TransientError, r"\[\]"),
    ],
)
def test_answers_say_what_can_be_done(status: int, body: bytes, error: type[ProviderError], words: str) -> None:
    found = failure("GET /x", Answer(status, body))

    assert type(found) is error
    assert re.search(words, str(found))


@pytest.mark.parametrize(
    "message",
    [
        "field is immutable",
        "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
        "Invalid value: []string(nil): primary clusterIP can not be unset",
        'Invalid value: []string{"10.0.0.2"}: may not change once set',
        "Forbidden: may not be changed in an update.",
        "Invalid value: rbac.RoleRef{}: cannot change roleRef",
    ],
)
def test_fields_that_are_fixed_are_known_by_what_servers_say_of_them(message: str) -> None:
    causes = {"causes": [{"reason": "FieldValueInvalid", "message": message, "field": "spec.x"}]}
    found = failure("PATCH /x", Answer(422, said("is invalid", details=causes)))

    assert isinstance(found, Unchangeable)
    assert found.fields == ("spec.x",)


def test_the_wait_a_server_asks_for_is_handed_on() -> None:
    found = failure("GET /x", Answer(429, b"", "7"))

    assert isinstance(found, TransientError)
    assert found.retry_after == timedelta(seconds=7)
