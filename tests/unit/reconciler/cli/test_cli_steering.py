"""rollback, suspend, resume, unlock, adopt, sandpit, init, demo and completion."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.demo import Deed, prepare, story
from reconciler.project import utc_now
from state.opening import open_store
from state.process import this_process
from state.store import Run
from tests.support.city import FRONTEND, STORAGE, City

NETWORK = "sandpit-city/vr-tour/vr-tour@edge-2:sandpit.network"


# --- rollback --------------------------------------------------------------------------------------


def test_a_rollback_is_a_commit_and_the_world_follows_when_applied(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.edit("default_instances: 2", "default_instances: 3")
    city.run("apply", "--auto-approve")
    ended = city.run("rollback", "HEAD")

    assert ended.code == 0
    assert "on main reverts" in ended.out
    assert city.run("history", "--json").document["commits"][0]["subject"].startswith('Revert "Say')
    assert city.run("plan").out.endswith("Plan: 0 to add, 0 to change, 4 to destroy.\n")


def test_a_rollback_to_nowhere_is_refused(city: City) -> None:
    ended = city.run("rollback", "nonsense")

    assert ended.code == 1
    assert "has no commit 'nonsense'" in ended.err


# --- suspend, resume, unlock -----------------------------------------------------------------------


def test_a_suspension_holds_until_it_is_ended(city: City) -> None:
    assert city.run("suspend", "--reason", "moving the racks").code == 0
    assert "suspended by" in city.run("status").out
    assert "moving the racks" in city.run("status").out
    assert "sandpit-city goes on" in city.run("resume").err
    assert "sandpit-city was not suspended" in city.run("resume").err
    assert "suspended" not in city.run("status").out


def test_only_what_exists_can_be_suspended(city: City) -> None:
    assert "no service 'x'; there are vr-tour" in city.run("suspend", "--service", "x").err
    assert "no site 'x'; there are sandpit-city" in city.run("suspend", "--site", "x").err


def test_what_left_git_can_still_be_resumed(city: City) -> None:
    city.run("suspend")
    city.commit({"sites/sandpit-city.yaml": None, "specs/vr-tour.yaml": None})

    assert "sandpit-city goes on" in city.run("resume").err


def hold_lock(city: City) -> None:
    store = open_store("", city.folder / ".reconciler")
    store.lock(this_process("sandpit-city", utc_now()), lambda lock: True)
    store.close()


def test_a_locked_site_is_not_applied_and_says_who_holds_it(city: City) -> None:
    city.run("plan")
    hold_lock(city)
    ended = city.run("apply", "--auto-approve")

    assert ended.code == 5
    assert f"sandpit-city is locked by {this_process('x', utc_now()).owner} (process {os.getpid()})" in ended.err
    assert "unlock --site sandpit-city" in ended.err
    assert f"process {os.getpid()}" in city.run("status").out


def test_status_says_when_the_holder_of_a_lock_is_gone(city: City) -> None:
    hold_lock(city)
    assert "that process is gone" not in city.run("status").out
    dead = subprocess.Popen(["true"])
    store = open_store("", city.folder / ".reconciler")
    dead.wait()
    store.lock(replace(this_process("sandpit-city", utc_now()), pid=dead.pid), lambda lock: True)
    store.save_run(Run(id="r", site="sandpit-city", commit="c" * 40, cause="apply", started_at=utc_now()))
    store.close()
    ended = city.run("status")

    assert f"process {dead.pid}, since" in ended.out
    assert "that process is gone, and the next apply takes over" in ended.out
    assert "UTC, apply: not finished" in ended.out
    assert city.run("status", "--json").document["sites"][0]["lock"]["gone"] is True


def test_unlock_spares_a_process_at_work(city: City) -> None:
    hold_lock(city)
    ended = city.run("unlock", "--site", "sandpit-city")

    assert ended.code == 5
    assert "that process is at work on this machine; wait for it, or end it first" in ended.err
    assert f"process {os.getpid()}" in city.run("status").out


def test_unlock_breaks_the_lock_of_a_holder_that_cannot_be_seen(city: City) -> None:
    store = open_store("", city.folder / ".reconciler")
    store.lock(replace(this_process("sandpit-city", utc_now()), host="elsewhere"), lambda lock: True)
    store.close()

    assert "which site?" in city.run("unlock").err
    assert "broke the lock" in city.run("unlock", "--site", "sandpit-city").err
    assert "is not locked" in city.run("unlock", "--site", "sandpit-city").err
    assert city.run("apply", "--auto-approve").code == 0


# --- adopt -----------------------------------------------------------------------------------------


def test_what_is_there_under_its_name_can_be_adopted(city: City) -> None:
    city.run("plan")
    city.run("sandpit", "add", "network", "vr-tour/vr-tour@edge-2", "--cluster", "edge-2", "--binding", "sandpit")
    ended = city.run("adopt", NETWORK)

    assert ended.code == 0
    assert f"network-1 is now ours, as {NETWORK}, and is as the specs say" in ended.out
    assert city.run("plan").out.endswith("Plan: 18 to add, 0 to change, 0 to destroy.\n")


def test_what_differs_from_the_spec_is_changed_by_the_next_apply(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "change", FRONTEND, "vcpus=2")
    city.run("sandpit", "unmark", FRONTEND)
    ended = city.run("adopt", FRONTEND)

    assert "differs from the specs; reconciler plan shows how" in ended.out
    assert "~ vcpus = 2 -> 1  # the spec changed it" in city.run("plan").out
    city.run("apply", "--auto-approve")
    assert city.run("status").code == 0


def test_what_is_ours_is_not_adopted_again(city: City) -> None:
    city.run("apply", "--auto-approve")

    assert f"{STORAGE} is ours already: server-" in city.run("adopt", STORAGE).err


def test_what_cannot_be_adopted_says_what_can(city: City) -> None:
    city.run("plan")
    city.run("sandpit", "add", "network", "other", "--cluster", "edge-2", "--binding", "sandpit")

    assert "there are: network-1 (other)" in city.run("adopt", NETWORK).err
    assert "no network that is not ours has the id 'network-9'" in city.run("adopt", NETWORK, "network-9").err
    assert (
        "the specs want no sandpit-city/a/b:sandpit.server" in city.run("adopt", "sandpit-city/a/b:sandpit.server").err
    )
    assert "is not an address" in city.run("adopt", "nonsense").err
    assert "no site 'x'" in city.run("adopt", "x/a/b:sandpit.server").err


# --- sandpit ---------------------------------------------------------------------------------------


def test_the_sandpit_can_be_broken_and_mended(city: City) -> None:
    city.run("plan")
    assert city.run("sandpit", "fault", "create:server", "fail", "--times", "2").code == 0
    assert city.run("sandpit", "down", "@edge-1").code == 0
    troubles = city.run("sandpit", "troubles").out
    assert "create:server: fail 2 times" in troubles
    assert "@edge-1" in troubles
    city.run("sandpit", "clear")
    city.run("sandpit", "up")
    assert city.run("sandpit", "troubles").out == ""


def test_the_sandpit_shows_and_changes_objects(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "change", STORAGE, 'labels={"a": 1}', "vcpus=null", "note=plain text")
    properties = city.run("sandpit", "show", STORAGE, "--json").document[0]["properties"]

    assert (properties["labels"], properties["note"]) == ({"a": 1}, "plain text")
    assert "vcpus" not in properties
    assert "vcpus" in city.run("sandpit", "usage").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["delete", "nobody"], "no object 'nobody'"),
        (["change", "x", "vcpus"], "is no NAME=VALUE"),
        (["fault", "create:server", "explode"], "no trouble 'explode'; there are timeout"),
        (["fault", "fly:server", "fail"], "is no call"),
        (["down", "moon"], "cannot be down"),
        (["--site", "a", "--site", "b", "list"], "which site?"),
    ],
)
def test_the_sandpit_says_what_it_does_not_understand(city: City, arguments: list[str], words: str) -> None:
    city.run("plan")
    ended = city.run("sandpit", *arguments)

    assert ended.code == 1
    assert words in ended.err


def test_without_a_look_there_is_no_sandpit(city: City) -> None:
    assert "reconciler plan makes it" in city.run("sandpit", "list").err


# --- init, demo, completion ------------------------------------------------------------------------


def test_init_makes_a_repository_that_is_valid(city: City, tmp_path: Path) -> None:
    made = city.run("init", str(tmp_path / "new"))

    assert made.code == 0
    assert city.run("-C", str(tmp_path / "new"), "validate").out.startswith("Valid: 1 site, 1 service")
    assert (tmp_path / "new" / ".gitignore").read_text() == ".reconciler/\n"


def test_init_leaves_what_is_there_alone(city: City) -> None:
    ended = city.run("init")

    assert ended.code == 1
    assert "is not empty" in ended.err


@pytest.mark.timeout(60)
def test_the_demo_tells_its_story(city: City, tmp_path: Path) -> None:
    folder = tmp_path / "told"
    ended = city.run("demo", str(folder))
    assert ended.code == 0, ended.err
    come, gone = ended.out.index("The square fills"), ended.out.index("The square empties")

    assert "$ reconciler apply --auto-approve" in ended.out
    assert "vr-tour: storage on edge-1 from placed to connected\n\nThe alert many_requests" in ended.out[come:gone]
    assert "Value: 40\n" in ended.out[come:gone]
    assert "TOSCA reconciler: vr-tour: storage on edge-1 from connected to placed" in ended.out[gone:]
    assert "That was it." in ended.out
    assert city.run("-C", str(folder), "status").code == 0
    assert city.run("-C", str(folder), "plan", "--detailed-exitcode").code == 0


def test_the_demo_begins_anew_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "told"
    with story(folder) as chapters:
        first = chapters[0].steps[0]
        assert isinstance(first, Deed)
        first.act(folder)
    (folder / "specs" / "mine.yaml").write_text("a: 1\n")
    prepare(folder)

    assert not folder.exists()


def test_the_demo_removes_only_what_it_made(city: City) -> None:
    ended = city.run("demo", str(city.folder))

    assert ended.code == 1
    assert "was not made by the demo" in ended.err
    assert (city.folder / "reconciler.yaml").exists()


def test_bash_understands_the_completion(city: City, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(city.run("completion", "bash").out)

    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert "auto-approve" in script.read_text()
    assert "#compdef reconciler" in city.run("completion", "zsh").out
