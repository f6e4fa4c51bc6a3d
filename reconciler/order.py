"""Order steps: what others need comes first, deletes come in reverse, replacements in their own way.

A replacement is two operations. Where the kind allows, the new object is made before the old one
goes (create-before-delete), so that what stands on it can move over; everywhere else the old one goes
first. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from providers.base import Kind
from reconciler.step import Action, Step
from specs.errors import ReconcilerError
from specs.model import Address, parse_address


class Verb(StrEnum):
    """What is asked of a provider, or only of the records."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ADOPT = "adopt"
    FORGET = "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One node of the graph that apply works through."""

    key: str
    """Unique in its plan: verb, address and, for leftovers, the provider's id."""
    verb: Verb
    step: Step
    after: tuple[str, ...]
    """Keys of the operations that come before it, sorted."""


class OrderError(ReconcilerError):
    """No order exists; the message names the circle."""


_MAKING = {
    Action.CREATE: Verb.CREATE,
    Action.UPDATE: Verb.UPDATE,
    Action.REPLACE: Verb.CREATE,
    Action.ADOPT: Verb.ADOPT,
    Action.FORGET: Verb.FORGET,
}


def operations(steps: Iterable[Step], kinds: Mapping[str, Mapping[str, Kind]]) -> tuple[Operation, ...]:
    """Give the graph of operations for some steps, in one valid and stable order."""
    return _Ordering(tuple(steps), kinds).operations()


class _Ordering:
    def __init__(self, steps: tuple[Step, ...], kinds: Mapping[str, Mapping[str, Kind]]) -> None:
        self._kinds = kinds
        self._steps = steps
        self._made = {step.address: _make_key(step) for step in steps if step.action in _MAKING}
        self._users = self._find_users()
        self._early = self._creating_first()
        self._hard: dict[str, set[str]] = {}
        self._soft: dict[str, set[str]] = {}
        self._operations: dict[str, tuple[Verb, Step]] = {}

    def operations(self) -> tuple[Operation, ...]:
        for step in self._steps:
            if step.action in _MAKING:
                self._add_making(step)
            if step.action in (Action.DELETE, Action.REPLACE):
                self._add_deleting(step)
        return tuple(
            Operation(
                key=key,
                verb=self._operations[key][0],
                step=self._operations[key][1],
                after=tuple(sorted(self._hard[key] | self._soft[key])),
            )
            for key in self._sorted()
        )

    def _find_users(self) -> dict[Address, list[Step]]:
        """Map an address to the steps whose present object stands on it."""
        users: dict[Address, list[Step]] = {}
        for step in self._steps:
            needed = step.item.requires if step.item else step.requires
            for address in needed:
                users.setdefault(address, []).append(step)
        for step, user in self._by_kind():
            users.setdefault(step.address, []).append(user)
        return users

    def _by_kind(self) -> Iterable[tuple[Step, Step]]:
        """Pair deletes whose records are lost, by what their kinds usually stand on."""
        lost = [s for s in self._steps if s.action is Action.DELETE and s.item is None and not s.requires]
        peers: dict[tuple[str, str, str], list[Step]] = {}
        for step in lost:
            parts = parse_address(step.address)
            peers.setdefault((step.binding, parts.service, parts.kind), []).append(step)
        for user in lost:
            parts = parse_address(user.address)
            for kind in self._kinds[user.binding][parts.kind].stands_on:
                for step in peers.get((user.binding, parts.service, kind), ()):
                    yield step, user

    def _creating_first(self) -> frozenset[Address]:
        """Find the replacements that may create first: nothing they need is deleted first."""
        replaced = {step.address: step for step in self._steps if step.action is Action.REPLACE}
        late: set[Address] = set()
        graph = {address: [r for r in step.requires if r in replaced] for address, step in replaced.items()}
        for address in TopologicalSorter(graph).static_order():
            if not replaced[address].create_before_delete or any(needed in late for needed in graph[address]):
                late.add(address)
        return frozenset(replaced.keys() - late)

    def _add_making(self, step: Step) -> None:
        key = _make_key(step)
        needed = step.resource.requires if step.resource else ()
        after = {self._made[Address(a)] for a in needed if Address(a) in self._made}
        if step.action is Action.REPLACE and step.address not in self._early:
            after.add(_delete_key(step))
        self._add(key, _MAKING[step.action], step, after - {key})

    def _add_deleting(self, step: Step) -> None:
        key = _delete_key(step)
        users = [user for user in self._users.get(step.address, ()) if user is not step]
        after = {_delete_key(user) for user in users if user.action in (Action.DELETE, Action.REPLACE)}
        released = {self._made[user.address] for user in users if user.address in self._made}
        early = step.address in self._early
        if early:
            after.add(_make_key(step))
        self._add(key, Verb.DELETE, step, after)
        if early or step.action is Action.DELETE:
            self._soft[key] |= released - after

    def _add(self, key: str, verb: Verb, step: Step, after: set[str]) -> None:
        self._operations[key] = (verb, step)
        self._hard[key] = after
        self._soft[key] = set()

    def _sorted(self) -> list[str]:
        """Sort the graph; waiting for users to move over is dropped where it would close a circle."""
        while True:
            try:
                return self._static_order()
            except CycleError as error:
                circle: list[str] = error.args[1]
                soft = [(a, b) for b, a in pairwise(circle) if b in self._soft[a]]
                if not soft:
                    raise OrderError(f"no order exists for: {' -> '.join(reversed(circle))}") from error
                for later, earlier in soft:
                    self._soft[later].discard(earlier)

    def _static_order(self) -> list[str]:
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for key in sorted(self._operations):
            sorter.add(key, *self._hard[key], *self._soft[key])
        sorter.prepare()
        order: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order += ready
            sorter.done(*ready)
        return order


def _make_key(step: Step) -> str:
    return f"{_MAKING[step.action]} {step.address}"


def _delete_key(step: Step) -> str:
    return (
        f"delete {step.address} {step.present.provider_id}"
        if step.deposed and step.present
        else f"delete {step.address}"
    )
