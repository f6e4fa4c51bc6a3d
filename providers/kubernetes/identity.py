"""Which object of which cluster: the provider's id, as text and taken apart. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

from providers.base import PermanentError

_ID = re.compile(r"(?P<cluster>[^:/]+):(?P<resource>[^/]+)/(?P<namespace>[^/]*)/(?P<name>[^/#]+)#(?P<uid>.+)")


class Identity(Struct, frozen=True):
    """One object, the one that has this uid and no successor of the same name."""

    cluster: str
    """One of those behind its API server, always the first."""
    resource: str
    """With its group, e.g. `deployments.apps`."""
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.cluster}:{self.resource}/{self.namespace}/{self.name}#{self.uid}"


def uid_of(text: str) -> str:
    """Give the uid that a provider's id ends with."""
    return text.partition("#")[2]


def parse_identity(text: str) -> Identity:
    """Take a provider's id apart; `PermanentError` for anything else."""
    match = _ID.fullmatch(text)
    if match is None:
        raise PermanentError(
            f"{text!r} names no object; it should look like edge-1:deployments.apps/tour-edge-1/web#<uid>"
        )
    return Identity(**match.groupdict())
