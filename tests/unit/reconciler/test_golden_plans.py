"""A small spec and the plan it prints, side by side in `golden/`; a difference there is a review.

    UPDATE_GOLDEN=1 pytest tests/unit/reconciler/test_golden_plans.py

writes them anew. Of a case, `before.yaml` was applied, then came `sabotage.txt`, and `spec.yaml` is planned.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from specs.repository import Author, Repository
from tests.support.city import City

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())


@pytest.mark.parametrize("case", CASES)
def test_a_spec_prints_its_plan(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_SECRET_SHOP_DB", "hunter2")
    folder = GOLDEN / case
    city = City(tmp_path, lambda: tuple(capsys.readouterr()))
    repository = Repository.create(tmp_path)
    before = folder / "before.yaml"
    files = {"reconciler.yaml": b"id: golden\n", "site.yaml": (GOLDEN / "site.yaml").read_bytes()}
    author = Author("Ann", "ann@example.org")
    head = repository.write(files, "Begin", author, onto="")
    if before.exists():
        head = repository.write({"spec.yaml": before.read_bytes()}, "Before", author, onto=head)
        assert city.run("apply", "--auto-approve", "--parallelism", "1").code == 0  # ids come in order
    if (sabotage := folder / "sabotage.txt").exists():
        for line in sabotage.read_text().splitlines():
            assert city.run("sandpit", *shlex.split(line, posix=False)).code == 0
    commit = repository.write({"spec.yaml": (folder / "spec.yaml").read_bytes()}, "Spec", author, onto=head)
    text = city.run("plan").out.replace(commit[:12], "COMMIT")
    document = city.run("plan", "--json").document | {"commit": "COMMIT", "created_at": "NOW"}
    written = {"plan.txt": text, "plan.json": json.dumps(document, indent=1) + "\n"}
    if os.environ.get("UPDATE_GOLDEN"):
        for name, content in written.items():
            (folder / name).write_text(content)

    assert written == {name: (folder / name).read_text() for name in written}
    assert "hunter2" not in str(written)
    assert "guessed" not in str(written)
