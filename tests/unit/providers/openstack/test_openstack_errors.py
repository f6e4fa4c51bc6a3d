"""What the services answer becomes an error that says what to do; texts are those of real services."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from providers.base import PermanentError, ProviderError, QuotaExceeded, TransientError
from providers.openstack.errors import Gone, Refused, error_of, said_in


def nova(word: str, code: int, message: str) -> str:
    return json.dumps({word: {"code": code, "message": message}})


def neutron(kind: str, message: str) -> str:
    return json.dumps({"NeutronError": {"type": kind, "message": message, "detail": ""}})


QUOTA = "Quota exceeded for instances: Requested 1, but already used 4 of 4 instances"


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, nova("badRequest", 400, "Invalid key_name provided."), PermanentError, "Invalid key_name provided."),
        (401, json.dumps({"error": {"message": "No."}}), Refused, "check clouds.yaml"),
        (403, nova("forbidden", 403, QUOTA), QuotaExceeded, "already used 4 of 4 instances"),
        (403, nova("forbidden", 403, "Policy doesn't allow it"), Refused, "ask for the role"),
        (404, nova("itemNotFound", 404, "Instance x could not be found."), Gone, "could not be found"),
        (409, neutron("OverQuota", "Quota exceeded for resources: ['port']."), QuotaExceeded, "'port'"),
        (
            409,
            neutron("IpAddressGenerationFailure", "No more IP addresses available on network x."),
            QuotaExceeded,
            "No more IP",
        ),
        (
            409,
            neutron("NetworkInUse", "Unable to complete operation on network x."),
            TransientError,
            "Unable to complete",
        ),
        (
            409,
            nova("conflictingRequest", 409, "Cannot 'delete' instance x while it is in task_state"),
            TransientError,
            "task_state",
        ),
        (409, nova("conflictingRequest", 409, "Key pair 'k' already exists."), PermanentError, "already exists"),
        (
            413,
            "<html><head><title>413</title></head><body>Image storage quota exceeded</body></html>",
            QuotaExceeded,
            "storage quota",
        ),
        (413, nova("overLimit", 413, "This request was rate-limited."), TransientError, "rate-limited"),
        (429, "", TransientError, "no reason given"),
        (500, nova("computeFault", 500, "Unexpected API Error."), TransientError, "its own log"),
        (503, "<html><body><h1>503 Service Unavailable</h1></body></html>", TransientError, "503 Service Unavailable"),
        (504, "", TransientError, "HTTP 504"),
    ],
)
def test_answers_become_errors(status: int, body: str, kind: type[ProviderError], words: str) -> None:
    error = error_of(status, body, "create server web")

    assert type(error) is kind
    assert words in str(error)
    assert "create server web" in str(error)
    assert not str(error).endswith(".")


def test_a_service_says_when_to_come_back() -> None:
    error = error_of(429, "", "list servers", "7")

    assert isinstance(error, TransientError)
    assert error.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"a": 1}', '{"a": {"b": {}}}'])
def test_nonsense_says_nothing(body: str) -> None:
    assert said_in(body) in ("", "{", "[]", "null")
