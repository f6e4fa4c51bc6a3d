"""Order steps: what others need comes first, deletes come in reverse, replacements in their own way.

A replacement is two operations. Where the kind allows, the new object is made before the old one
goes (create-before-delete), so that what stands on it can move over; everywhere else the old one goes
first. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from msgspec import Struct

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


class Operation(Struct, frozen=True, kw_only=True):
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

_CALLING = _MAKING.keys() - {Action.ADOPT, Action.FORGET}
"""What makes or changes an object; the others only write records and wait for nobody."""


def operations(steps: Iterable[Step], kinds: Mapping[str, Mapping[str, Kind]]) -> tuple[Operation, ...]:
    """Give the graph of operations for some steps, in one valid and stable order."""
    return _Ordering(tuple(steps), kinds).operations()


class _Ordering:
    def __init__(self, steps: tuple[Step, ...], kinds: Mapping[str, Mapping[str, Kind]]) -> None:
        self._kinds = kinds
        self._steps = steps
        self._made = {step.address: _make_key(step) for step in steps if step.action in _CALLING}
        self._users = self._find_users()
        self._early = {s.address for s in steps if s.action is Action.REPLACE and s.create_before_delete}
        self._needs: dict[str, set[str]] = {}
        """What must come before an operation."""
        self._wishes: dict[str, set[str]] = {}
        """What should come before it, unless that closes a circle."""
        self._operations: dict[str, tuple[Verb, Step]] = {}

    def operations(self) -> tuple[Operation, ...]:
        order = self._sorted()
        return tuple(
            Operation(
                key=key,
                verb=self._operations[key][0],
                step=self._operations[key][1],
                after=tuple(sorted(self._needs[key] | self._wishes[key])),
            )
            for key in order
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

    def _build(self) -> None:
        self._needs, self._wishes = {}, {}
        for step in self._steps:
            if step.action in _MAKING:
                self._add_making(step)
            if step.action in (Action.DELETE, Action.REPLACE):
                self._add_deleting(step)

    def _add_making(self, step: Step) -> None:
        after: set[str] = set()
        if step.action in _CALLING:
            after = {self._made[address] for address in step.requires if address in self._made}
        if step.action is Action.REPLACE and step.address not in self._early:
            after.add(_delete_key(step))
        self._add(_make_key(step), _MAKING[step.action], step, after)

    def _add_deleting(self, step: Step) -> None:
        users = [user for user in self._users.get(step.address, ()) if user is not step]
        after = {_delete_key(user) for user in users if user.action in (Action.DELETE, Action.REPLACE)}
        key = _delete_key(step)
        early = step.address in self._early
        if early:
            after.add(_make_key(step))
        self._add(key, Verb.DELETE, step, after)
        if early or step.action is Action.DELETE:
            self._wishes[key] = {self._made[user.address] for user in users if user.address in self._made} - after

    def _add(self, key: str, verb: Verb, step: Step, after: set[str]) -> None:
        self._operations[key] = (verb, step)
        self._needs[key] = after
        self._wishes[key] = set()

    def _sorted(self) -> list[str]:
        """Sort the graph, giving way where it has a circle.

        First a delete no longer waits for its users to move over; then a replacement that would have
        created first deletes first; then records that contradict one another are ignored.
        """
        self._build()
        while True:
            try:
                return self._static_order()
            except CycleError as error:
                self._give_way(list(pairwise(error.args[1])))

    def _give_way(self, circle: list[tuple[str, str]]) -> None:
        """Open a circle, given as pairs of an earlier and a later operation."""
        wishes = [(earlier, later) for earlier, later in circle if earlier in self._wishes[later]]
        if wishes:
            for earlier, later in wishes:
                self._wishes[later].discard(earlier)
            return
        steps = [self._operations[later][1] for _, later in circle]
        early = sorted(step.address for step in steps if step.address in self._early)
        if early:
            self._early.discard(early[0])
            self._build()
            return
        deletes = [pair for pair in circle if all(self._operations[key][0] is Verb.DELETE for key in pair)]
        if not deletes:
            raise OrderError(f"these need one another in a circle: {' -> '.join(key for key, _ in circle)}")
        for earlier, later in deletes:
            self._needs[later].discard(earlier)

    def _static_order(self) -> list[str]:
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for key in sorted(self._operations):
            sorter.add(key, *self._needs[key], *self._wishes[key])
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
