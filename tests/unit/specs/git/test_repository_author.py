"""Who commits made on this machine are by."""

from pathlib import Path

import pytest

from specs.repository import Author, Repository


def _at(folder: Path) -> Repository:
    return Repository.open(str(folder), folder.parent / "state")


def test_the_author_comes_from_the_settings_of_the_repository_over_those_of_the_user(folder: Path, home: Path) -> None:
    (home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.org\n")
    with (folder / "config").open("a") as config:
        config.write("[user]\n\tname = Ann of the platform\n")

    assert _at(folder).author() == Author("Ann of the platform", "ann@example.org")


def test_the_environment_has_the_last_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Robot")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "robot@example.org")

    assert _at(folder).author() == Author("Robot", "robot@example.org")


def test_without_settings_it_is_the_user_on_this_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_AUTHOR_NAME", raising=False)
    monkeypatch.delenv("GIT_AUTHOR_EMAIL", raising=False)
    author = _at(folder).author()

    assert author.name
    assert author.email.startswith(f"{author.name}@")
