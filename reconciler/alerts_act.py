"""Turns firings into commits: decides, changes the spec, pushes, and writes down what became of each, exactly once.

A firing stays open in the store until its end is written there. A commit carries its id, so that one that was made
before a process died is found again instead of made twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from policies.decide import AlertLimits, Deed, Held, Nothing, decide
from policies.moves import Enter, moves
from reconciler.alerts_check import text_of
from reconciler.project import Place, Reading, open_repository
from reconciler.settings import Alerting
from specs.catalogue import Catalogue
from specs.errors import RepositoryError
from specs.model import Service
from specs.patch import ALERT_TRAILER, Mode, OvertakenError, PatchError, Reason, SpecPatch, patched, trailer
from specs.repository import Author, Repository
from specs.tosca.watches import instance_of
from state.store import AlertStatus, Firing, Outcome, Store

logger = logging.getLogger(__name__)

NAME = "TOSCA reconciler"
"""Who commits for alerts, by name; the address is that of git's configuration."""
_LONGEST = timedelta(hours=1)
"""After this time a firing that could not be acted on is given up."""
_SEARCHED = 300
"""Commits that are searched for the one of a firing."""
_ATTEMPTS = 5


@dataclass(slots=True)
class Desk:
    """Works off the open firings; used by one thread at a time."""

    place: Place
    clock: Callable[[], datetime]
    made: list[str] = field(default_factory=list)
    """Commits on the followed branch that the goal may not hold yet."""
    _known: set[str] = field(default_factory=set)
    """Firings of which no process before this one has made a commit."""
    _repository: Repository | None = None

    def work(self, store: Store, reading: Reading) -> int:
        """Decide every open firing, the oldest first; give how many commits were made on the followed branch.

        After a commit on a service its other firings wait until that commit has been read.
        """
        open_firings = store.firings(outcome=Outcome.OPEN)[::-1]
        if not open_firings or not self._has_caught_up(store, reading):
            return 0
        self._known &= {firing.id for firing in open_firings}
        touched: set[str] = set()
        commits = 0
        for firing in open_firings:
            service = service_of(reading.catalogue, firing)
            if service is not None and service.name in touched:
                continue
            ended = self._end_of(store, reading, service, firing)
            if ended is None:
                continue
            store.settle(ended)
            _log(ended)
            if ended.commit and service is not None and ended.outcome is Outcome.DONE and not _is_proposal(ended):
                touched.add(service.name)
                commits += 1
        return commits

    def _has_caught_up(self, store: Store, reading: Reading) -> bool:
        """Tell whether the goal holds what was committed here."""
        try:
            repository = self._opened(store) if self.made else None
            self.made = [one for one in self.made if repository and not repository.is_ancestor(one, reading.commit)]
        except RepositoryError as error:
            logger.warning("commits of alerts cannot be found again: %s", error)
            self.made = []
        return not self.made

    def _end_of(self, store: Store, reading: Reading, service: Service | None, firing: Firing) -> Firing | None:
        """Decide one firing; nothing if it stays open."""
        now = self.clock()
        end = _Ending(firing, now)
        if not firing.detail.get("moves", True):
            return end.of(Outcome.DONE, "its handlers are told; it moves nothing")
        if service is None:
            return end.of(Outcome.DONE, f"no service is of the chain instance {firing.sfci}")
        if _is_over(store, firing):
            return end.of(Outcome.CANCELLED, f"it was over before anything could be done: {firing.message}")
        if commit := self._made_before(store, firing):
            self.made.append(commit)
            what = "it was committed before, and the note of it was lost"
            return end.of(Outcome.DONE, what, commit=commit, subjects=_subjects(service, firing))
        limits = limits_of(reading.settings.alerts)
        match decide(service, reason_of(firing), deeds_of(store, now), limits, now):
            case Nothing(why):
                return end.of(Outcome.DONE, why)
            case Held(why):
                return self._held(store, end, why)
            case SpecPatch() as patch:
                return self._carried_out(store, reading, end, patch)

    def _made_before(self, store: Store, firing: Firing) -> str:
        """Find the commit that a process made for a firing before it died; looked for once in the life of this one."""
        if firing.id in self._known or self._hindrance():
            return ""
        try:
            found = _found(self._opened(store), firing.id)
        except RepositoryError as error:
            logger.warning("alert %s: its commit cannot be looked for: %s", firing.id, error)
            return ""
        self._known.add(firing.id)
        return found

    def _held(self, store: Store, end: _Ending, why: str) -> Firing | None:
        """Leave a firing open until it may be acted on; one that repeats itself comes again."""
        if end.firing.detail.get("repeats", False) or end.is_old:
            return end.of(Outcome.CANCELLED, why)
        _wait(store, end.firing, why)
        return None

    def _carried_out(self, store: Store, reading: Reading, end: _Ending, patch: SpecPatch) -> Firing | None:
        subjects = tuple(change.subject for change in patch.changes)
        what = "; ".join(map(str, patch.changes))
        if hindrance := self._hindrance():
            return end.of(Outcome.DONE, f"{hindrance}, so it is only reported: {what}")
        if patch.mode is Mode.REPORT:
            return end.of(Outcome.DONE, f"only reported: {what}")
        try:
            commit = self._committed(store, end.firing, patch)
        except OvertakenError as error:
            return end.of(Outcome.CANCELLED, str(error))
        except PatchError as error:
            return end.of(Outcome.FAILED, str(error))
        except RepositoryError as error:
            if end.is_old:
                return end.of(Outcome.FAILED, str(error))
            _wait(store, end.firing, str(error))
            return None
        if not commit:
            return end.of(Outcome.DONE, f"the branch says so already: {what}")
        if patch.mode is Mode.PROPOSE:
            return end.of(Outcome.DONE, f"proposed on {patch.branch}: {what}", commit=commit, subjects=subjects)
        if commit != reading.commit:
            self.made.append(commit)
        return end.of(Outcome.DONE, what, commit=commit, subjects=subjects)

    def _hindrance(self) -> str:
        if self.place.local:
            return "files are read as they are, without git"
        return f"the revision {self.place.revision} is followed, not a branch" if self.place.revision else ""

    # --- git ---

    def _committed(self, store: Store, firing: Firing, patch: SpecPatch) -> str:
        """Make the commit, or find it; empty if the branch needs none."""
        repository = self._opened(store)
        author = Author(NAME, repository.author().email)
        for attempt in range(_ATTEMPTS):
            repository.fetch()
            head = repository.resolve()
            if patch.mode is Mode.COMMIT and (found := _found(repository, firing.id)):
                return found
            content = repository.tree(head).read(patch.file)
            _check_base(repository, text_of(firing.detail, "base"), patch)
            new = patched(patch.file, content, patch.changes)
            if new == content:
                return ""
            if patch.mode is Mode.PROPOSE:
                return repository.propose(patch.branch, {patch.file: new}, patch.message(), author)
            try:
                return repository.write({patch.file: new}, patch.message(), author, onto=head)
            except RepositoryError:
                repository.fetch()
                if attempt == _ATTEMPTS - 1 or repository.resolve() == head:
                    raise
        raise RepositoryError(f"{patch.file} was changed again and again; it is tried again later")

    def _opened(self, store: Store) -> Repository:
        if self._repository is None:
            self._repository = open_repository(self.place, store)
        return self._repository


def _found(repository: Repository, firing: str) -> str:
    for commit in repository.history(_SEARCHED):
        if trailer(commit.message, ALERT_TRAILER) == firing:
            return commit.id
    return ""


def _subjects(service: Service, firing: Firing) -> tuple[str, ...]:
    asked = moves(service, firing.policy, firing.trigger)
    return tuple(f"{move.node}@{move.cluster}" if isinstance(move, Enter) else move.node for move in asked)


def _check_base(repository: Repository, base: str, patch: SpecPatch) -> None:
    """Raise `OvertakenError` if a value is not what it was when the alert fired: somebody changed it since."""
    if not base:
        return
    try:
        content = repository.tree(base).read(patch.file)
    except RepositoryError:
        return  # the commit or the file is not there any more; the head alone tells
    try:
        patched(patch.file, content, patch.changes)
    except OvertakenError as error:
        raise OvertakenError(f"the value was changed after the alert had fired: {error}") from error


def _wait(store: Store, firing: Firing, why: str) -> None:
    if firing.message != why:
        logger.warning("%s alert %s: %s/%s waits: %s", firing.site, firing.id, firing.policy, firing.trigger, why)
        store.settle(replace(firing, message=why))


def _is_over(store: Store, firing: Firing) -> bool:
    """Tell whether a firing that had to wait is of an alert that has ended meanwhile."""
    if not firing.message:
        return False
    rule = text_of(firing.detail, "rule_id")
    states = {state.rule: state for state in store.alert_states(firing.site)}
    state = states.get(rule)
    return state is not None and state.status is AlertStatus.QUIET and state.since >= firing.at


def _is_proposal(firing: Firing) -> bool:
    return firing.message.startswith("proposed on ")


def _log(firing: Firing) -> None:
    level = {Outcome.DONE: logging.INFO, Outcome.CANCELLED: logging.WARNING}.get(firing.outcome, logging.ERROR)
    commit = f" in {firing.commit[:12]}" if firing.commit else ""
    logger.log(
        level, "%s alert %s: %s/%s%s: %s",
        firing.site or "-", firing.id, firing.policy, firing.trigger, commit, firing.message,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Ending:
    """How firings end."""

    firing: Firing
    now: datetime

    @property
    def is_old(self) -> bool:
        return self.now - self.firing.received_at > _LONGEST

    def of(self, outcome: Outcome, message: str, commit: str = "", subjects: tuple[str, ...] = ()) -> Firing:
        return replace(
            self.firing, outcome=outcome, message=message, commit=commit, subjects=subjects, settled_at=self.now
        )


# --- values ----------------------------------------------------------------------------------------


def service_of(catalogue: Catalogue, firing: Firing) -> Service | None:
    """Find the service of a firing's chain instance: on its site, or else on any."""
    sites = [firing.site, *(name for name in catalogue.sites if name != firing.site)]
    found = (service for site in sites for service in catalogue.services_on(site))
    return next((one for one in found if instance_of(one) == firing.sfci), None)


def reason_of(firing: Firing) -> Reason:
    """Say why, for the commit."""
    detail = firing.detail
    return Reason(
        id=firing.id,
        site=firing.site,
        policy=firing.policy,
        trigger=firing.trigger,
        at=firing.at,
        value=firing.value,
        rule=text_of(detail, "rule"),
        window=text_of(detail, "window"),
        query=text_of(detail, "query"),
    )


def deeds_of(store: Store, now: datetime) -> Iterator[Deed]:
    """Give what alerts have changed in the last day."""
    for firing in store.firings(outcome=Outcome.DONE, since=now - timedelta(days=1), limit=10_000):
        if firing.commit and firing.settled_at is not None:
            yield Deed(
                service=firing.sfci,
                policy=firing.policy,
                at=firing.settled_at,
                subjects=frozenset(firing.subjects),
            )


def limits_of(settings: Alerting) -> AlertLimits:
    """Give the limits that the settings set."""
    return AlertLimits(
        mode=Mode(settings.mode),
        cooldown=settings.cooldown,
        commits_per_hour=settings.commits_per_hour,
        flaps=settings.flaps,
        flap_window=settings.flap_window,
    )
