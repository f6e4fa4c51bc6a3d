"""Turns what OpenStack answers into errors of the protocol, in words an operator can act on. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta

from providers.base import PermanentError, ProviderError, QuotaExceeded, TransientError

_QUOTA = re.compile(
    r"quota|no more (ip )?addresses|ip ?address(es)? .*(exhaust|available)|over ?limit|exceeds", re.IGNORECASE
)
_NAMED = re.compile(r"resources:? \[?([^\].]+)")
_TAKEN = re.compile(r"already exists|already associated|is in use by|duplicate", re.IGNORECASE)


class Gone(PermanentError):  # noqa: N818 — a word for what happened, as QuotaExceeded
    """The object is not there."""


class Refused(PermanentError):  # noqa: N818 — a word for what happened, as QuotaExceeded
    """The credentials are not allowed to do it."""


class Missing(PermanentError):  # noqa: N818 — a word for what happened, as QuotaExceeded
    """The cloud does not have this service or extension."""


def error_of(status: int, body: str, doing: str, retry_after: str = "") -> ProviderError:
    """Give the error for an answer with an error status; `doing` says what was tried, e.g. `create server web`."""
    said = said_in(body)
    text = f"cannot {doing}: {said or 'no reason given'} (HTTP {status})"
    wait = _seconds(retry_after)
    match status:
        case 401:
            return Refused(f"cannot {doing}: the credentials are not accepted (HTTP 401); check clouds.yaml or OS_*")
        case 403 | 409 | 413 if _QUOTA.search(said):
            return QuotaExceeded(_quota_words(doing, said, status))
        case 403:
            return Refused(f"{text}; ask for the role, or let somebody else make it and name it in the spec")
        case 404:
            return Gone(text)
        case 409 if _TAKEN.search(said) and "in use by" not in said.lower():
            return PermanentError(text)
        case 408 | 409 | 413 | 423 | 425 | 429:
            return TransientError(text, wait)
        case _ if status >= 500:
            return TransientError(f"{text}; the service is in trouble, its own log says more", wait)
    return PermanentError(text)


def said_in(body: str) -> str:
    """Find the sentence for people in the answer of any of the services."""
    try:
        found = json.loads(body)
    except ValueError:
        plain = re.sub(r"<(title|head|style)[^>]*>.*?</\1>|<[^>]+>", " ", body, flags=re.DOTALL)
        return " ".join(plain.split())[:300]
    while isinstance(found, Mapping):
        message = found.get("message") or found.get("title")
        inner = found.get("error")
        if isinstance(message, str) and not isinstance(inner, Mapping):
            return " ".join(message.split())
        found = (
            inner if isinstance(inner, Mapping) else next((v for v in found.values() if isinstance(v, Mapping)), None)
        )
    return ""


def _quota_words(doing: str, said: str, status: int) -> str:
    return f"cannot {doing}: {said.rstrip('. ')} (HTTP {status}); free some, or ask for a larger quota"


def quota_named(said: str) -> str:
    """Give the quota an answer names, e.g. `port`; empty if it names none."""
    match = _NAMED.search(said)
    return match[1].strip("'\" ") if match else ""


def _seconds(text: str) -> timedelta | None:
    return timedelta(seconds=min(float(text), 600.0)) if re.fullmatch(r"\d+(\.\d+)?", text) else None
