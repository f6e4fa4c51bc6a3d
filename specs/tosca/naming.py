"""Names that addresses are made of, and how nodes of a compiled topology get theirs."""

from __future__ import annotations

import re

from msgspec import Struct

from specs.codec import ANY_SITE
from specs.model import Subject, subject
from specs.tosca.cursor import Cursor

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_MAX_LENGTH = 120


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a site, cluster, service or node."""
    return len(text) <= _MAX_LENGTH and _NAME.fullmatch(text) is not None


def need_name(text: str, what: str, cursor: Cursor, *, key: bool = True) -> bool:
    """Tell whether a text can be a name, and report if not."""
    if is_name(text):
        return True
    cursor.error(
        "bad-name",
        f"{text[:60]!r} cannot be the name of a {what}: it stands in addresses; use letters, digits, '_' and '-', "
        f"not '-' first, at most {_MAX_LENGTH}",
        key=key,
    )
    return False


class Naming(Struct, frozen=True):
    """The service a topology belongs to, and what the names of its nodes begin with there."""

    service: str
    prefix: str = ""

    def node(self, name: str) -> str:
        """Give the name of a node in the service."""
        return f"{self.prefix}{name}"

    def subject(self, name: str) -> Subject:
        """Give what references to a node point at; linking and `specs.codec` put the site in."""
        return subject(ANY_SITE, self.service, self.node(name))

    def inside(self, name: str) -> Naming:
        """Give the naming of the topology that stands in for a node."""
        return Naming(self.service, f"{self.prefix}{name}_")
