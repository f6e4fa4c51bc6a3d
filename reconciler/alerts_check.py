"""Looks at the metrics for every rule whose time has come, and writes down what fires.

The rules are those that the monitoring of a site holds: what was planned and applied, nothing else. Windows of one
length end together, so that thousands of rules become a few queries.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from policies.progress import begun_anew, first_state, step
from policies.verdict import Holds, Unclear, Verdict, judge, queries, said
from specs.model import Alerts, Service
from specs.tosca.rules import Event, Rule, RuleError, identity, read_rule
from specs.values import Properties, Secret, Value
from state.metrics.moments import last_end
from state.metrics.vocabulary import Answer, Metrics, MetricsError
from state.rulebook import Watched
from state.store import AlertState, AlertStatus, Firing, Store

logger = logging.getLogger(__name__)

ID_LENGTH = 16
MOST_AHEAD = timedelta(minutes=5)
"""How far clocks may be apart; what was noted later than that was noted under a wrong clock."""


@runtime_checkable
class Monitor(Protocol):
    """What the provider of a monitoring binding offers when our own evaluator watches for it."""

    @property
    def lag(self) -> timedelta:
        """How long late points are waited for."""

    @property
    def keeps_metrics(self) -> bool:
        """Whether the metrics lie in a file of ours, which we write as well."""

    def metrics(self) -> Metrics:
        """Give the store of metrics; `MetricsError` if there is none to be had."""

    def database_of(self, sfc: str) -> str:
        """Give the database that holds the metrics of a chain."""

    def rules_of(self, service: Service, alerts: Iterable[Alerts]) -> tuple[Rule, ...]:
        """Give the rules a commit wants for a service, as this monitoring watches them."""

    def watched(self) -> tuple[Watched, ...]:
        """Give the rules to be watched."""

    def rules_version(self) -> object:
        """Give something that differs when the rules have changed."""


class Look(Struct, frozen=True):
    """One rule, looked at over the window that ends at a moment."""

    rule: Rule
    end: datetime
    verdict: Verdict


class _Book(Struct):
    """The rules of one binding, read."""

    version: object
    rules: Mapping[str, Rule]
    secrets: Mapping[str, str]
    """Rule → the secret its handlers are shown."""
    due: dict[str, datetime] = field(default_factory=dict)
    """Rule → the end of its next window."""
    idle: tuple[datetime, datetime] | None = None
    """From when to when nothing is due."""


class Checker(Struct):
    """Remembers between two checks what the store holds anyway; used by one thread at a time."""

    _books: dict[tuple[str, str], _Book] = field(default_factory=dict)
    _states: dict[str, dict[str, AlertState]] = field(default_factory=dict)
    _held: dict[str, Mapping[str, object]] = field(default_factory=dict)
    """Site → binding → the version of its rules when states of others were dropped."""

    def check(self, store: Store, site: str, monitors: Mapping[str, Monitor], base: str, now: datetime) -> int:
        """Look at every rule of a site that is due; give how many fired. `base` is the commit that is applied now."""
        if site not in self._states:
            known = store.alert_states(site)
            self._states[site] = {state.rule: state for state in known if ":" not in state.rule}  # the others are told
        fired = 0
        for name, monitor in monitors.items():
            book = self._book(site, name, monitor)
            due = self._due(store, site, book, now - monitor.lag)
            if due:
                looks = looked(monitor, [(book.rules[rule], end) for rule, end in due], self._firing(site))
                fired += self._keep(store, site, monitor, book, looks, base, now)
        self._forget(store, site, monitors)
        return fired

    def next_checks(self, site: str) -> Mapping[str, datetime]:
        """Give when each rule of a site is looked at next."""
        return {rule: end for (of, _), book in self._books.items() if of == site for rule, end in book.due.items()}

    def _book(self, site: str, name: str, monitor: Monitor) -> _Book:
        version = monitor.rules_version()
        book = self._books.get((site, name))
        if book is None or book.version != version:
            book = read_book(version, monitor.watched())
            self._books[site, name] = book
        return book

    def _due(self, store: Store, site: str, book: _Book, now: datetime) -> list[tuple[str, datetime]]:
        if book.idle is not None:
            asked, first = book.idle
            if asked <= now < first:
                return []
            if now < asked:  # the clock was put back
                book.due.clear()
        states, found, fresh, ahead = self._states[site], [], [], 0
        for identity_, rule in book.rules.items():
            if book.due.get(identity_, now) > now:
                continue
            end = last_end(now, rule.period)
            book.due[identity_] = end + timedelta(seconds=rule.period)
            if identity_ not in states:
                states[identity_] = first_state(rule, site, end, now)
                fresh.append(states[identity_])
            elif states[identity_].checked_at > now + MOST_AHEAD:
                states[identity_] = begun_anew(rule, states[identity_], end, now)
                ahead += 1
            if states[identity_].checked_at < end and not _is_early(rule, states[identity_], end):
                found.append((identity_, end))
        book.idle = (now, min(book.due.values(), default=now))
        if ahead:
            logger.warning("%s: %s were looked at ahead of time and begin anew: the clock was put back", site, ahead)
        if fresh:
            store.save_alerts(fresh)
        return found

    def _firing(self, site: str) -> frozenset[str]:
        return frozenset(rule for rule, state in self._states[site].items() if state.status is AlertStatus.FIRING)

    def _keep(
        self,
        store: Store,
        site: str,
        monitor: Monitor,
        book: _Book,
        looks: Iterable[Look],
        base: str,
        now: datetime,
    ) -> int:
        states, firings = [], []
        for look in looks:
            before = self._states[site][look.rule.id]
            made = step(look.rule, before, look.verdict, look.end)
            states.append(made.state)
            if made.fires:
                secret = book.secrets.get(look.rule.id, "")
                firings.append(firing_of(look, site, monitor, base, now, secret))
            if made.state.problem and made.state.problem != before.problem:
                logger.warning("%s %s/%s: nothing can be said: %s", site, *_name(look.rule), made.state.problem)
        new = store.save_alerts(states, firings)
        self._states[site].update((state.rule, state) for state in states)
        for firing in firings:
            if firing.id in new:
                logger.info(
                    "%s alert %s: %s/%s fires: %s, %s",
                    site, firing.id, firing.policy, firing.trigger, firing.value, firing.detail["rule"],
                )  # fmt: skip
        return len(new)

    def _forget(self, store: Store, site: str, monitors: Mapping[str, Monitor]) -> None:
        """Drop the states of rules that no monitoring of the site holds any more, when these have changed."""
        versions = {name: self._books[site, name].version for name in monitors}
        if self._held.get(site) == versions:
            return
        self._held[site] = versions
        held = {rule for name in monitors for rule in self._books[site, name].rules}
        gone = self._states[site].keys() - held
        if gone:
            store.forget_alerts(site, sorted(gone))
            for rule in gone:
                del self._states[site][rule]


def _is_early(rule: Rule, state: AlertState, end: datetime) -> bool:
    """Tell whether a deadman would count from before it was watched, when nobody had to send anything."""
    longest = max((one.granularity for one in rule.conditions if one.event is Event.DEADMAN), default=0)
    return end - timedelta(seconds=longest) < state.since if longest else False


def _name(rule: Rule) -> tuple[str, str]:
    return rule.policy, rule.trigger


def read_book(version: object, watched: Iterable[Watched]) -> _Book:
    """Read the rules of a book; one that cannot be read is logged and left out."""
    rules: dict[str, Rule] = {}
    secrets: dict[str, str] = {}
    for one in watched:
        try:
            rule = read_rule(one.definition)
        except RuleError as error:
            logger.error("%s: %s", one.address or one.id, error)
            continue
        rules[rule.id] = rule
        match one.definition.get("handler_secret"):
            case Secret(name):
                secrets[rule.id] = name
    return _Book(version, rules, secrets)


def looked(monitor: Monitor, due: Sequence[tuple[Rule, datetime]], firing: frozenset[str]) -> Iterator[Look]:
    """Look at rules over the windows that end at their moments, all at once."""
    try:
        metrics = monitor.metrics()
        asked = [queries(rule, monitor.database_of(rule.sfc), end) for rule, end in due]
        answers = iter(metrics.ask([query for some in asked for query in some]))
    except MetricsError as error:
        for rule, end in due:
            yield Look(rule, end, Unclear(str(error)))
        return
    for (rule, end), some in zip(due, asked, strict=True):
        own: list[Answer] = [next(answers) for _ in some]
        yield Look(rule, end, judge(rule, own, firing=rule.id in firing))


def firing_of(look: Look, site: str, monitor: Monitor, base: str, now: datetime, secret: str = "") -> Firing:
    """Write down that a rule fired."""
    rule = look.rule
    value = said(look.verdict.readings) if isinstance(look.verdict, Holds) else ""
    return Firing(
        id=firing_id(site, rule.id, look.end),
        site=site,
        sfc=rule.sfc,
        sfci=rule.sfci,
        policy=rule.policy,
        trigger=rule.trigger,
        source="builtin",
        at=look.end,
        received_at=now,
        value=value,
        detail=rule_detail(rule, look.end) | {"query": _query(monitor, rule, look.end), "base": base, "secret": secret},
    )


def firing_id(site: str, rule: str, at: datetime) -> str:
    """Give the id of a firing: the same rule, the same moment, the same id."""
    return identity(site, rule, at.isoformat())[:ID_LENGTH]


def rule_detail(rule: Rule, end: datetime) -> dict[str, Value]:
    """Say what a rule is about, for those who decide and those who read the commit."""
    start = end - timedelta(seconds=max(condition.granularity for condition in rule.conditions))
    return {
        "rule": str(rule),
        "rule_id": rule.id,
        "window": f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
        "moves": rule.moves,
        "repeats": rule.repeats,
        "measurement": rule.conditions[0].measurement,
        "tags": dict(rule.conditions[0].tags),
        "handlers": list(rule.handlers),
    }


def _query(monitor: Monitor, rule: Rule, end: datetime) -> str:
    first = queries(rule, monitor.database_of(rule.sfc), end)[0]
    try:
        return monitor.metrics().show(first)
    except MetricsError:
        return ""


def monitors_of(providers: Mapping[str, object]) -> Mapping[str, Monitor]:
    """Give the providers of a site that our own evaluator watches for."""
    return {name: provider for name, provider in providers.items() if isinstance(provider, Monitor)}


def text_of(detail: Properties, key: str) -> str:
    """Read a text of a firing's detail."""
    found = detail.get(key, "")
    return found if isinstance(found, str) else ""
