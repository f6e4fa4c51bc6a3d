"""The loop and apply as real processes, on a repository behind a real server."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from reconciler.starter import SITE
from state.store import Outcome
from tests.support.platforms import Platform, edited, files, wait_until
from tests.testbed.git.servers import GitServers

STORAGE = f"{SITE}/vr-tour/storage@dc-1.0:sandpit.server"
SLOW = {f"sites/{SITE}.yaml": files()[f"sites/{SITE}.yaml"].replace(b"{server: 200 ms}", b"{server: 3 s}")}


@pytest.mark.parametrize("platform", ["ssh", "http"], indirect=True)
def test_a_push_is_running_seconds_later_and_survives_sabotage(platform: Platform) -> None:
    loop = platform.start("run")
    wait_until(lambda: "applied" in loop.said)
    assert len(platform.addresses()) == 19

    platform.push(edited("default_instances: 2", "default_instances: 3"))
    wait_until(lambda: loop.said.count(": applied") == 2, seconds=10)
    assert len(platform.addresses()) == 23

    platform.delete(STORAGE)
    wait_until(lambda: STORAGE in platform.addresses(), seconds=10)
    wait_until(lambda: loop.said.count(": applied") == 3)

    assert loop.end() == 0
    assert loop.said.endswith("INFO stopped\n")
    assert "Traceback" not in loop.said


def test_sigterm_finishes_what_is_in_flight_and_leaves_nothing_open(platform: Platform) -> None:
    platform.push(SLOW)
    loop = platform.start("run")
    wait_until(lambda: STORAGE in platform.addresses())

    assert loop.end() == 0
    store = platform.store()
    assert store.locks() == ()
    assert store.journal(SITE, outcome=Outcome.OPEN) == ()
    assert [run.outcome for run in store.runs()] == [Outcome.CANCELLED]
    store.close()


def test_a_killed_loop_goes_on_where_it_was_and_doubles_nothing(platform: Platform) -> None:
    platform.push(SLOW)
    first = platform.start("run")
    wait_until(lambda: STORAGE in platform.addresses())
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    assert len(platform.addresses()) < 19

    second = platform.start("run")
    wait_until(lambda: "in sync, 19 resources" in second.said)
    assert set(Counter(platform.addresses()).values()) == {1}
    assert second.end() == 0
    store = platform.store()
    assert store.journal(SITE, outcome=Outcome.OPEN) == ()
    store.close()


def test_of_two_applies_at_once_one_works_and_the_other_says_who_does(platform: Platform) -> None:
    platform.push(SLOW)
    first = platform.start("apply", "--auto-approve")
    wait_until(lambda: STORAGE in platform.addresses())
    code, said = platform.run("apply", "--auto-approve")

    assert code == 5
    assert f"(process {first.process.pid})" in said
    assert first.wait() == 0
    assert len(platform.addresses()) == 19


def test_the_first_interrupt_finishes_what_is_in_flight(platform: Platform) -> None:
    platform.push(SLOW)
    apply = platform.start("apply", "--auto-approve")
    wait_until(lambda: STORAGE in platform.addresses())

    assert apply.end(signal.SIGINT) == 130
    assert "interrupted." in apply.said
    store = platform.store()
    assert store.locks() == ()
    assert store.journal(SITE, outcome=Outcome.OPEN) == ()
    store.close()
    assert platform.run("apply", "--auto-approve")[0] == 0
    assert set(Counter(platform.addresses()).values()) == {1}


def test_an_interrupt_ends_a_long_wait_for_another_try(platform: Platform) -> None:
    assert platform.run("plan")[0] == 0
    platform.spoil("create:server", "fail", seconds=60)
    apply = platform.start("apply", "--auto-approve")
    wait_until(lambda: "again in 60" in apply.said)

    assert apply.end(signal.SIGTERM) == 143
    assert "not done" in apply.said


def test_once_takes_one_turn_and_ends(platform: Platform) -> None:
    code, said = platform.run("run", "--once")

    assert code == 0
    assert "19 to create; applying because of push" in said
    assert len(platform.addresses()) == 19


def test_once_fails_when_a_turn_does(platform: Platform) -> None:
    platform.run("plan")
    platform.spoil("create:server", "refuse")

    assert platform.run("run", "--once")[0] == 1


def test_a_rollback_is_pushed_and_the_loop_follows(platform: Platform) -> None:
    platform.push(edited("default_instances: 2", "default_instances: 3"), "Open a third frontend")
    loop = platform.start("run")
    wait_until(lambda: len(platform.addresses()) == 23)
    assert platform.run("rollback", "HEAD")[0] == 0

    wait_until(lambda: len(platform.addresses()) == 19)
    assert loop.end() == 0


def test_a_server_that_goes_away_is_said_and_the_world_is_kept_meanwhile(platform: Platform) -> None:
    loop = platform.start("run")
    wait_until(lambda: "applied" in loop.said)
    hidden = platform.bare.with_name(f"hidden-{platform.bare.name}")
    platform.bare.rename(hidden)
    wait_until(lambda: "no news from git" in loop.said)
    platform.delete(STORAGE)
    wait_until(lambda: STORAGE in platform.addresses())

    hidden.rename(platform.bare)
    platform.push(edited("default_instances: 2", "default_instances: 3"))
    wait_until(lambda: len(platform.addresses()) == 23)
    assert loop.end() == 0


def test_where_signers_are_named_only_what_they_signed_is_applied(platform: Platform, servers: GitServers) -> None:
    key = servers.ssh.folder / "ed25519"
    kind, text, *_ = key.with_suffix(".pub").read_text().split()
    (platform.folder / "signers").write_text(f"ann@example.org {kind} {text}\n")
    named = files()["reconciler.yaml"] + b"allowed_signers: signers\n"
    loop = platform.start("run")
    wait_until(lambda: len(platform.addresses()) == 19)
    platform.push({"reconciler.yaml": named, **edited("default_instances: 2", "default_instances: 3")}, sign=key)
    wait_until(lambda: len(platform.addresses()) == 23)
    assert "is the commit to apply, signed by ann@example.org" in loop.said

    unsigned = {"reconciler.yaml": files()["reconciler.yaml"], **edited("default_instances: 2", "default_instances: 1")}
    platform.push(unsigned)
    wait_until(lambda: "is not signed" in loop.said)
    assert loop.end() == 0
    again = platform.start("run")
    wait_until(lambda: "in sync, 23 resources" in again.said)
    assert "is not signed" in again.said
    assert "is not signed" in platform.run("apply", "--auto-approve")[1]

    platform.push({"notes.txt": b"I mean it"}, sign=key)
    wait_until(lambda: len(platform.addresses()) == 15)
    assert again.end() == 0
