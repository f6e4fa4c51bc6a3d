"""Everything a user can say or be told is in the reference, as the code has it today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import REFERENCE, VARIABLE, pages

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
DOCUMENTS = sorted(file for file in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("page", sorted(pages()))
def test_a_page_says_what_the_code_says(page: str) -> None:
    file = REFERENCE / page

    assert file.is_file(), "this page is missing; write it with: make docs"
    assert file.read_text("utf-8") == pages()[page], "this page is stale; refresh it with: make docs"


def test_no_page_is_left_over() -> None:
    assert {file.name for file in REFERENCE.glob("*.md")} == set(pages())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text("utf-8")) if not (document.parent / link).exists()]

    assert not broken


def test_every_environment_variable_is_documented() -> None:
    packages = ("reconciler", "specs", "policies", "providers", "state")
    code = "".join(file.read_text("utf-8") for name in packages for file in (ROOT / name).rglob("*.py"))
    prose = "".join(document.read_text("utf-8") for document in DOCUMENTS)
    missing = {name for name in VARIABLE.findall(code) if name not in prose}

    assert not missing
