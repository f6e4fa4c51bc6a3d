"""`reconciler alerts`: rules and how they do; and trying them out: test, fire, replay, feed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import Struct

from policies.decide import Nothing
from policies.verdict import Clear, Holds, NoData, Reading, Unclear, judge, queries
from reconciler.alerts_act import Desk, limits_of
from reconciler.alerts_check import firing_id, monitors_of, rule_detail
from reconciler.alerts_replay import MOST_CHECKS, Replay, Replayed, as_it_was
from reconciler.alerts_rules import Placed, chosen, placed_rules
from reconciler.cli.exits import Exit
from reconciler.cli.opening import choice_of, chosen_sites, place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.lines import Line, Span, Style, count, line, table
from reconciler.look import Ground
from reconciler.plan_document import Document
from reconciler.project import Project, opened, read_tree
from specs.catalogue import Catalogue
from specs.errors import SettingsError
from specs.patch import SpecPatch
from state.metrics.lines import read_lines
from state.metrics.moments import last_end, nanoseconds
from state.metrics.vocabulary import Measured, Missing
from state.store import AlertState, AlertStatus, Firing, Outcome

_SEARCHED = 1000
"""Commits that are searched for the one a replay begins at."""
_AGO = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(options: Options, screen: Screen) -> Exit:
    """Do what the action says; without one, show every rule and how it does."""
    actions = {"test": _test, "fire": _fire, "replay": _replay, "feed": _feed}
    action = actions.get(vars(options).get("action") or "", _list)
    with opened(place_of(options)) as project:
        return action(_Desk(options, screen, project, project.ground(project.read())))


class _Desk(Struct, frozen=True):
    options: Options
    screen: Screen
    project: Project
    ground: Ground

    def rules(self) -> list[Placed]:
        """Give the rules that were asked for."""
        choice = choice_of(self.options)
        found: list[Placed] = []
        for site in chosen_sites(self.ground, choice):
            providers = self.ground.connections.of(self.ground.catalogue.sites[site])
            found += placed_rules(self.ground.catalogue, site, providers)
        if choice.services:
            found = [one for one in found if one.service.name in choice.services]
        return chosen(found, vars(self.options).get("names", ()))

    def now(self) -> datetime:
        return self.ground.clock()


# --- list ------------------------------------------------------------------------------------------


def _list(desk: _Desk) -> Exit:
    states = {(state.site, state.rule): state for state in desk.project.store.alert_states()}
    firings = desk.project.store.firings(limit=10_000)
    now = desk.now()
    rows = [_Row(one, states.get((one.site, one.rule.id)), _last(firings, one), now) for one in desk.rules()]
    if desk.options.json:
        desk.screen.document({"alerts": [row.document() for row in rows]})
        return Exit.DONE
    if not rows:
        desk.screen.show(["no alert rules; alerts need a site with a binding that monitors, e.g. the plugin clmc"])
    for row in rows:
        desk.screen.show(row.lines())
    return Exit.DONE


def _last(firings: tuple[Firing, ...], one: Placed) -> Firing | None:
    rule = one.rule
    wanted = (rule.sfci, rule.policy, rule.trigger)
    same = (f for f in firings if (f.sfci, f.policy, f.trigger) == wanted and f.site in (one.site, ""))
    return next(same, None)


_WORDS: Mapping[str, Style] = {
    "Firing": Style.BAD,
    "Quiet": Style.GOOD,
    "NoData": Style.WARN,
    "Unknown": Style.BAD,
    "Waiting": Style.QUIET,
}


class _Row(Struct, frozen=True):
    """One rule, and what is known of it."""

    placed: Placed
    state: AlertState | None
    last: Firing | None
    now: datetime

    @property
    def word(self) -> str:
        """How the rule does, in one word."""
        if self.state is None or not (self.state.value or self.state.problem):
            return "Waiting"
        if self.state.problem:
            return "Unknown"
        if self.state.status is AlertStatus.FIRING:
            return "Firing"
        return "NoData" if self.state.value == "no data" else "Quiet"

    @property
    def next_check(self) -> datetime | None:
        """When it is looked at next, if the loop runs."""
        if self.state is None:
            return None
        period, lag = self.placed.rule.period, self.placed.monitor.lag
        return max(self.state.checked_at, last_end(self.now - lag, period)) + timedelta(seconds=period) + lag

    def lines(self) -> Iterator[Line]:
        """Show it."""
        yield line(
            Span(self.placed.name, Style.STRONG),
            f" on {self.placed.site}  ",
            Span(self.word, _WORDS[self.word]),
            *([f"  {self.state.value}"] if self.state is not None and self.state.value else []),
        )
        yield line("    ", Span(str(self.placed.rule), Style.QUIET))
        if self.state is not None and self.state.problem:
            yield line("    ", Span(self.state.problem, Style.BAD))
        if self.last is not None:
            yield line(f"    last fired {self.last.at:%Y-%m-%d %H:%M:%S} UTC: {_outcome(self.last)}")
        if self.next_check is not None:
            yield line("    ", Span(f"next check {self.next_check:%Y-%m-%d %H:%M:%S} UTC", Style.QUIET))

    def document(self) -> Document:
        """Give it as JSON."""
        rule, state = self.placed.rule, self.state
        return {
            "name": self.placed.name,
            "site": self.placed.site,
            "id": rule.id,
            "rule": str(rule),
            "state": self.word,
            "value": state.value if state is not None else None,
            "problem": state.problem if state is not None else None,
            "since": state.since.isoformat() if state is not None else None,
            "next_check": self.next_check.isoformat() if self.next_check is not None else None,
            "last_firing": _firing_document(self.last) if self.last is not None else None,
        }


def _outcome(firing: Firing) -> str:
    commit = f" in {firing.commit[:12]}" if firing.commit else ""
    if firing.outcome is Outcome.OPEN:
        return f"waits{f': {firing.message}' if firing.message else ''}"
    return f"{firing.outcome}{commit}: {firing.message}"


def _firing_document(firing: Firing) -> Document:
    return {
        "id": firing.id,
        "at": firing.at.isoformat(),
        "source": firing.source,
        "value": firing.value,
        "outcome": str(firing.outcome),
        "message": firing.message,
        "commit": firing.commit or None,
    }


# --- test ------------------------------------------------------------------------------------------


def _test(desk: _Desk) -> Exit:
    documents = []
    for one in desk.rules():
        end = last_end(desk.now() - one.monitor.lag, one.rule.period)
        database = one.monitor.database_of(one.rule.sfc)
        asked = queries(one.rule, database, end)
        metrics = one.monitor.metrics()
        answers = metrics.ask(asked)
        verdict = judge(one.rule, answers)
        numbers = [_answer_text(answer) for answer in answers]
        word = {Holds: "fires", Clear: "is quiet", NoData: "has no data", Unclear: "is unclear"}[type(verdict)]
        shown = [metrics.show(query) for query in asked]
        documents.append(
            {
                "name": one.name,
                "site": one.site,
                "verdict": word,
                "readings": [_reading(reading) for reading in verdict.readings],
                "queries": [{"query": text, "answer": number} for text, number in zip(shown, numbers, strict=True)],
            }
        )
        if not desk.options.json:
            style = Style.BAD if isinstance(verdict, Holds | Unclear) else Style.GOOD
            desk.screen.show([line(Span(one.name, Style.STRONG), f" on {one.site} ", Span(word, style))])
            desk.screen.show([line("    ", Span(str(one.rule), Style.QUIET))])
            for text, number in zip(shown, numbers, strict=True):
                desk.screen.show([*(line("    ", row) for row in text.splitlines()), line(f"    → {number}")])
    if desk.options.json:
        desk.screen.document({"alerts": documents})
    return Exit.DONE


def _answer_text(answer: object) -> str:
    match answer:
        case Measured(value):
            return f"{value:g}"
        case Missing():
            return "no data"
    return str(getattr(answer, "reason", answer))


def _reading(reading: Reading) -> Document:
    return {"rule": str(reading.condition), "value": reading.value, "problem": reading.problem or None}


# --- fire ------------------------------------------------------------------------------------------


def _fire(desk: _Desk) -> Exit:
    rules = desk.rules()
    if len(rules) != 1:
        names = ", ".join(f"{one.name} on {one.site}" for one in rules[:5])
        raise SettingsError(f"{count(len(rules), 'alert')} are meant: {names}; name one, and its --site")
    one, now = rules[0], desk.now()
    firing = Firing(
        id=firing_id(one.site, f"hand:{one.rule.id}", now),
        site=one.site,
        sfc=one.rule.sfc,
        sfci=one.rule.sfci,
        policy=one.rule.policy,
        trigger=one.rule.trigger,
        source="hand",
        at=now,
        received_at=now,
        value=desk.options.value,
        detail={**rule_detail(one.rule, now), "rule_id": "", "base": desk.ground.catalogue.commit, "handlers": []},
    )
    store = desk.project.store
    store.save_alerts([], [firing])
    Desk(desk.project.place, desk.ground.clock).work(store, desk.project.read())
    made = next(other for other in store.firings(limit=1000) if other.id == firing.id)
    if desk.options.json:
        desk.screen.document(_firing_document(made))
    else:
        desk.screen.show([line(f"alert {made.id} {one.name} on {one.site}: {_outcome(made)}")])
    return Exit.FAILED if made.outcome is Outcome.FAILED else Exit.DONE


# --- replay ----------------------------------------------------------------------------------------


def _replay(desk: _Desk) -> Exit:
    now = desk.now()
    start, end = _moment(desk.options.since, now), _moment(desk.options.until, now)
    if start >= end:
        raise SettingsError("--from must lie before --to")
    found: list[Replayed] = []
    limits = limits_of(desk.ground.settings.alerts)
    groups: dict[tuple[str, str], list[Placed]] = {}
    for one in desk.rules():
        groups.setdefault((one.site, one.service.name), []).append(one)
    then = _catalogue_at(desk, start)
    for (site, name), rules in groups.items():
        before = next((one for one in then.services_on(site) if one.name == name), rules[0].service)
        service = as_it_was(rules[0].service, before)
        replay = Replay(site, service, [one.rule for one in rules], rules[0].monitor, limits)
        checks = sum((end - start) // timedelta(seconds=one.rule.period) for one in rules)
        if checks > MOST_CHECKS:
            raise SettingsError(f"that would be {checks} checks; choose a shorter time or fewer alerts")
        found += replay.run(start, end)
    found.sort(key=lambda one: (one.reason.at, one.site, one.service, one.reason.id))
    if desk.options.json:
        desk.screen.document({"from": start.isoformat(), "to": end.isoformat(), "alerts": [*map(_document, found)]})
        return Exit.DONE
    desk.screen.show(table([_cells(one) for one in found]))
    commits = sum(isinstance(one.decision, SpecPatch) for one in found)
    desk.screen.show([line(f"{count(len(found), 'alert')} would have fired, {count(commits, 'commit')} been made")])
    return Exit.DONE


def _catalogue_at(desk: _Desk, moment: datetime) -> Catalogue:
    """Read what the branch said at a moment, or at its first commit: that is where a replay begins."""
    if desk.project.place.local:
        return desk.ground.catalogue
    repository = desk.project.repository
    history = repository.history(_SEARCHED)
    commit = next((one for one in history if one.when <= moment), history[-1])
    return read_tree(repository.tree(commit.id), desk.project.cache).catalogue


def _cells(one: Replayed) -> tuple[str | Span, ...]:
    reason = one.reason
    name = f"{one.service}/{reason.policy}/{reason.trigger}"
    return (f"{reason.at:%Y-%m-%d %H:%M:%S}", one.site, Span(name, Style.STRONG), reason.value, _decision(one))


def _decision(one: Replayed) -> Span:
    match one.decision:
        case SpecPatch(mode=mode, changes=changes):
            return Span(f"{mode}: {'; '.join(map(str, changes))}", Style.CHANGE)
        case Nothing(reason):
            return Span(reason, Style.QUIET)
        case held:
            return Span(f"held: {held.reason}", Style.WARN)


def _document(one: Replayed) -> Document:
    changes = one.decision.changes if isinstance(one.decision, SpecPatch) else ()
    return {
        "at": one.reason.at.isoformat(),
        "site": one.site,
        "name": f"{one.service}/{one.reason.policy}/{one.reason.trigger}",
        "value": one.reason.value,
        "commit": one.decision.subject if isinstance(one.decision, SpecPatch) else None,
        "changes": [str(change) for change in changes],
        "reason": None if isinstance(one.decision, SpecPatch) else one.decision.reason,
    }


def _moment(text: str, now: datetime) -> datetime:
    """Read a moment: `2026-03-04T12:00:00Z`, `now`, or a time ago such as `2h`."""
    if text == "now":
        return now
    if match := _AGO.fullmatch(text.removeprefix("-")):
        with suppress(OverflowError):
            return now - timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no moment; write 2026-03-04T12:00:00Z, or a time ago such as 2h") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=now.tzinfo)


# --- feed ------------------------------------------------------------------------------------------


def _feed(desk: _Desk) -> Exit:
    choice = choice_of(desk.options)
    points = list(read_lines("\n".join(desk.options.lines), nanoseconds(desk.now())))
    fed: list[str] = []
    for site in chosen_sites(desk.ground, choice):
        providers = desk.ground.connections.of(desk.ground.catalogue.sites[site])
        for name, monitor in monitors_of(providers).items():
            if monitor.keeps_metrics:
                for database in sorted({one.rule.sfc for one in desk.rules() if one.site == site}):
                    monitor.metrics().write(monitor.database_of(database), points)
                fed.append(f"{site}/{name}")
    if not fed:
        raise SettingsError("no site has an embedded store of metrics; write to its InfluxDB instead")
    desk.screen.show([line(f"{count(len(points), 'point')} written to {', '.join(fed)}")])
    return Exit.DONE
