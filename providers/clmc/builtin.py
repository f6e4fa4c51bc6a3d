"""Our own evaluator as an engine: its alerts stand in the rule book, and `reconciler run` watches them."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import Health, Mark, TransientError
from providers.clmc.engine import Object
from specs.model import Address
from specs.tosca.rules import Rule, RuleError, read_rule, rule_properties
from specs.values import Properties, Secret, Value
from state.rulebook import RuleBook, Watched
from state.store import StoreError


class Builtin:
    """The rule book of one binding."""

    def __init__(self, book: RuleBook, handler_secret: str = "") -> None:
        self._book = book
        self._secret = handler_secret

    def properties(self, rule: Rule) -> Properties:
        """Write the rule, and the secret that is shown to its handlers."""
        found: dict[str, Value] = rule_properties(rule)
        if self._secret and rule.handlers:
            found["handler_secret"] = Secret(self._secret)
        return found

    def list(self) -> Sequence[Object]:
        """Give every rule of the book."""
        try:
            return [_object(watched) for watched in self._book.all()]
        except StoreError as error:
            raise TransientError(str(error)) from error

    def find(self, identity: str) -> Object | None:
        """Give one rule."""
        try:
            watched = self._book.get(identity)
        except StoreError as error:
            raise TransientError(str(error)) from error
        return _object(watched) if watched is not None else None

    def put(self, identity: str, mark: Mark, properties: Properties) -> Object:
        """Write a rule into the book."""
        watched = Watched(
            id=identity,
            repository=mark.repository,
            address=mark.address,
            digest=mark.digest,
            definition=properties,
        )
        try:
            self._book.put(watched)
        except StoreError as error:
            raise TransientError(str(error)) from error
        return self.find(identity) or _object(watched)

    def remove(self, identity: str) -> None:
        """Take a rule out of the book."""
        try:
            self._book.remove(identity)
        except StoreError as error:
            raise TransientError(str(error)) from error

    def watched(self) -> tuple[Watched, ...]:
        """Give every rule of the book as it is written; `StoreError` if it cannot be read."""
        return self._book.all()

    def version(self) -> tuple[int, int]:
        """Give something that differs when the book has changed."""
        return self._book.version()

    def close(self) -> None:
        """Close the book."""
        self._book.close()


def _object(watched: Watched) -> Object:
    health, reason = Health.HEALTHY, ""
    try:
        read_rule(watched.definition)
    except RuleError as error:
        health, reason = Health.DEGRADED, str(error)
    mark = Mark(watched.repository, Address(watched.address), watched.digest) if watched.repository else None
    name = f"{watched.definition.get('policy', '?')}/{watched.definition.get('trigger', '?')}"
    return Object(id=watched.id, name=name, mark=mark, properties=watched.definition, health=health, reason=reason)
