"""Which credentials are offered, how often, and that no message and no file holds them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from specs.errors import RepositoryError
from specs.repository import Repository
from tests.testbed.git.http_server import PASSWORD, USER
from tests.testbed.git.servers import PASSPHRASE, GitServers

WRONG = "wr0ng-s3cret"


def _netrc(home: Path, password: str) -> None:
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {password}\n")
    (home / ".netrc").chmod(0o600)


def _helper(home: Path, password: str) -> None:
    script = home / "helper"
    script.write_text(f"#!/bin/sh\necho username={USER}\necho password={password}\n")
    script.chmod(0o700)
    (home / ".gitconfig").write_text(f"[credential]\n\thelper = {script}\n")


def test_a_wrong_password_is_offered_once(servers: GitServers, name: str, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="the server refused the credentials from the address") as caught:
        Repository.open(servers.http.url(name, user=USER, password=WRONG), tmp_path / "state")

    assert servers.http.asked <= 3
    assert WRONG not in repr(caught.getrepr(chain=True, style="long"))


def test_without_credentials_the_message_says_where_to_put_them(servers: GitServers, name: str, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"there are none; put them in ~/.netrc, RECONCILER_GIT_USERNAME"):
        Repository.open(servers.http.url(name), tmp_path / "state")


def test_the_environment_gives_a_password(
    servers: GitServers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_GIT_USERNAME", USER)
    monkeypatch.setenv("RECONCILER_GIT_PASSWORD", PASSWORD)

    assert Repository.open(servers.http.url(name), tmp_path / "state").resolve()


def test_netrc_gives_a_password(servers: GitServers, name: str, tmp_path: Path, home: Path) -> None:
    _netrc(home, PASSWORD)

    assert Repository.open(servers.http.url(name), tmp_path / "state").resolve()


def test_a_credential_helper_of_git_gives_a_password(
    servers: GitServers, name: str, tmp_path: Path, home: Path
) -> None:
    _helper(home, PASSWORD)

    assert Repository.open(servers.http.url(name), tmp_path / "state").resolve()


def test_every_place_is_tried_once_and_named(
    servers: GitServers, name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_GIT_PASSWORD", WRONG)
    _netrc(home, WRONG)
    _helper(home, WRONG)
    with pytest.raises(RepositoryError) as caught:
        Repository.open(servers.http.url(name, user=USER, password=WRONG), tmp_path / "state")

    assert "from the address, RECONCILER_GIT_PASSWORD, ~/.netrc, the credential helper;" in str(caught.value)
    assert WRONG not in str(caught.value)
    assert servers.http.asked <= 6


def test_a_later_place_is_used_when_an_earlier_one_is_refused(
    servers: GitServers, name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_GIT_PASSWORD", WRONG)
    _helper(home, PASSWORD)

    assert Repository.open(servers.http.url(name), tmp_path / "state").resolve()


def test_a_netrc_that_others_may_read_is_refused(servers: GitServers, name: str, tmp_path: Path, home: Path) -> None:
    _netrc(home, PASSWORD)
    (home / ".netrc").chmod(0o644)
    with pytest.raises(RepositoryError, match=r"~/.netrc cannot be used") as caught:
        Repository.open(servers.http.url(name), tmp_path / "state")

    assert PASSWORD not in str(caught.value)


def test_no_file_of_the_state_folder_holds_the_password(servers: GitServers, name: str, tmp_path: Path) -> None:
    repository = Repository.open(servers.http.url(name, user=USER, password=PASSWORD), tmp_path / "state")
    repository.fetch()
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]

    assert files
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("key", ["ed25519", "rsa"])
def test_a_key_of_the_home_folder_opens_ssh(
    key: str, servers: GitServers, name: str, tmp_path: Path, home: Path
) -> None:
    (home / ".ssh" / f"id_{key}").write_bytes((servers.ssh.folder / key).read_bytes())

    assert Repository.open(servers.ssh.url(name), tmp_path / "state").resolve()


def test_a_key_behind_a_passphrase_is_opened_with_it(
    servers: GitServers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_SSH_KEY", str(servers.ssh.folder / "locked"))
    monkeypatch.setenv("RECONCILER_SSH_PASSPHRASE", PASSPHRASE)

    assert Repository.open(servers.ssh.url(name), tmp_path / "state").resolve()


def test_a_key_that_cannot_be_opened_does_not_hide_the_next(
    servers: GitServers, name: str, tmp_path: Path, home: Path
) -> None:
    (home / ".ssh" / "id_ed25519").write_bytes((servers.ssh.folder / "locked").read_bytes())
    (home / ".ssh" / "id_ecdsa").write_bytes((servers.ssh.folder / "stranger").read_bytes())
    (home / ".ssh" / "id_rsa").write_bytes((servers.ssh.folder / "rsa").read_bytes())

    assert Repository.open(servers.ssh.url(name), tmp_path / "state").resolve()


def test_refused_keys_are_named(servers: GitServers, name: str, tmp_path: Path, home: Path) -> None:
    (home / ".ssh" / "id_ed25519").write_bytes((servers.ssh.folder / "stranger").read_bytes())
    (home / ".ssh" / "id_rsa").write_bytes((servers.ssh.folder / "locked").read_bytes())
    with pytest.raises(RepositoryError, match=r"refused the credentials from ~/.ssh/id_ed25519, ~/.ssh/id_rsa;"):
        Repository.open(servers.ssh.url(name), tmp_path / "state")


def test_a_named_key_that_is_not_there_is_an_error_at_once(
    servers: GitServers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_SSH_KEY", str(tmp_path / "nope"))
    with pytest.raises(RepositoryError, match=r"RECONCILER_SSH_KEY names .*nope, which is not a file"):
        Repository.open(servers.ssh.url(name), tmp_path / "state")


def test_the_agent_opens_ssh(servers: GitServers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _agent(tmp_path / "agent", servers.ssh.folder / "ed25519") as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))

        assert Repository.open(servers.ssh.url(name), tmp_path / "state").resolve()


def test_an_agent_that_is_gone_does_not_hide_the_key_files(
    servers: GitServers, name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    (home / ".ssh" / "id_ed25519").write_bytes((servers.ssh.folder / "ed25519").read_bytes())

    assert Repository.open(servers.ssh.url(name), tmp_path / "state").resolve()


@contextmanager
def _agent(socket: Path, key: Path) -> Iterator[Path]:
    """Run an ssh-agent of our own that holds one key."""
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True) as agent:
        try:
            assert agent.stdout is not None
            agent.stdout.readline()  # it says where it listens as soon as it does
            environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True, timeout=10)
            yield socket
        finally:
            agent.terminate()
