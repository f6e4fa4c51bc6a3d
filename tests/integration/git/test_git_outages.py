"""Servers that are down or silent, processes that are killed, clones that are broken."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specs.errors import RepositoryError
from specs.git.address import Address, locate
from specs.git.mirror import Mirror
from specs.git.remote import TimeLimits
from specs.repository import Author, Repository
from tests.testbed.git.http_server import PASSWORD, USER
from tests.testbed.git.sandbox import bare, commit
from tests.testbed.git.servers import GitServers

QUICK = TimeLimits(connect_seconds=0.5, silence_seconds=0.5, total_seconds=20)


def _mirror(location: str, state: Path, limits: TimeLimits = QUICK) -> Mirror:
    address = locate(location)
    assert isinstance(address, Address)
    return Mirror(address, state, limits)


@contextlib.contextmanager
def _silent_server() -> Iterator[int]:
    """Take connections and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_a_server_that_is_down_is_an_error_at_once(scheme: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(RepositoryError, match=r"cannot fetch from .*Connection refused; check that the server runs"):
        Repository.open(f"{scheme}://127.0.0.1:{port}/specs.git", tmp_path / "state")

    assert time.monotonic() - started < 5


@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_a_server_that_says_nothing_is_an_error_after_a_while(scheme: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with _silent_server() as port, pytest.raises(RepositoryError, match="the server went silent"):
        _mirror(f"{scheme}://127.0.0.1:{port}/specs.git", tmp_path / "state").open()

    assert time.monotonic() - started < 10


def test_a_server_that_goes_silent_within_a_pack_is_an_error(servers: GitServers, name: str, tmp_path: Path) -> None:
    servers.http.stall_after = 100
    with pytest.raises(RepositoryError, match="the server went silent"):
        _mirror(servers.http.url(name, user=USER, password=PASSWORD), tmp_path / "state").open()

    assert not list((tmp_path / "state").glob("repository?*[!k]"))


def test_a_server_that_takes_too_long_in_all_is_an_error(servers: GitServers, name: str, tmp_path: Path) -> None:
    limits = TimeLimits(total_seconds=0)
    with pytest.raises(RepositoryError, match="the server took longer than 0 seconds"):
        _mirror(servers.http.url(name, user=USER, password=PASSWORD), tmp_path / "state", limits).open()


def test_a_repository_that_is_not_there_is_named(
    servers: GitServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_SSH_KEY", str(servers.ssh.folder / "ed25519"))
    with pytest.raises(RepositoryError, match=r"cannot fetch from http://.*/none.git: .*404; check the address"):
        Repository.open(servers.http.url("none.git", user=USER, password=PASSWORD), tmp_path / "state")
    with pytest.raises(RepositoryError, match=r"cannot fetch from ssh://.*does not appear to be a git repository"):
        Repository.open(servers.ssh.url("none.git"), tmp_path / "state")
    with pytest.raises(RepositoryError, match=r"cannot fetch from file://.*No such file"):
        Repository.open(f"file://{servers.root}/none.git", tmp_path / "state")


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_repositories_with_long_object_names_are_refused(scheme: str, servers: GitServers, tmp_path: Path) -> None:
    folder = servers.root / "long.git"
    if not folder.exists():
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(folder)]
        subprocess.run(["git", "init", "-q", "--object-format=sha256", str(folder)], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "First"], check=True)
    location = servers.http.url("long.git", user=USER, password=PASSWORD) if scheme == "http" else f"file://{folder}"
    with pytest.raises(RepositoryError, match="SHA-256 repositories are not supported"):
        Repository.open(location, tmp_path / "state")


def test_a_fetch_from_a_server_that_went_away_leaves_what_is_here(
    servers: GitServers, name: str, tmp_path: Path
) -> None:
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    head = repository.resolve()
    (servers.root / name).rename(servers.root / f"{name}-away")
    with pytest.raises(RepositoryError, match="cannot fetch from file://"):
        repository.fetch()

    assert repository.resolve() == head
    assert repository.tree(head).read("specs/a.yaml") == b"a: 1\n"


def test_a_write_to_a_server_that_went_away_is_an_error(
    servers: GitServers, name: str, tmp_path: Path, author: Author
) -> None:
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    head = repository.resolve()
    (servers.root / name).rename(servers.root / f"{name}-away")
    with pytest.raises(RepositoryError, match="file://"):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)

    assert repository.resolve() == head


def test_a_clone_that_was_killed_is_made_anew(servers: GitServers, name: str, tmp_path: Path) -> None:
    servers.http.stall_after = 100
    address = servers.http.url(name, user=USER, password=PASSWORD)
    code = "import sys; from pathlib import Path; from specs.repository import Repository; "
    code += "Repository.open(sys.argv[1], Path(sys.argv[2]))"
    with subprocess.Popen([sys.executable, "-c", code, address, str(tmp_path / "state")]) as process:
        stalled = servers.http.stalled.wait(30)
        process.kill()
    left = [path.name for path in (tmp_path / "state").iterdir() if path.is_dir()]
    servers.http.go_on.set()
    servers.http.stall_after = -1
    repository = Repository.open(address, tmp_path / "state")

    assert stalled
    assert len(left) == 1
    assert left != ["repository.git"]
    assert repository.tree(repository.resolve()).read("specs/a.yaml") == b"a: 1\n"
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["repository.git", "repository.lock"]


def test_lock_files_of_a_killed_fetch_do_not_block_the_next(servers: GitServers, name: str, tmp_path: Path) -> None:
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    clone = tmp_path / "state" / "repository.git"
    for left in ("refs/heads/main.lock", "packed-refs.lock", "config.lock", "HEAD.lock"):
        (clone / left).write_text("")
    second = commit(servers.root / name, {"specs/a.yaml": b"a: 2\n"})
    repository.fetch()

    assert repository.resolve() == second


@pytest.mark.parametrize("damage", ["HEAD", "config", "objects"])
def test_a_broken_clone_is_made_anew(damage: str, servers: GitServers, name: str, tmp_path: Path) -> None:
    head = Repository.open(f"file://{servers.root / name}", tmp_path / "state").resolve()
    broken = tmp_path / "state" / "repository.git" / damage
    broken.rename(tmp_path / "away")

    assert Repository.open(f"file://{servers.root / name}", tmp_path / "state").resolve() == head


def test_a_clone_that_vanishes_under_a_running_process_is_made_anew(
    servers: GitServers, name: str, tmp_path: Path
) -> None:
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "away")
    second = commit(servers.root / name, {"specs/a.yaml": b"a: 2\n"})

    assert repository.fetch()
    assert repository.resolve() == second


def test_another_address_gets_a_clone_of_its_own(servers: GitServers, name: str, tmp_path: Path) -> None:
    other = commit(bare(servers.root / f"other-{name}"), {"other.yaml": b"o: 1\n"}, "Other")
    Repository.open(f"file://{servers.root / name}", tmp_path / "state")

    assert Repository.open(f"file://{servers.root / f'other-{name}'}", tmp_path / "state").resolve() == other


def test_an_address_that_fails_does_not_cost_the_clone_of_the_one_before(
    servers: GitServers, name: str, tmp_path: Path
) -> None:
    head = Repository.open(f"file://{servers.root / name}", tmp_path / "state").resolve()
    with pytest.raises(RepositoryError, match="cannot fetch from"):
        Repository.open(f"file://{servers.root}/none.git", tmp_path / "state")
    (servers.root / name).rename(servers.root / f"{name}-away")

    assert Repository.open(f"file://{servers.root / name}", tmp_path / "state").resolve() == head


def test_two_at_once_make_one_clone(servers: GitServers, name: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        heads = list(
            pool.map(lambda _: Repository.open(f"file://{servers.root / name}", tmp_path / "s").resolve(), range(4))
        )

    assert len(set(heads)) == 1
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["repository.git", "repository.lock"]


def test_many_old_packs_become_one(servers: GitServers, name: str, tmp_path: Path) -> None:
    repository = Repository.open(f"file://{servers.root / name}", tmp_path / "state")
    packs = tmp_path / "state" / "repository.git" / "objects" / "pack"
    for number in range(101):
        commit(servers.root / name, {"specs/a.yaml": b"a: %d\n" % number})
        repository.fetch()
    before = list(packs.glob("*.pack"))
    for pack in before:
        os.utime(pack, (1, 1))
    head = commit(servers.root / name, {"specs/b.yaml": b"b: 2\n"})
    repository.fetch()
    history = repository.history(200)

    assert len(before) == 102
    assert len(list(packs.glob("*.pack"))) == len(list(packs.glob("*.idx"))) == 2
    assert (history[0].id, len(history)) == (head, 103)
    assert repository.tree(history[1].id).read("specs/a.yaml") == b"a: 100\n"
    assert repository.tree(history[-1].id).read("specs/b.yaml") == b"b: 1\n"
