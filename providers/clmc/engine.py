"""What watches rules, seen from the provider: objects that are listed, put and removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from providers.base import Health, Mark
from specs.tosca.rules import Rule
from specs.values import Properties


class Object(Struct, frozen=True, kw_only=True):
    """One alert as the engine has it."""

    id: str
    name: str
    mark: Mark | None
    properties: Properties
    health: Health = Health.HEALTHY
    reason: str = ""


class Engine(Protocol):
    """One engine; failures leave it as `TransientError` and `PermanentError`."""

    def properties(self, rule: Rule) -> Properties:
        """Say what an alert is made of in this engine. Pure; `PermanentError` for a rule it cannot watch."""

    def list(self) -> Sequence[Object]:
        """Give every alert there is, ours or not."""

    def find(self, identity: str) -> Object | None:
        """Give one alert."""

    def put(self, identity: str, mark: Mark, properties: Properties) -> Object:
        """Write an alert, over one of that id if there is one, and give it as it is now."""

    def remove(self, identity: str) -> None:
        """Remove an alert; gone already is fine."""

    def close(self) -> None:
        """Let go of connections."""
