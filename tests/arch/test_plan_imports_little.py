"""What `plan` imports when nothing has changed since it ran last: no reader of documents, and not much else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = frozenset({"policies", "providers", "reconciler", "specs", "state"})
UNNEEDED = frozenset(
    {"apscheduler", "asyncio", "deepdiff", "importlib.metadata", "rich", "ruamel", "shtab", "toscaparser", "yaml"}
)
MOST_OF_OURS = 105
MOST = 300
"""With pygit2 and the standard library; a sixth of this is imported by Python itself."""
PLAN = """
import sys
from reconciler.cli.main import main
assert main(["-C", sys.argv[1], "plan"]) == 0
print(*sys.modules, file=sys.stderr)
"""


def modules_of_plan(folder: Path) -> set[str]:
    command = [sys.executable, "-c", PLAN, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split())


def test_a_plan_of_what_has_not_changed_imports_little(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    subprocess.run(
        [sys.executable, "-m", "reconciler.cli.main", "init", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    first, second = modules_of_plan(folder), modules_of_plan(folder)
    ours = {name for name in second if name.split(".")[0] in OURS}

    assert "yaml" in first
    assert not second & UNNEEDED
    assert len(ours) <= MOST_OF_OURS, sorted(ours)
    assert len(second) <= MOST, sorted(second)
