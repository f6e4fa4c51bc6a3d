"""Branches for review beside the followed one, and commits that sign themselves."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest

from specs.errors import RepositoryError
from specs.repository import Author, Repository
from tests.testbed.git.sandbox import commit
from tests.testbed.git.servers import make_key

BRANCH = "reconciler/tour/crowd/many"


@pytest.fixture(params=["here", "there"])
def repository(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Repository:
    """A repository in place, and one behind an address."""
    location = str(folder) if request.param == "here" else f"file://{folder}"
    return Repository.open(location, tmp_path / "state")


def heads(folder: Path) -> dict[str, str]:
    git = pygit2.Repository(str(folder))
    return {name: str(git.branches[name].target) for name in git.branches.local}


def parents(folder: Path, commit_id: str) -> list[str]:
    return [str(one) for one in pygit2.Repository(str(folder))[commit_id].peel(pygit2.Commit).parent_ids]


def test_a_proposal_stands_beside_the_branch(repository: Repository, folder: Path, author: Author) -> None:
    head = repository.resolve()
    made = repository.propose(BRANCH, {"specs/a.yaml": b"a: 2\n"}, "Propose", author)

    assert heads(folder) == {"main": head, BRANCH: made}
    assert parents(folder, made) == [head]
    assert repository.tree(made).read("specs/a.yaml") == b"a: 2\n"
    assert repository.resolve() == head


def test_the_same_proposal_again_makes_no_commit(repository: Repository, folder: Path, author: Author) -> None:
    first = repository.propose(BRANCH, {"specs/a.yaml": b"a: 2\n"}, "Propose", author)

    assert repository.propose(BRANCH, {"specs/a.yaml": b"a: 2\n"}, "Again", author) == first


def test_an_open_proposal_gets_a_further_commit(repository: Repository, folder: Path, author: Author) -> None:
    first = repository.propose(BRANCH, {"specs/a.yaml": b"a: 2\n"}, "Propose", author)
    commit(folder, {"specs/b.yaml": b"b: 9\n"}, "Meanwhile")
    repository.fetch()
    second = repository.propose(BRANCH, {"specs/a.yaml": b"a: 3\n"}, "More", author)

    assert parents(folder, second) == [first]
    assert heads(folder)[BRANCH] == second


def test_a_merged_proposal_begins_anew_at_the_branch(repository: Repository, folder: Path, author: Author) -> None:
    first = repository.propose(BRANCH, {"specs/a.yaml": b"a: 2\n"}, "Propose", author)
    git = pygit2.Repository(str(folder))
    git.references["refs/heads/main"].set_target(first)
    head = commit(folder, {"specs/b.yaml": b"b: 9\n"}, "Later")
    repository.fetch()
    second = repository.propose(BRANCH, {"specs/a.yaml": b"a: 3\n"}, "Anew", author)

    assert parents(folder, second) == [head]
    assert repository.tree(second).read("specs/b.yaml") == b"b: 9\n"


def test_a_branch_that_cannot_be_is_refused(repository: Repository, author: Author) -> None:
    with pytest.raises(RepositoryError, match="cannot be the name of a branch"):
        repository.propose("reconciler/..", {"specs/a.yaml": b"a: 2\n"}, "Propose", author)


def test_the_whole_message_can_be_read(repository: Repository, author: Author) -> None:
    repository.write({"specs/a.yaml": b"a: 2\n"}, "Subject\n\nWhy\n\nAlert: 12", author, onto=repository.resolve())

    assert repository.history(1)[0].message == "Subject\n\nWhy\n\nAlert: 12"


def sign_with(repository_folder: Path, key: str) -> None:
    config = pygit2.Repository(str(repository_folder)).config
    config["commit.gpgsign"] = True
    config["gpg.format"] = "ssh"
    config["user.signingkey"] = key


def test_commits_are_signed_where_git_is_told_to(folder: Path, tmp_path: Path, author: Author) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "allowed").write_text(f"policy@example.org {(tmp_path / 'key.pub').read_text()}")
    sign_with(folder, str(tmp_path / "key"))
    repository = Repository.open(str(folder), tmp_path / "state")
    made = repository.write({"specs/a.yaml": b"a: 2\n"}, "Signed ünïcode", author, onto=repository.resolve())

    assert repository.verify_signature(made, tmp_path / "allowed") == "policy@example.org"
    assert repository.tree(made).read("specs/a.yaml") == b"a: 2\n"


@pytest.mark.parametrize(("key", "message"), [("", "names no key"), ("/nowhere/key", "cannot be signed with key: ")])
def test_a_key_that_is_not_there_is_an_error(
    folder: Path, tmp_path: Path, author: Author, key: str, message: str
) -> None:
    sign_with(folder, key)
    repository = Repository.open(str(folder), tmp_path / "state")
    head = repository.resolve()

    with pytest.raises(RepositoryError, match=message):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Signed", author, onto=head)
    assert repository.resolve() == head
