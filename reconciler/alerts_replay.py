"""Runs the policies of a commit over metrics that were recorded: which commits they would have made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from msgspec import Struct, field

from policies.decide import AlertLimits, Decision, Deed, Nothing, decide, instances, with_changes
from policies.progress import first_state, step
from policies.verdict import Holds, judge, queries, said
from reconciler.alerts_check import Monitor, firing_id, rule_detail, text_of
from specs.model import LifecycleState, Service
from specs.patch import Change, CountSet, Reason, SpecPatch, StateSet
from specs.tosca.rules import Rule
from state.metrics.moments import last_end
from state.metrics.vocabulary import Answer
from state.store import AlertState, AlertStatus

MOST_CHECKS = 200_000
"""How many checks one replay may come to."""
_TOGETHER = 500
"""Checks whose queries go out together."""


class Replayed(Struct, frozen=True):
    """One alert that would have fired, and what would have come of it."""

    site: str
    service: str
    reason: Reason
    decision: Decision


class Replay(Struct):
    """One service on one site, gone through again; its spec changes as the alerts would have changed it."""

    site: str
    service: Service
    rules: Sequence[Rule]
    monitor: Monitor
    limits: AlertLimits
    _states: dict[str, AlertState] = field(default_factory=dict)
    _deeds: list[Deed] = field(default_factory=list)

    def run(self, start: datetime, end: datetime) -> Iterator[Replayed]:
        """Go through every check from one moment to another; `MetricsError` if the metrics do not answer."""
        checks = iter(self.checks(start, end))
        while chunk := list(islice(checks, _TOGETHER)):
            asked = [queries(rule, self.monitor.database_of(rule.sfc), at) for at, rule in chunk]
            answers = iter(self.monitor.metrics().ask([query for some in asked for query in some]))
            for (at, rule), some in zip(chunk, asked, strict=True):
                yield from self._check(rule, at, [next(answers) for _ in some])

    def checks(self, start: datetime, end: datetime) -> list[tuple[datetime, Rule]]:
        """Give every check there was, in the order of time."""
        found = []
        for rule in self.rules:
            at = last_end(start, rule.period)
            while (at := at + timedelta(seconds=rule.period)) <= end:
                found.append((at, rule))
        return sorted(found, key=lambda check: (check[0], check[1].policy, check[1].trigger))

    def _check(self, rule: Rule, at: datetime, answers: list[Answer]) -> Iterator[Replayed]:
        before = self._states.get(rule.id) or first_state(rule, self.site, at, at)
        verdict = judge(rule, answers, firing=before.status is AlertStatus.FIRING)
        made = step(rule, before, verdict, at)
        self._states[rule.id] = made.state
        if made.fires and isinstance(verdict, Holds):
            yield self._fire(rule, at, said(verdict.readings))

    def _fire(self, rule: Rule, at: datetime, value: str) -> Replayed:
        detail = rule_detail(rule, at)
        reason = Reason(
            id=firing_id(self.site, rule.id, at),
            site=self.site,
            policy=rule.policy,
            trigger=rule.trigger,
            at=at,
            value=value,
            rule=text_of(detail, "rule"),
            window=text_of(detail, "window"),
        )
        if not rule.moves:
            return Replayed(self.site, self.service.name, reason, Nothing("its handlers are told; it moves nothing"))
        decision = decide(self.service, reason, self._deeds, self.limits, at)
        if isinstance(decision, SpecPatch):
            self.service = with_changes(self.service, decision.changes)
            ways = frozenset(change.way for change in decision.changes)
            self._deeds.append(Deed(service=self.service.name, policy=rule.policy, at=at, ways=ways))
        return Replayed(self.site, self.service.name, reason, decision)


def as_it_was(service: Service, before: Service) -> Service:
    """Give a service with the states and the numbers of instances that it had before."""
    changes: list[Change] = []
    for node, states in before.states.items():
        now = service.states.get(node, {})
        changes += [
            StateSet(node, cluster, now.get(cluster, LifecycleState.UNPLACED), state)
            for cluster, state in states.items()
            if node in service.nodes
        ]
    changes += [
        CountSet(name, instances(service.nodes[name]), instances(node))
        for name, node in before.nodes.items()
        if name in service.nodes and instances(node) != instances(service.nodes[name])
    ]
    return with_changes(service, changes)
