"""Turns firings into commits: decides, changes the spec, pushes, and writes down what became of each, exactly once.

A firing stays open in the store until its end is written there. A commit carries its id, so that one that was made
before a process died is found again instead of made twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from policies.decide import AlertLimits, Deed, Held, Nothing, decide
from policies.moves import Enter, Move, Scale, ScaleTo, moves
from reconciler.alerts_check import MOST_AHEAD, text_of
from reconciler.project import Place, Reading, open_repository
from reconciler.settings import Alerting
from specs.catalogue import Catalogue
from specs.errors import ReconcilerError, RepositoryError
from specs.model import LifecycleState, Service
from specs.patch import (
    ALERT_TRAILER,
    BrokenFileError,
    Mode,
    OvertakenError,
    PatchError,
    Reason,
    SpecPatch,
    patched,
    trailer,
    way,
)
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
_UNSIGNED = (
    "only signed commits are applied, and git signs none here;"
    " set commit.gpgsign=true, gpg.format=ssh and user.signingkey"
)
_AT_ONCE = 20_000
"""Open firings that are decided in one round."""


class Desk(Struct):
    """Works off the open firings; used by one thread at a time."""

    place: Place
    clock: Callable[[], datetime]
    _made: list[str] = field(default_factory=list)
    """Commits on the followed branch that the goal may not hold yet."""
    _known: dict[str, str] = field(default_factory=dict)
    """Open firing → the commit that a process before this one has made for it; empty: none has."""
    _services: tuple[str, Services] = ("", {})
    """The services of a commit."""
    _repository: Repository | None = None

    def work(self, store: Store, reading: Reading) -> int:
        """Decide every open firing, the oldest first; give how many commits were made on the followed branch.

        After a commit on a service its other firings wait until that commit has been read.
        """
        if not self._has_caught_up(store, reading):
            return 0
        open_firings = store.firings(outcome=Outcome.OPEN, limit=_AT_ONCE)[::-1]
        if not open_firings:
            return 0
        self._recall(store, open_firings)
        deeds = list(deeds_of(store, self.clock()))
        services = self._services_of(reading)
        touched: set[str] = set()
        settled: list[Firing] = []
        commits = 0
        for firing in open_firings:
            service = services.get((firing.site, firing.sfci)) or services.get(("", firing.sfci))
            if service is not None and service.name in touched:
                continue
            ended = self._surely_ended(store, reading, service, firing, deeds)
            if ended is None:
                continue
            _log(ended)
            if not ended.commit:
                settled.append(ended)
                continue
            store.settle(ended)
            deeds.append(_deed(ended))
            if service is not None and ended.outcome is Outcome.DONE and not _is_proposal(ended):
                touched.add(service.name)
                commits += 1
        if settled:
            store.settle(*settled)
        return commits

    def _services_of(self, reading: Reading) -> Services:
        commit, services = self._services
        if commit != reading.commit:
            services = services_by_instance(reading.catalogue)
            self._services = (reading.commit, services)
        return services

    def _has_caught_up(self, store: Store, reading: Reading) -> bool:
        """Tell whether the goal holds what was committed here, and what somebody took off the branch is forgotten."""
        if not self._made:
            return True
        try:
            repository = self._opened(store)
            head = repository.resolve()
            self._made = [
                one
                for one in self._made
                if repository.is_ancestor(one, head) and not repository.is_ancestor(one, reading.commit)
            ]
        except RepositoryError as error:
            logger.warning("commits of alerts cannot be found again: %s", error)
            self._made = []
        return not self._made

    def _recall(self, store: Store, firings: Iterable[Firing]) -> None:
        """Look for commits that a process made for these firings before it died; once in the life of this one."""
        self._known = {firing.id: self._known[firing.id] for firing in firings if firing.id in self._known}
        fresh = [firing.id for firing in firings if firing.id not in self._known]
        if not fresh or self._hindrance():
            return
        try:
            made = _commits_of_alerts(self._opened(store))
        except RepositoryError as error:
            logger.warning("commits of alerts cannot be looked for: %s", error)
            return
        self._known |= {firing: made.get(firing, "") for firing in fresh}

    def _surely_ended(
        self, store: Store, reading: Reading, service: Service | None, firing: Firing, deeds: Iterable[Deed]
    ) -> Firing | None:
        """Decide one firing; a defect ends this one, and keeps no other waiting."""
        try:
            return self._end_of(store, reading, service, firing, deeds)
        except ReconcilerError:
            raise
        except Exception as error:
            logger.debug("where it came from", exc_info=error)
            why = f"internal error: {type(error).__name__}: {error}; run with -v for details"
            return _Ending(firing, self.clock()).of(Outcome.FAILED, why)

    def _end_of(
        self, store: Store, reading: Reading, service: Service | None, firing: Firing, deeds: Iterable[Deed]
    ) -> Firing | None:
        """Decide one firing; nothing if it stays open."""
        now = self.clock()
        end = _Ending(firing, now)
        if not firing.detail.get("moves", True):
            return end.of(Outcome.DONE, "its handlers are told; it moves nothing")
        if service is None:
            return end.of(Outcome.DONE, f"no service is of the chain instance {firing.sfci}")
        if _is_over(store, firing):
            return end.of(Outcome.CANCELLED, f"it was over before anything could be done: {firing.message}")
        if commit := self._known.get(firing.id):
            self._made.append(commit)
            what = "it was committed before, and the note of it was lost"
            return end.of(Outcome.DONE, what, commit=commit, subjects=_ways(service, firing))
        limits = limits_of(reading.settings.alerts)
        match decide(service, reason_of(firing), deeds, limits, now):
            case Nothing(why):
                return end.of(Outcome.DONE, why)
            case Held(why):
                return self._held(store, end, why)
            case SpecPatch() as patch:
                return self._carried_out(store, reading, end, patch)

    def _held(self, store: Store, end: _Ending, why: str) -> Firing | None:
        """Leave a firing open until it may be acted on; one that repeats itself comes again."""
        if end.firing.detail.get("repeats", False) or end.is_old:
            return end.of(Outcome.CANCELLED, why)
        _wait(store, end.firing, why)
        return None

    def _carried_out(self, store: Store, reading: Reading, end: _Ending, patch: SpecPatch) -> Firing | None:
        subjects = tuple(change.way for change in patch.changes)
        what = "; ".join(map(str, patch.changes))
        logger.debug("%s alert %s: the policy %s asks for: %s", end.firing.site, end.firing.id, end.firing.policy, what)
        if hindrance := self._hindrance():
            return end.of(Outcome.DONE, f"{hindrance}, so it is only reported: {what}")
        if patch.mode is Mode.REPORT:
            return end.of(Outcome.DONE, f"only reported: {what}")
        try:
            if patch.mode is Mode.COMMIT and reading.settings.allowed_signers and not self._opened(store).signs:
                return end.of(Outcome.FAILED, f"{_UNSIGNED}; it asks for: {what}")
            commit = self._committed(store, end.firing, patch)
        except OvertakenError as error:
            return end.of(Outcome.CANCELLED, str(error))
        except (BrokenFileError, RepositoryError) as error:
            if end.is_old:
                return end.of(Outcome.FAILED, str(error))
            _wait(store, end.firing, str(error))
            return None
        except PatchError as error:
            return end.of(Outcome.FAILED, str(error))
        if not commit:
            return end.of(Outcome.DONE, f"the branch says so already: {what}")
        if patch.mode is Mode.PROPOSE:
            return end.of(Outcome.DONE, f"proposed on {patch.branch}: {what}", commit=commit, subjects=subjects)
        if commit != reading.commit:
            self._made.append(commit)
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
            if patch.mode is Mode.PROPOSE:
                repository.fetch()  # for the others a push is refused if the branch has moved
            head = repository.resolve()
            if patch.mode is Mode.COMMIT and (found := _commits_of_alerts(repository).get(firing.id)):
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


def _commits_of_alerts(repository: Repository) -> Mapping[str, str]:
    """Give the latest commits that alerts have made, by their firings."""
    return {trailer(commit.message, ALERT_TRAILER): commit.id for commit in repository.history(_SEARCHED)}


def _ways(service: Service, firing: Firing) -> tuple[str, ...]:
    """Give what a firing asked for, and which way, when nothing else is known of its commit."""
    return tuple(_way(move) for move in moves(service, firing.policy, firing.trigger))


def _way(move: Move) -> str:
    match move:
        case Enter(node, cluster, state):
            return way(f"{node}@{cluster}", up=state.reaches(LifecycleState.BOOTED))
        case Scale(node, by):
            return way(node, up=by > 0)
        case ScaleTo(node, _, out):
            return way(node, up=out)


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
    states = store.alert_states(firing.site, rule) if rule else ()
    return any(state.status is AlertStatus.QUIET and state.since >= firing.at for state in states)


def _is_proposal(firing: Firing) -> bool:
    return firing.message.startswith("proposed on ")


def _log(firing: Firing) -> None:
    level = {Outcome.DONE: logging.INFO, Outcome.CANCELLED: logging.WARNING}.get(firing.outcome, logging.ERROR)
    commit = f" in {firing.commit[:12]}" if firing.commit else ""
    logger.log(
        level, "%s alert %s: %s/%s%s: %s",
        firing.site or "-", firing.id, firing.policy, firing.trigger, commit, firing.message,
    )  # fmt: skip


class _Ending(Struct, frozen=True):
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


Services = Mapping[tuple[str, str], Service]
"""Site and chain instance → its service; with an empty site: on the first site that has it."""


def services_by_instance(catalogue: Catalogue) -> Services:
    """Index the services that firings may be about."""
    found: dict[tuple[str, str], Service] = {}
    for site in catalogue.sites:
        for service in catalogue.services_on(site):
            found.setdefault((site, instance_of(service)), service)
            found.setdefault(("", instance_of(service)), service)
    return found


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
    """Give what alerts have changed in the last day; what was noted under a clock that ran ahead holds nobody up."""
    for firing in store.firings(outcome=Outcome.DONE, since=now - timedelta(days=1), committed=True, limit=10_000):
        if (deed := _deed(firing)).at <= now + MOST_AHEAD:
            yield deed


def _deed(firing: Firing) -> Deed:
    return Deed(
        service=firing.sfci,
        policy=firing.policy,
        at=firing.settled_at or firing.received_at,
        ways=frozenset(firing.subjects),
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
