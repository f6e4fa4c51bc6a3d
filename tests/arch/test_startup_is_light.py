"""What the command line imports before it knows what it is asked; each of these costs more than the whole budget."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = frozenset(
    {
        "apscheduler",
        "asyncio",
        "concurrent",
        "deepdiff",
        "importlib.metadata",
        "psycopg",
        "pygit2",
        "rich",
        "ruamel",
        "shtab",
        "sqlite3",
        "toscaparser",
        "yaml",
    }
)


def heavy_modules_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and tell which costly modules it left behind."""
    program = f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split()) & HEAVY


@pytest.mark.parametrize("heavy", sorted(HEAVY))
def test_every_costly_module_is_installed_under_this_name(heavy: str) -> None:
    # A name that is wrong or outdated would never be seen, and the tests below would pass for nothing.
    done = subprocess.run([sys.executable, "-c", f"import {heavy}"], cwd=ROOT, check=False, timeout=60)

    assert done.returncode == 0


def test_the_entry_point_imports_nothing_costly() -> None:
    assert not heavy_modules_after("import reconciler.cli.main")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_an_option_that_only_tells_imports_nothing_costly(option: str) -> None:
    found = heavy_modules_after(f"from reconciler.cli.main import main; sys.argv = ['reconciler', '{option}']; main()")

    assert not found


def test_listing_providers_imports_none() -> None:
    found = heavy_modules_after("from providers.registry import names; names()")

    assert not found
