"""Hold back steps that may not be done, and every step that cannot be done without them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from reconciler.difference import Later, Unseen
from reconciler.step import Action, Reason, Step
from specs.model import Address, parse_address


class Held(Struct, frozen=True):
    """A step that is called for but will not be done, and why."""

    step: Step
    why: str


class Switches(Struct, frozen=True, kw_only=True):
    """What may be done to a service without asking."""

    prune: bool = False
    """Delete what git no longer mentions."""
    self_heal: bool = True
    """Correct what the world changed."""
    auto_apply: bool = True
    """Do what git changed."""


class Limits(Struct, frozen=True, kw_only=True):
    """Which part of the differences a plan may act on."""

    switches: Mapping[str, Switches] = field(default_factory=dict)
    """By service; what is not named takes `default`."""
    default: Switches = Switches()
    targets: frozenset[str] = frozenset()
    """Only these addresses (or all resources of these subjects) and what they need; empty: everything."""
    excludes: frozenset[str] = frozenset()
    breaker_share: float = 0.2
    """The mass-change breaker trips when more than this share …"""
    breaker_count: int = 10
    """… and more than this number of a site's resources would vanish or be deleted."""

    def of(self, address: Address) -> Switches:
        """Give the switches for the service of an address."""
        return self.switches.get(parse_address(address).service, self.default)


def hold(
    steps: Iterable[Step], unseen: Iterable[Unseen], blocked: Mapping[Address, str], limits: Limits
) -> tuple[tuple[Step, ...], tuple[Held, ...]]:
    """Part the steps into those to do and those held back; `blocked` says which must not be done and why."""
    steps = tuple(steps)
    wanted = _targeted(steps, limits)
    why: dict[int, str] = {}
    for number, step in enumerate(steps):
        reason = _own_reason(step, blocked, limits) or ("" if number in wanted else "it is not targeted")
        if reason:
            why[number] = reason
    _spread(steps, tuple(unseen), why)
    doing = tuple(step for number, step in enumerate(steps) if number not in why)
    return doing, tuple(Held(steps[number], why[number]) for number in sorted(why))


def _own_reason(step: Step, blocked: Mapping[Address, str], limits: Limits) -> str:
    if step.action in (Action.ADOPT, Action.FORGET):
        return ""
    switches = limits.of(step.address)
    if step.address in blocked:
        return blocked[step.address]
    if step.reason is Reason.NOT_IN_SPEC and not switches.prune:
        return "pruning is off"
    if step.spec_moved and not switches.auto_apply:
        return "auto-apply is off"
    if step.world_moved and not step.spec_moved and not switches.self_heal:
        return "self-heal is off"
    return ""


def _targeted(steps: tuple[Step, ...], limits: Limits) -> set[int]:
    """Give the numbers of the steps that targets and excludes leave, with what those need."""
    chosen = {n for n, s in enumerate(steps) if not limits.targets or _named(s.address, limits.targets)}
    if limits.targets:
        by_address = {s.address: n for n, s in enumerate(steps)}
        waiting = list(chosen)
        while waiting:
            needed = _companions(steps, steps[waiting.pop()], by_address) - chosen
            chosen |= needed
            waiting += needed
    return {n for n in chosen if not _named(steps[n].address, limits.excludes)}


def _companions(steps: tuple[Step, ...], step: Step, by_address: Mapping[Address, int]) -> set[int]:
    """Find what has to be done with a step: what it needs, or for a delete what stands on it."""
    if step.action is Action.DELETE:
        return {n for n, other in enumerate(steps) if step.address in _stood_on(other)}
    return {by_address[a] for a in step.requires if a in by_address}


def _named(address: Address, names: frozenset[str]) -> bool:
    return address in names or parse_address(address).subject in names


def _stood_on(step: Step) -> tuple[Address, ...]:
    return step.item.requires if step.item else step.requires


def _spread(steps: tuple[Step, ...], unseen: tuple[Unseen, ...], why: dict[int, str]) -> None:
    """Hold every step that waits for a held one or for something that could not be seen."""
    above = _index(steps, lambda step: step.requires)
    below = {step.address: n for n, step in enumerate(steps) if step.action in (Action.DELETE, Action.REPLACE)}
    waiting: list[int] = list(why)

    def add(number: int, reason: str) -> None:
        if number not in why and steps[number].action not in (Action.ADOPT, Action.FORGET):
            why[number] = reason
            waiting.append(number)

    for blind in unseen:
        for number in above.get(blind.address, ()):
            if _depends(steps[number], blind.address, there=False):
                add(number, f"it needs {blind.address}, which could not be seen")
        for address in blind.requires:
            if address in below:
                add(below[address], f"{blind.address} may stand on it and could not be seen")
    while waiting:
        held = steps[waiting.pop()]
        if held.action is not Action.DELETE:
            for number in above.get(held.address, ()):
                if _depends(steps[number], held.address, there=held.present is not None):
                    add(number, f"it needs {held.address}, which is held back")
        if held.action in (Action.DELETE, Action.REPLACE):
            for address in _stood_on(held):
                if address in below:
                    add(below[address], f"{held.address} stands on it and stays")


def _index(steps: tuple[Step, ...], key: Callable[[Step], Iterable[Address]]) -> dict[Address, list[int]]:
    index: dict[Address, list[int]] = {}
    for number, step in enumerate(steps):
        for address in key(step):
            index.setdefault(address, []).append(number)
    return index


def _depends(step: Step, needed: Address, there: bool) -> bool:
    """Tell whether a step cannot be done while what it needs stays as it is."""
    if step.action is Action.DELETE:
        return False
    if not there and step.present is None:
        return True
    return step.lost_with == needed or any(isinstance(change.after, Later) for change in step.changes)
