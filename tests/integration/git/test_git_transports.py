"""Cloning, fetching and pushing over every transport, against real servers."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest

from specs.errors import RepositoryError
from specs.repository import Author, Repository
from tests.testbed.git.http_server import PASSWORD, USER
from tests.testbed.git.sandbox import bare, commit
from tests.testbed.git.servers import GitServers


@pytest.fixture(params=["file", "http", "https", "ssh"])
def address(request: pytest.FixtureRequest, servers: GitServers, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """The address of the repository over one transport, with all that is needed to be let in."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(servers.authority))
    monkeypatch.setenv("RECONCILER_SSH_KEY", str(servers.ssh.folder / "ed25519"))
    addresses: dict[str, Callable[[], str]] = {
        "file": lambda: f"file://{servers.root / name}",
        "http": lambda: servers.http.url(name, user=USER, password=PASSWORD),
        "https": lambda: servers.https.url(name, user=USER, password=PASSWORD),
        "ssh": lambda: servers.ssh.url(name),
    }
    return addresses[request.param]()


def test_a_push_of_somebody_else_arrives_with_the_next_fetch(
    address: str, servers: GitServers, name: str, tmp_path: Path
) -> None:
    repository = Repository.open(address, tmp_path / "state")
    first = repository.resolve()
    second = commit(servers.root / name, {"specs/new.yaml": b"new: 1\n"})
    before_fetch = repository.resolve()
    moved = repository.fetch()

    assert moved
    assert before_fetch == first
    assert repository.resolve() == second
    assert repository.tree(second).read("specs/new.yaml") == b"new: 1\n"
    assert not repository.fetch()


def test_a_change_is_written_by_pushing_it(
    address: str, servers: GitServers, name: str, tmp_path: Path, author: Author
) -> None:
    repository = Repository.open(address, tmp_path / "state")
    head = repository.resolve()
    new = repository.write({"specs/a.yaml": b"a: 2\n", "specs/b.yaml": None}, "Change a", author, onto=head)
    there = pygit2.Repository(str(servers.root / name))

    assert str(there.references["refs/heads/main"].target) == new
    assert repository.resolve() == new
    assert list(repository.tree(new).files) == ["specs/a.yaml"]
    assert repository.fetch()


def test_a_commit_is_undone_by_pushing_its_opposite(address: str, tmp_path: Path, author: Author) -> None:
    repository = Repository.open(address, tmp_path / "state")
    head = repository.resolve()
    new = repository.write({"specs/a.yaml": b"a: 2\n"}, "Change a", author, onto=head)
    back = repository.revert(new, author)

    assert repository.tree(back).tree_id == repository.tree(head).tree_id
    assert repository.history(1)[0].subject == 'Revert "Change a"'


def test_the_first_commit_of_an_empty_repository_can_be_pushed(
    servers: GitServers, tmp_path: Path, author: Author
) -> None:
    bare(servers.root / "empty.git")
    repository = Repository.open(servers.http.url("empty.git", user=USER, password=PASSWORD), tmp_path / "state")
    with pytest.raises(RepositoryError, match="has no commit yet"):
        repository.resolve()
    first = repository.write({"a.yaml": b"a: 1\n"}, "First", author, onto="")

    assert repository.fetch()
    assert repository.resolve() == first
    assert repository.identity() == first[:12]


def test_the_second_open_uses_no_network(servers: GitServers, name: str, tmp_path: Path) -> None:
    address = servers.http.url(name, user=USER, password=PASSWORD)
    first = Repository.open(address, tmp_path / "state").resolve()
    servers.http.asked = 0
    again = Repository.open(address, tmp_path / "state").resolve()

    assert again == first
    assert servers.http.asked == 0


def test_the_clone_is_for_its_owner_only(servers: GitServers, name: str, tmp_path: Path) -> None:
    Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "state", tmp_path / "state" / "repository.git")]

    assert modes == [0o700, 0o700]


def test_a_rewritten_history_is_followed(servers: GitServers, name: str, tmp_path: Path) -> None:
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    there = pygit2.Repository(str(servers.root / name))
    there.references["refs/heads/main"].delete()
    other = commit(servers.root / name, {"specs/other.yaml": b"other: 1\n"}, "Another first")

    assert repository.fetch()
    assert repository.resolve() == other
    assert repository.identity() == other[:12]


def test_branches_and_tags_that_are_gone_there_go_here(servers: GitServers, name: str, tmp_path: Path) -> None:
    side = commit(servers.root / name, {"side.yaml": b"side: 1\n"}, branch="side")
    there = pygit2.Repository(str(servers.root / name))
    there.references.create("refs/tags/v1", side)
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    known = [repository.resolve("side"), repository.resolve("v1"), repository.resolve("side~0")]
    there.references["refs/heads/side"].delete()
    there.references["refs/tags/v1"].delete()
    repository.fetch()

    assert known == [side] * 3
    for revision in ("side", "v1"):
        with pytest.raises(RepositoryError, match="has no commit"):
            repository.resolve(revision)


def test_a_branch_may_become_a_folder_of_branches(servers: GitServers, name: str, tmp_path: Path) -> None:
    commit(servers.root / name, {"x.yaml": b"x: 1\n"}, branch="topic")
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    pygit2.Repository(str(servers.root / name)).references["refs/heads/topic"].delete()
    deeper = commit(servers.root / name, {"x.yaml": b"x: 2\n"}, branch="topic/one")
    repository.fetch()

    assert repository.resolve("topic/one") == deeper


def test_the_default_branch_of_the_server_is_followed_when_it_is_renamed(
    servers: GitServers, name: str, tmp_path: Path
) -> None:
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    before = repository.branch
    trunk = commit(servers.root / name, {"x.yaml": b"x: 1\n"}, branch="trunk")
    pygit2.Repository(str(servers.root / name)).set_head("refs/heads/trunk")

    assert repository.fetch()
    assert (before, repository.branch) == ("main", "trunk")
    assert repository.resolve() == trunk


def test_a_named_branch_is_followed_instead_of_the_default_one(servers: GitServers, name: str, tmp_path: Path) -> None:
    side = commit(servers.root / name, {"side.yaml": b"side: 1\n"}, branch="side")
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state", "side")

    assert repository.resolve() == side
    with pytest.raises(RepositoryError, match="has no branch nope; it has: main, side"):
        Repository.open(f"file://{servers.root / name}", tmp_path / "state", "nope").resolve()


def test_https_goes_through_the_proxy_of_the_environment(
    servers: GitServers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSL_CAINFO", str(servers.authority))
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{servers.http.server_address[1]}")
    servers.http.tunnel_to = servers.https.server_address[1]
    address = f"https://{USER}:{PASSWORD}@localhost:{servers.https.server_address[1]}/{name}"

    assert Repository.open(address, tmp_path / "state").resolve()
    assert servers.http.asked


def test_addresses_rewritten_by_the_settings_of_git_are_followed(
    servers: GitServers, name: str, tmp_path: Path, home: Path
) -> None:
    login = servers.http.url("", user=USER, password=PASSWORD)
    (home / ".gitconfig").write_text(f'[url "{login}"]\n\tinsteadOf = https://git.invalid/\n')
    repository = Repository.open(f"https://git.invalid/{name}", tmp_path / "state")
    second = commit(servers.root / name, {"specs/new.yaml": b"new: 1\n"})
    config = (tmp_path / "state" / "repository.git" / "config").read_text()

    assert repository.fetch()
    assert repository.resolve() == second
    assert PASSWORD not in config


def test_a_partial_clone_says_what_it_lacks(servers: GitServers, name: str, tmp_path: Path) -> None:
    there = servers.root / name
    subprocess.run(["git", "-C", there, "config", "uploadpack.allowFilter", "true"], check=True)
    partial = tmp_path / "partial.git"
    subprocess.run(["git", "clone", "-q", "--bare", "--filter=blob:none", f"file://{there}", partial], check=True)
    repository = Repository.open(str(partial), tmp_path / "state")
    tree = repository.tree(repository.resolve())

    assert list(tree.files) == ["specs/a.yaml", "specs/b.yaml"]
    with pytest.raises(RepositoryError, match="the clone is partial or damaged; make a full one"):
        tree.read("specs/a.yaml")
