"""Git servers, started once, and a repository on them for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platforms import Platform, files
from tests.testbed.git.http_server import PASSWORD, USER
from tests.testbed.git.sandbox import bare, commit
from tests.testbed.git.servers import GitServers, git_servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServers]:
    """Start git servers once."""
    with git_servers(tmp_path_factory.mktemp("git-servers")) as running:
        yield running


@pytest.fixture
def platform(servers: GitServers, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Platform]:
    """Give a repository that is watched over ssh, or over http where the test says so."""
    name = f"{abs(hash(request.node.nodeid))}.git"
    folder = bare(servers.root / name)
    commit(folder, files(), "Begin")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    (home / ".ssh" / "known_hosts").write_text(servers.ssh.known_host)
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    (home / ".netrc").chmod(0o600)
    key = servers.ssh.folder / "ed25519"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "RECONCILER_"))}
    environment |= {
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "RECONCILER_SSH_KEY": str(key),
        "GIT_SSH_COMMAND": f"ssh -i {key} -o UserKnownHostsFile={home}/.ssh/known_hosts -o IdentitiesOnly=yes",
    }
    environment.pop("SSH_AUTH_SOCK", None)
    url = servers.http.url(name) if "http" in getattr(request, "param", "ssh") else servers.ssh.url(name)
    (tmp_path / "watch").mkdir()
    made = Platform(url, folder, tmp_path / "watch", environment)
    yield made
    for running in made.processes:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
