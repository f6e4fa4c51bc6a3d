"""What `plan` imports when its documents have not changed: no reader of documents, and not much else.

When nothing else has changed either, it tells its last answer again and imports next to nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = frozenset({"policies", "providers", "reconciler", "specs", "state"})
UNNEEDED = frozenset(
    {"apscheduler", "asyncio", "deepdiff", "importlib.metadata", "rich", "ruamel", "shtab", "toscaparser", "yaml"}
)
MOST_OF_OURS = 100
MOST = 300
"""With pygit2 and the standard library; a sixth of this is imported by Python itself."""
TOLD_AGAIN = frozenset(
    {
        "reconciler",
        "reconciler.cli",
        "reconciler.cli.answers",
        "reconciler.cli.main",
        "reconciler.cli.parser",
        "reconciler.version",
    }
)
PLAN = """
import sys
from reconciler.cli import answers
from reconciler.cli.main import main
answers.SETTLED_SECONDS = float(sys.argv[2])
assert main(["-C", sys.argv[1], "plan"]) == 0
print(*sys.modules, file=sys.stderr)
"""


def modules_of_plan(folder: Path, settled_seconds: float = 3600.0) -> set[str]:
    command = [sys.executable, "-c", PLAN, str(folder), str(settled_seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a repository that was never planned."""
    made = tmp_path / "city"
    init = [sys.executable, "-m", "reconciler.cli.main", "init", str(made)]
    subprocess.run(init, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return made


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in OURS}


def test_a_plan_of_what_has_not_changed_imports_little(folder: Path) -> None:
    first, second = modules_of_plan(folder), modules_of_plan(folder)

    assert "yaml" in first
    assert not second & UNNEEDED
    assert len(ours(second)) <= MOST_OF_OURS, sorted(ours(second))
    assert len(second) <= MOST, sorted(second)


def test_an_answer_that_is_told_again_imports_next_to_nothing(folder: Path) -> None:
    for _ in range(2):  # the first one writes to the store
        modules_of_plan(folder, settled_seconds=-3600.0)
    third = modules_of_plan(folder, settled_seconds=-3600.0)

    assert ours(third) == TOLD_AGAIN
    assert not third & {"dataclasses", "pathlib", "pygit2", "sqlite3"}
