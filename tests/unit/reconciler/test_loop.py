"""The loop, turn by turn, on a clock that is moved by hand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from providers.sandpit import faults, sabotage
from providers.sandpit.database import Database
from reconciler.loop import Loop
from reconciler.loop_turn import Ending
from reconciler.project import Place
from reconciler.starter import SITE
from state.opening import open_store
from state.process import this_process
from state.store import Outcome, Suspension
from tests.support.city import FRONTEND, STORAGE, City, make_city

SETTINGS = """
defaults: {sync: {auto_apply: true, self_heal: true, prune: true}}
timing: {poll: 10s, drift: 60s, backoff: 10s, longest_backoff: 40s}
"""
BROKEN = "tosca_definitions_version: tosca_simple_yaml_1_3\ntopology_template: {node_templates: {a: {typ: x}}}\n"


@dataclass
class Watched:
    """A repository, the loop that watches it, and the time."""

    city: City
    caplog: pytest.LogCaptureFixture
    now: datetime = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
    loops: list[Loop] = field(default_factory=list)
    worlds: list[Database] = field(default_factory=list)

    @property
    def loop(self) -> Loop:
        """The loop that runs now."""
        return self.loops[-1] if self.loops else self.restart()

    def restart(self, **place: str) -> Loop:
        """Begin with a new loop, as after a crash."""
        self.loops.append(Loop(Place(directory=self.city.folder, **place), clock=lambda: self.now))  # type: ignore[arg-type]  # texts only
        return self.loops[-1]

    def turn(self, seconds: float = 0) -> list[Ending]:
        """Let time pass, look at git, and take every turn that is due."""
        self.now += timedelta(seconds=seconds)
        self.caplog.clear()
        self.loop.poll(then_tick=False)
        return [turn.result(timeout=60) for turn in self.loop.tick()]

    def said(self, text: str) -> bool:
        """Tell whether the log of the last turn holds a text."""
        return text in self.caplog.text

    def world(self) -> Database:
        """Open the emulated site."""
        self.worlds.append(sabotage.open_site(self.city.folder / ".reconciler", SITE))
        return self.worlds[-1]

    def addresses(self) -> set[str]:
        """Give what is there."""
        return {str(row["address"]) for row in sabotage.listed(self.world())}

    def runs(self) -> list[tuple[str, Outcome]]:
        """Give cause and outcome of every run, the first one first."""
        store = open_store("", self.city.folder / ".reconciler")
        found = [(run.cause, run.outcome) for run in reversed(store.runs())]
        store.close()
        return found


@pytest.fixture
def watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Watched]:
    """Give a repository whose loop may do everything."""
    city = make_city(tmp_path / "city")
    city.commit({"reconciler.yaml": SETTINGS})
    caplog.set_level(logging.INFO, "reconciler")
    watched = Watched(city, caplog)
    yield watched
    for loop in watched.loops:
        loop.close()
    for world in watched.worlds:
        world.close()


def test_a_commit_is_applied_and_then_all_is_quiet(watched: Watched) -> None:
    assert watched.turn() == [Ending.DONE]
    assert len(watched.addresses()) == 19
    assert watched.turn(30) == []
    assert watched.turn(31) == [Ending.QUIET]
    assert watched.said("sandpit-city ")
    assert watched.said("in sync, 19 resources")
    assert watched.runs() == [("push", Outcome.DONE)]


def test_a_push_is_applied_at_the_next_look_at_git(watched: Watched) -> None:
    watched.turn()
    watched.city.edit("default_instances: 2", "default_instances: 3")

    assert watched.turn(1) == [Ending.DONE]
    assert len(watched.addresses()) == 23


def test_drift_is_healed_on_schedule(watched: Watched) -> None:
    watched.turn()
    sabotage.deleted(watched.world(), STORAGE)

    assert watched.turn(30) == []
    assert watched.turn(31) == [Ending.DONE]
    assert watched.said("drifted: ")
    assert STORAGE in watched.addresses()
    assert watched.runs()[-1] == ("drift", Outcome.DONE)


def test_a_site_where_somebody_stirred_is_looked_at_at_once(watched: Watched) -> None:
    watched.turn()
    sabotage.deleted(watched.world(), STORAGE)
    watched.loop.stir(SITE)

    assert watched.turn(1) == [Ending.DONE]
    assert STORAGE in watched.addresses()
    assert watched.turn(1) == []


def test_stirring_does_not_shorten_the_pause_after_a_failure(watched: Watched) -> None:
    watched.turn()
    faults.add(watched.world(), faults.Fault(call="update:server", trouble=faults.Trouble.REFUSE))
    watched.city.edit("mem_size: 1 GB", "mem_size: 2 GB")
    assert watched.turn(1) == [Ending.FAILED]
    watched.loop.stir(SITE)

    assert watched.turn(1) == []


def test_stirring_at_a_site_nobody_knows_is_nothing(watched: Watched) -> None:
    watched.turn()
    watched.loop.stir("atlantis")

    assert watched.turn(1) == []


def test_without_self_heal_drift_is_reported_only(watched: Watched) -> None:
    watched.city.commit({"reconciler.yaml": "defaults: {sync: {auto_apply: true}}\n"})
    watched.turn()
    sabotage.changed(watched.world(), FRONTEND, "vcpus", 4)

    assert watched.turn(400) == [Ending.QUIET]
    assert watched.said("1 resource drifted")
    assert watched.said("1 step held back: self-heal is off")


def test_without_auto_apply_a_commit_is_reported_only(watched: Watched) -> None:
    watched.city.commit({"reconciler.yaml": "defaults: {sync: {self_heal: true}}\n"})

    assert watched.turn() == [Ending.QUIET]
    assert watched.said("19 steps held back: auto-apply is off")
    assert watched.addresses() == set()


def test_an_invalid_commit_is_said_and_the_last_good_one_is_kept(watched: Watched) -> None:
    watched.turn()
    bad = watched.city.commit({"specs/broken.yaml": BROKEN})
    assert watched.turn(1) == []
    assert watched.said(f"{bad[:12]} is invalid, nothing of it is applied: ")
    assert watched.said("specs/broken.yaml:2:")

    sabotage.deleted(watched.world(), STORAGE)
    assert watched.turn(60) == [Ending.DONE]
    assert not watched.said("is invalid")
    assert STORAGE in watched.addresses()


def test_after_a_restart_on_an_invalid_commit_the_last_applied_one_goes_on(watched: Watched) -> None:
    watched.turn()
    watched.city.commit({"specs/broken.yaml": BROKEN})
    watched.city.commit({"notes.txt": "no better"})
    watched.restart()
    sabotage.deleted(watched.world(), STORAGE)

    assert watched.turn() == [Ending.DONE]
    assert STORAGE in watched.addresses()


def test_with_nothing_valid_nothing_is_done(watched: Watched) -> None:
    watched.city.commit({"specs/broken.yaml": BROKEN})

    assert watched.turn() == []
    assert not watched.loop.once()


def test_a_suspended_site_is_left_alone_until_it_is_resumed(watched: Watched) -> None:
    store = open_store("", watched.city.folder / ".reconciler")
    store.suspend(Suspension(site=SITE, reason="moving the racks", owner="ann", since=watched.now))
    assert watched.turn() == [Ending.QUIET]
    assert watched.said("it is suspended by ann: moving the racks")
    assert watched.addresses() == set()

    store.resume(SITE)
    store.close()
    assert watched.turn(61) == [Ending.DONE]


def test_a_suspended_service_is_left_alone_and_others_are_not(watched: Watched) -> None:
    other = (watched.city.folder / "specs/vr-tour.yaml").read_text().replace("service: vr-tour", "service: other")
    watched.city.commit({"specs/other.yaml": other})
    store = open_store("", watched.city.folder / ".reconciler")
    store.suspend(Suspension(site=SITE, service="vr-tour", owner="ann", since=watched.now))
    store.close()
    watched.turn()

    assert {address.split("/")[1] for address in watched.addresses()} == {"other"}


def test_outside_its_windows_the_loop_only_looks(watched: Watched) -> None:
    sync = "{auto_apply: true, windows: [{start: '0 13 * * *', duration: 1h}]}"
    watched.city.commit({"reconciler.yaml": f"defaults: {{sync: {sync}}}\n"})
    assert watched.turn() == [Ending.QUIET]
    assert watched.said("it is outside its windows: it is looked at, and nothing is applied")
    assert watched.addresses() == set()

    assert watched.turn(3600) == [Ending.DONE]
    assert not watched.said("outside its windows")


def test_a_service_outside_its_own_windows_is_named(watched: Watched) -> None:
    own = "{auto_apply: true, windows: [{start: '0 13 * * *', duration: 1h}]}"
    site = f"sync: {{auto_apply: true}}, services: {{vr-tour: {own}}}"
    watched.city.commit({"reconciler.yaml": f"sites: {{{SITE}: {{{site}}}}}\n"})
    assert watched.turn() == [Ending.QUIET]

    assert watched.said("vr-tour is outside its windows")
    assert not watched.said("it is outside its windows")


def test_failed_turns_are_tried_again_later_and_later(watched: Watched) -> None:
    watched.turn()
    faults.add(watched.world(), faults.Fault(call="update:server", trouble=faults.Trouble.REFUSE))
    watched.city.edit("mem_size: 1 GB", "mem_size: 2 GB")
    assert watched.turn(1) == [Ending.FAILED]
    assert watched.said("next try in 10 s")

    assert watched.turn(9) == []
    assert watched.turn(2) == [Ending.FAILED]
    assert watched.said("next try in 20 s")
    assert watched.turn(11) == []


def test_a_new_commit_ends_the_waiting(watched: Watched) -> None:
    watched.turn()
    faults.add(watched.world(), faults.Fault(call="update:server", trouble=faults.Trouble.REFUSE, times=2))
    watched.city.edit("mem_size: 1 GB", "mem_size: 2 GB")
    watched.turn(1)
    watched.city.edit("mem_size: 2 GB", "mem_size: 1 GB")

    assert watched.turn(1) == [Ending.QUIET]


def test_a_newer_commit_beats_a_run_that_keeps_trying(watched: Watched) -> None:
    watched.turn()
    faults.add(watched.world(), faults.Fault(call="update:server", trouble=faults.Trouble.FAIL, seconds=30))
    watched.city.edit("mem_size: 1 GB", "mem_size: 2 GB")
    watched.loop.poll(then_tick=False)
    (run,) = watched.loop.tick()
    newer = watched.city.edit("mem_size: 2 GB", "mem_size: 1 GB")
    watched.loop.poll(then_tick=False)

    assert run.result(timeout=20) is Ending.INTERRUPTED
    assert watched.said(f"left off: {newer[:12]} is newer")
    assert watched.turn() == [Ending.QUIET]
    assert ("push", Outcome.CANCELLED) in watched.runs()


def test_stopping_ends_a_run_that_keeps_trying(watched: Watched) -> None:
    watched.turn()
    faults.add(watched.world(), faults.Fault(call="update:server", trouble=faults.Trouble.FAIL, seconds=30))
    watched.city.edit("mem_size: 1 GB", "mem_size: 2 GB")
    watched.loop.poll(then_tick=False)
    (run,) = watched.loop.tick()
    watched.loop.stop()

    assert run.result(timeout=20) is Ending.INTERRUPTED
    assert watched.loop.tick() == []


def test_a_site_somebody_else_works_on_is_tried_again(watched: Watched) -> None:
    store = open_store("", watched.city.folder / ".reconciler")
    lock = this_process(SITE, watched.now)
    store.lock(lock, lambda other: False)
    assert watched.turn() == [Ending.LOCKED]
    assert watched.said("it is tried again later")

    store.unlock(lock)
    store.close()
    assert watched.turn(11) == [Ending.DONE]


def test_a_mass_change_stops_and_needs_a_person(watched: Watched) -> None:
    watched.turn()
    watched.city.commit({"specs/vr-tour.yaml": None})

    assert watched.turn(1) == [Ending.FAILED]
    assert watched.said("19 of 19 resources of sandpit-city would vanish")
    assert len(watched.addresses()) == 19


def test_what_is_down_is_said_and_left_alone(watched: Watched) -> None:
    watched.turn()
    faults.take_down(watched.world(), "@edge-1", "the power is off")

    assert watched.turn(61) == [Ending.BLIND]
    assert watched.said("could not be seen: the power is off")


def test_what_could_not_be_seen_is_looked_at_again_soon_but_not_later_than_usual(watched: Watched) -> None:
    watched.city.commit({"reconciler.yaml": SETTINGS.replace("drift: 60s", "drift: 15s")})
    watched.turn()
    faults.take_down(watched.world(), "@edge-1", "the power is off")
    watched.city.edit("default_instances: 2", "default_instances: 3")
    endings = [watched.turn(seconds) for seconds in (1, 11, 16, 16)]
    faults.bring_up(watched.world(), "@edge-1")

    assert endings == [[Ending.BLIND]] * 4
    assert watched.turn(16) == [Ending.DONE]
    assert watched.said("applying because of push")


def test_every_site_is_kept_on_its_own(watched: Watched) -> None:
    site = (watched.city.folder / f"sites/{SITE}.yaml").read_text()
    spec = (watched.city.folder / "specs/vr-tour.yaml").read_text()
    watched.city.commit(
        {
            "sites/other.yaml": site.replace(f"site: {SITE}", "site: other"),
            "specs/vr-tour.yaml": spec.replace(f"sites: [{SITE}]", "sites: all"),
        }
    )
    assert watched.turn() == [Ending.DONE, Ending.DONE]

    watched.city.commit({"sites/other.yaml": None})
    assert watched.turn(1) == [Ending.QUIET]
    assert watched.said("other is no site any more")


def test_a_site_that_does_not_exist_is_said(watched: Watched) -> None:
    loop = Loop(Place(directory=watched.city.folder), ("nowhere",), clock=lambda: watched.now)
    watched.loops.append(loop)

    assert not loop.once()
    assert watched.said("no site 'nowhere'; there are sandpit-city")


def test_without_a_repository_the_loop_waits_for_one(watched: Watched, tmp_path: Path) -> None:
    loop = Loop(Place(directory=tmp_path, repo=str(tmp_path / "later")), clock=lambda: watched.now)
    watched.loops.append(loop)
    loop.poll(then_tick=False)
    assert watched.said("no news from git: ")

    make_city(tmp_path / "later")
    loop.poll(then_tick=False)
    assert [turn.result(timeout=60) for turn in loop.tick()] == [Ending.DONE]


def test_unsigned_commits_are_not_applied_where_signers_are_named(watched: Watched) -> None:
    watched.turn()
    watched.city.commit({"reconciler.yaml": f"{SETTINGS}\nallowed_signers: signers\n"})
    (watched.city.folder / "signers").write_text("")

    assert watched.turn(1) == []
    assert watched.said("is not applied: ")
    assert watched.said("is not signed")


def test_once_takes_one_turn_on_every_site(watched: Watched) -> None:
    assert watched.loop.once()
    assert len(watched.addresses()) == 19


def test_once_fails_when_the_latest_commit_is_no_good(watched: Watched) -> None:
    assert watched.loop.once()
    watched.city.commit({"specs/broken.yaml": BROKEN})

    assert not watched.restart().once()
    assert watched.said("is invalid, nothing of it is applied")


def test_once_fails_when_not_all_could_be_seen(watched: Watched) -> None:
    assert watched.loop.once()
    faults.take_down(watched.world(), "@edge-1", "the power is off")

    assert not watched.restart().once()
