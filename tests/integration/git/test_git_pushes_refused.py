"""Pushes that are refused, overtaken or lose their answer."""

from pathlib import Path

import pytest

from specs.errors import RepositoryError
from specs.repository import Author, Repository
from tests.testbed.git.http_server import PASSWORD, USER
from tests.testbed.git.sandbox import commit
from tests.testbed.git.servers import GitServers


@pytest.fixture
def repository(servers: GitServers, name: str, tmp_path: Path) -> Repository:
    """The repository behind http."""
    return Repository.open(servers.http.url(name, user=USER, password=PASSWORD), tmp_path / "state")


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_hook_that_refuses_is_an_error_with_its_words(
    hook: str, repository: Repository, servers: GitServers, name: str, author: Author
) -> None:
    script = servers.root / name / "hooks" / hook
    script.parent.mkdir(exist_ok=True)
    script.write_text("#!/bin/sh\nprintf 'only \\033[31mreviewed changes\\n' >&2\nexit 1\n")
    script.chmod(0o755)
    head = repository.resolve()
    with pytest.raises(RepositoryError, match=r"hook declined.*only .\[31mreviewed changes") as caught:
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)

    assert "\x1b" not in str(caught.value)
    assert repository.resolve() == head
    assert not repository.fetch()


def test_a_change_overtaken_by_another_file_is_put_on_top_of_it(
    repository: Repository, servers: GitServers, name: str, author: Author
) -> None:
    head = repository.resolve()
    other = commit(servers.root / name, {"specs/b.yaml": b"b: 2\n"})
    new = repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)
    tree = repository.tree(new)

    assert repository.is_ancestor(other, new)
    assert (tree.read("specs/a.yaml"), tree.read("specs/b.yaml")) == (b"a: 2\n", b"b: 2\n")


def test_a_change_overtaken_in_the_same_file_is_refused(
    repository: Repository, servers: GitServers, name: str, author: Author
) -> None:
    head = repository.resolve()
    other = commit(servers.root / name, {"specs/a.yaml": b"a: 3\n"})
    with pytest.raises(RepositoryError, match=f"specs/a.yaml changed on main since {head[:12]}"):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)

    assert repository.resolve() == other


def test_a_race_between_look_and_push_is_run_again(
    repository: Repository, servers: GitServers, name: str, author: Author
) -> None:
    others: list[str] = []

    def overtake() -> None:
        if len(others) < 2:
            others.append(commit(servers.root / name, {f"other-{len(others)}.yaml": b"o: 1\n"}))

    servers.http.before_push = overtake
    new = repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=repository.resolve())

    assert len(others) == 2
    assert all(repository.is_ancestor(other, new) for other in others)
    assert list(repository.tree(new).files) == ["other-0.yaml", "other-1.yaml", "specs/a.yaml", "specs/b.yaml"]


def test_a_race_that_is_always_lost_ends(
    repository: Repository, servers: GitServers, name: str, author: Author
) -> None:
    others: list[str] = []
    servers.http.before_push = lambda: others.append(
        commit(servers.root / name, {f"other-{len(others)}.yaml": b"o: 1\n"})
    )
    with pytest.raises(RepositoryError, match="moved 5 times while it was written"):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=repository.resolve())

    assert len(others) == 5
    assert repository.resolve() == others[-1]


def test_a_push_whose_answer_is_lost_is_not_made_twice(
    repository: Repository, servers: GitServers, author: Author
) -> None:
    head = repository.resolve()
    servers.http.answers_to_lose = 1
    new = repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)

    assert repository.resolve() == new
    assert [entry.id for entry in repository.history(5)] == [new, head]
