"""`kill -9` at every point where apply writes its diary: the next run ends in the same world."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from reconciler.look import look
from reconciler.project import Place, opened
from state.store import Outcome

EXAMPLE = Path(__file__).parents[3] / "examples" / "flame"
SCRIPT = Path(__file__).with_name("dying_apply.py")
NEVER = -1
_SPEC = "specs/vr-tour.yaml"


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def apply(folder: Path, deadly: int = NEVER) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(folder), str(deadly)]
    return subprocess.run(
        command, cwd=SCRIPT.parents[3], env={"PYTHONPATH": "."}, capture_output=True, text=True, timeout=60
    )


def world(folder: Path) -> Counter[tuple[str, str]]:
    """Give every object of the world as its address and the digest of what it was made from."""
    with opened(Place(directory=folder)) as project:
        ground = project.ground(project.read())
        seen = look(ground, "bristol").seen
        return Counter((p.address, p.mark.digest) for s in seen.snapshots.values() for p in s.present)


def differences(folder: Path) -> tuple[object, ...]:
    with opened(Place(directory=folder)) as project:
        return look(project.ground(project.read()), "bristol").comparison.differences


def open_entries(folder: Path) -> tuple[object, ...]:
    with opened(Place(directory=folder)) as project:
        return project.store.journal("bristol", outcome=Outcome.OPEN)


def untold(folder: Path) -> set[str]:
    """Give where the world is not what the records say, and no open entry of the journal tells that it may be."""
    with opened(Place(directory=folder)) as project:
        seen = look(project.ground(project.read()), "bristol")
        told = {entry.address for entry in project.store.journal("bristol", outcome=Outcome.OPEN)}
    there = {(p.address, p.mark.digest) for s in seen.seen.snapshots.values() for p in s.present}
    recorded = {item.address: item.digest for item in seen.applied.values()}
    unrecorded = {address for address, _ in there if (address, recorded.get(address)) not in there}
    gone = {address for address, digest in recorded.items() if (address, digest) not in there}
    return {str(address) for address in (unrecorded | gone) - told}


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Give a spec repository of which nothing is applied yet."""
    folder = tmp_path / "first"
    shutil.copytree(EXAMPLE, folder)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def second(first: Path) -> Path:
    """Give one that is applied, and then changed in every way: made, changed, replaced, lowered, deleted."""
    assert apply(first).returncode == 0
    spec = first / _SPEC
    text = spec.read_text()
    for old, new in CHANGES.items():
        assert old in text, f"the example no longer holds {old!r}"
        text = text.replace(old, new)
    spec.write_text(text)
    git(first, "commit", "-q", "-a", "-m", "second")
    return first


CHANGES = {
    "/frontend-2.0.tar.gz": "/frontend-2.1.tar.gz",
    "ports: [9000]": "ports: [9000, 9001]",
    "default_instances: 2": "default_instances: 1",
    "edge-2: eu.ict-flame.sfe.state.lifecycle.placed": "edge-2: eu.ict-flame.sfe.state.lifecycle.connected",
}
"""Replaces an image and the servers made from it, changes a server, removes one, and makes another."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", ["first", "second"])
def test_a_killed_apply_ends_like_an_undisturbed_one(
    start: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    original: Path = request.getfixturevalue(start)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(original, undisturbed)
    assert apply(undisturbed).returncode == 0
    expected = world(undisturbed)
    assert max(expected.values()) == 1

    for point in count():
        folder = tmp_path / f"killed-{point}"
        shutil.copytree(original, folder)
        killed = apply(folder, point)
        missing = untold(folder)
        again = apply(folder)

        assert missing == set(), f"killed at point {point}"
        assert again.returncode == 0, again.stderr
        assert world(folder) == expected, f"killed at point {point}"
        assert differences(folder) == ()
        assert open_entries(folder) == ()
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        shutil.rmtree(folder)

    assert point > 8
