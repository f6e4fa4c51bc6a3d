"""Translates what an API server answers into errors that say what can be done."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct

from providers.base import PermanentError, ProviderError, QuotaExceeded, TransientError

_MANAGER = re.compile(r'conflict with "([^"]+)"')
_FIXED = re.compile(r"immutable|updates to|updates may not|may not (be )?change|can ?not (be unset|change)")
"""How API servers say that a field cannot change in place."""
_UNAUTHORISED, _FORBIDDEN, _MISSING, _CONFLICT, _EXPIRED, _INVALID, _TOO_MANY = 401, 403, 404, 409, 410, 422, 429


class Gone(PermanentError):  # noqa: N818 — a state of affairs, told by its name
    """What was asked for is not there."""


class Expired(TransientError):  # noqa: N818
    """The server has forgotten the version a list or a watch goes on from; it has to begin anew."""


class Unchangeable(PermanentError):  # noqa: N818
    """A field cannot change in place; `fields` says which."""

    def __init__(self, message: str, fields: tuple[str, ...]) -> None:
        super().__init__(message)
        self.fields = fields


class Moved(TransientError):  # noqa: N818
    """Somebody else was faster; look again."""


class Forbidden(PermanentError):  # noqa: N818
    """Our user may not do this; another may."""


class Claim(Struct, frozen=True):
    """A field another manager owns."""

    manager: str
    field: str


class Claimed(PermanentError):  # noqa: N818
    """Other managers own fields we want; `claims` says who owns which."""

    def __init__(self, message: str, claims: tuple[Claim, ...]) -> None:
        super().__init__(message)
        self.claims = claims


class Answer(Struct, frozen=True):
    """A failure as it came."""

    status: int
    body: bytes
    retry_after: str = ""


def failure(what: str, answer: Answer) -> ProviderError:
    """Give the error an answer means; `what` says what was tried."""
    said = _status(answer.body)
    message = f"{what}: {said.get('message') or answer.body[:200].decode(errors='replace') or 'no reason given'}"
    causes = (said.get("details") or {}).get("causes") or []
    match answer.status:
        case status if status == _UNAUTHORISED:
            return PermanentError(f"{message}; the credentials are wrong or have expired, renew them in the kubeconfig")
        case status if status == _FORBIDDEN:
            return _forbidden(message, str(said.get("message", "")), causes)
        case status if status == _MISSING:
            return Gone(message)
        case status if status == _CONFLICT:
            return _conflict(what, message, causes)
        case status if status == _EXPIRED:
            return Expired(message)
        case status if status == _INVALID:
            return _invalid(message, causes)
        case status if status == _TOO_MANY or status >= 500:
            return TransientError(message, _delay(answer.retry_after))
    return PermanentError(message)


def _forbidden(message: str, said: str, causes: list[Any]) -> ProviderError:
    if "exceeded quota" in said:
        return QuotaExceeded(f"{message}; raise the quota or want less")
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes) or "being terminated" in said:
        return TransientError(message)
    if " cannot " in said:
        return Forbidden(f"{message}; grant it to the user of the kubeconfig, see rbac.yaml of the provider")
    return PermanentError(message)


def _conflict(what: str, message: str, causes: list[Any]) -> ProviderError:
    claims = tuple(
        Claim(match[1], str(cause.get("field", "")))
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict" and (match := _MANAGER.search(str(cause.get("message", ""))))
    )
    if claims:
        return Claimed(f"{what}: {told(claims)}", claims)
    return Moved(message)


def told(claims: tuple[Claim, ...]) -> str:
    """Say who owns which fields and what can be done."""
    owners: dict[str, list[str]] = {}
    for claim in claims:
        owners.setdefault(claim.manager, []).append(claim.field)
    whose = "; ".join(f"{name} owns {', '.join(sorted(fields))}" for name, fields in sorted(owners.items()))
    return f"{whose}; let it go there, or take it with `kubernetes: {{force: true}}` at the node"


def _invalid(message: str, causes: list[Any]) -> ProviderError:
    fields = tuple(str(cause.get("field", "")) for cause in causes if _FIXED.search(str(cause.get("message", ""))))
    return Unchangeable(message, fields) if fields else PermanentError(message)


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _delay(text: str) -> timedelta | None:
    return timedelta(seconds=int(text)) if text.isdigit() else None
