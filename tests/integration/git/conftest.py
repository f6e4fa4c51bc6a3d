"""Real git servers, started once for all tests of this folder, and a home of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from specs.repository import Author
from tests.testbed.git.sandbox import bare, commit, own_home
from tests.testbed.git.servers import GitServers, git_servers


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServers]:
    with git_servers(tmp_path_factory.mktemp("git-servers")) as servers:
        yield servers


@pytest.fixture
def servers(_running: GitServers) -> GitServers:
    """The servers, well-behaved."""
    _running.http.reset()
    _running.https.reset()
    return _running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, servers: GitServers) -> Iterator[Path]:
    """The home folder of the test; only the host key of the ssh server is in it."""
    with own_home(tmp_path / "home") as folder:
        (folder / ".ssh" / "known_hosts").write_text(servers.ssh.known_host)
        yield folder


@pytest.fixture
def name(request: pytest.FixtureRequest, servers: GitServers) -> str:
    """The name of a repository of this test on the servers, with one commit."""
    name = f"{abs(hash(request.node.nodeid))}.git"
    commit(bare(servers.root / name), {"specs/a.yaml": b"a: 1\n", "specs/b.yaml": b"b: 1\n"}, "First")
    return name


@pytest.fixture
def author() -> Author:
    """Who writes."""
    return Author("Policy", "policy@example.org")
