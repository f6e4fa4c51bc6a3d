"""A plan is told again only while everything it was made from stands still."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli import answers
from tests.support.city import STORAGE, City, Ended

TICKS = 500


@pytest.fixture
def settled(city: City, monkeypatch: pytest.MonkeyPatch) -> City:
    """Give an applied city in which a change need not be old to be looked at from outside."""
    monkeypatch.setattr(answers, "SETTLED_SECONDS", -3600.0)
    secret = city.folder / ".reconciler" / "secrets" / "key"
    secret.parent.mkdir(parents=True)
    secret.write_text("one")
    city.edit("env:\n", "env:\n          KEY: {get_secret: key}\n")
    assert city.run("apply", "--auto-approve").code == 0
    return city


def answer(city: City) -> Path:
    return city.folder / ".reconciler" / "answer.json"


def planned(city: City, *more: str) -> Ended:
    """Plan until the answer is kept; the first plan after an apply writes to the store."""
    ended = city.run("plan", *more)
    if not answer(city).exists():
        ended = city.run("plan", *more)
    return ended


def is_repeated(city: City, *more: str) -> bool:
    """Tell whether the next plan is what was kept, by putting other words into it."""
    kept = json.loads(answer(city).read_text())
    answer(city).write_text(json.dumps({**kept, "said": [[0, "said before\n"]]}))
    repeated = city.run("plan", *more).out == "said before\n"
    if repeated:
        answer(city).write_text(json.dumps(kept))
    return repeated


def tick(folder: Path) -> None:
    """Wait until a file that is written now looks different from one written before."""
    probe = folder / ".reconciler" / "probe"
    probe.write_text("1")
    before = probe.stat().st_mtime_ns
    for _ in range(TICKS):
        probe.write_text("2")
        if probe.stat().st_mtime_ns != before:
            return
        time.sleep(0.001)
    raise AssertionError("the clock of the file system stands still")


def test_an_answer_is_told_again(settled: City) -> None:
    first = planned(settled)

    assert is_repeated(settled)
    assert settled.run("plan") == first


def test_what_was_said_about_it_and_the_exit_code_are_told_again(settled: City) -> None:
    settled.run("sandpit", "delete", STORAGE)
    first = planned(settled, "--detailed-exitcode")

    assert first.code == 2
    assert is_repeated(settled, "--detailed-exitcode")
    assert settled.run("plan", "--detailed-exitcode") == first


def test_another_question_is_answered_anew(settled: City) -> None:
    planned(settled)

    assert not is_repeated(settled, "--service", "vr-tour")


def moved_branch(city: City) -> None:
    first = city.repository().history(10)[-1].id
    (city.folder / ".git" / "refs" / "heads" / "other").write_text(f"{first}\n")
    (city.folder / ".git" / "HEAD").write_text("ref: refs/heads/other\n")


def packed_branch(city: City, commit: str = "") -> None:
    head = city.folder / ".git" / "refs" / "heads" / "main"
    packed = city.folder / ".git" / "packed-refs"
    packed.write_text(f"{commit or head.read_text().strip()} refs/heads/main\n")
    head.unlink(missing_ok=True)


CHANGES: dict[str, Callable[[City], object]] = {
    "a commit": lambda city: city.edit("default_instances: 2", "default_instances: 3"),
    "a setting": lambda city: city.commit({"reconciler.yaml": "sync: {prune: true}\n"}),
    "another branch": moved_branch,
    "a branch that was packed": packed_branch,
    "a deleted object": lambda city: city.run("sandpit", "delete", STORAGE),
    "a cluster that is down": lambda city: city.run("sandpit", "down", "@edge-1"),
    "an apply": lambda city: (city.edit("default_instances: 2", "default_instances: 3"), city.run("apply")),
    "a suspension": lambda city: city.run("suspend"),
    "a lost store": lambda city: (city.folder / ".reconciler" / "state.db").unlink(),
    "a lost world": lambda city: (city.folder / ".reconciler" / "sandpit-sandpit-city.db").unlink(),
    "a secret": lambda city: (city.folder / ".reconciler" / "secrets" / "key").write_text("two"),
    "a damaged answer": lambda city: answer(city).write_text("{"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_told_again_after(change: str, settled: City) -> None:
    planned(settled)
    tick(settled.folder)
    CHANGES[change](settled)
    told = settled.run("plan")
    answer(settled).unlink(missing_ok=True)

    assert told == settled.run("plan")


def test_nothing_is_told_again_after_a_packed_branch_moved(settled: City) -> None:
    first = settled.repository().resolve()
    settled.edit("default_instances: 2", "default_instances: 3")
    packed_branch(settled)
    told = planned(settled)
    tick(settled.folder)
    packed_branch(settled, first)

    assert settled.run("plan") != told


@pytest.mark.parametrize("variable", ["RECONCILER_SECRET_PASSWORD", "NO_COLOR", "HOME"])
def test_other_surroundings_are_another_question(variable: str, settled: City, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(settled)
    monkeypatch.setenv(variable, "/elsewhere")

    assert not is_repeated(settled)


def test_what_changed_just_now_is_not_kept(settled: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SETTLED_SECONDS", 3600.0)
    planned(settled)

    assert not answer(settled).exists()


@pytest.mark.parametrize("more", [["--json"], ["--local"], ["--out", "plan.json"], ["--verbose"]])
def test_questions_that_are_never_kept(
    more: list[str], settled: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settled.run("plan", *more)
    settled.run("plan", *more)

    assert not answer(settled).exists()


def test_nobody_else_can_read_an_answer(settled: City) -> None:
    planned(settled)

    assert answer(settled).stat().st_mode & 0o077 == 0
