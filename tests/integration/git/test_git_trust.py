"""Servers that cannot show who they are get nothing from us."""

from pathlib import Path

import pytest

from specs.errors import RepositoryError
from specs.repository import Repository
from tests.testbed.git.http_server import PASSWORD, USER, GitHttpServer
from tests.testbed.git.servers import GitServers, make_certificate


@pytest.fixture(autouse=True)
def _key(servers: GitServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SSH_KEY", str(servers.ssh.folder / "ed25519"))


def test_an_unknown_host_key_is_refused(servers: GitServers, name: str, tmp_path: Path, home: Path) -> None:
    (home / ".ssh" / "known_hosts").unlink()
    with pytest.raises(RepositoryError, match=r"the host key of 127.0.0.1 is not in ~/.ssh/known_hosts"):
        Repository.open(servers.ssh.url(name), tmp_path / "state")


def test_a_changed_host_key_is_refused(servers: GitServers, name: str, tmp_path: Path, home: Path) -> None:
    kind, key, *_ = (servers.ssh.folder / "stranger.pub").read_text().split()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{servers.ssh.port} {kind} {key}\n")
    with pytest.raises(RepositoryError, match=r"or is another one there; ask who runs the server"):
        Repository.open(servers.ssh.url(name), tmp_path / "state")


def test_a_host_key_that_changes_later_is_refused_at_the_next_fetch(
    servers: GitServers, name: str, tmp_path: Path, home: Path
) -> None:
    repository = Repository.open(servers.ssh.url(name), tmp_path / "state")
    (home / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(RepositoryError, match="the host key of"):
        repository.fetch()


def test_an_unknown_authority_is_refused(servers: GitServers, name: str, tmp_path: Path) -> None:
    _, certificate = make_certificate(tmp_path / "tls")
    with GitHttpServer(servers.root, certificate).running() as server:
        with pytest.raises(
            RepositoryError, match=r"the certificate of 127.0.0.1 is not signed by an authority we trust"
        ):
            Repository.open(server.url(name, user=USER, password=PASSWORD), tmp_path / "state")

        assert server.asked == 0


def test_the_settings_of_git_name_an_authority(servers: GitServers, name: str, tmp_path: Path, home: Path) -> None:
    authority, certificate = make_certificate(home / "tls")
    (home / ".gitconfig").write_text("[http]\n\tsslCAInfo = ~/tls/authority.pem\n")
    with GitHttpServer(servers.root, certificate).running() as server:
        address = server.url(name, user=USER, password=PASSWORD)

        assert authority.exists()
        assert Repository.open(address, tmp_path / "state").resolve()


def test_switching_off_verification_in_the_settings_of_git_changes_nothing(
    servers: GitServers, name: str, tmp_path: Path, home: Path
) -> None:
    (home / ".gitconfig").write_text("[http]\n\tsslVerify = false\n")
    _, certificate = make_certificate(tmp_path / "tls")
    with (
        GitHttpServer(servers.root, certificate).running() as server,
        pytest.raises(RepositoryError, match="is not signed by an authority we trust"),
    ):
        Repository.open(server.url(name, user=USER, password=PASSWORD), tmp_path / "state")


def test_an_authority_that_cannot_be_read_is_named(
    servers: GitServers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSL_CAINFO", str(tmp_path / "nope.pem"))
    with pytest.raises(RepositoryError, match=r"nope\.pem cannot be read"):
        Repository.open(servers.https.url(name), tmp_path / "state")


def test_a_redirect_to_another_server_gets_no_credentials(servers: GitServers, name: str, tmp_path: Path) -> None:
    with GitHttpServer(servers.root).running() as other:
        servers.http.redirect_to = f"http://127.0.0.1:{other.server_address[1]}"
        with pytest.raises(RepositoryError, match=r"sends us on to http://127.0.0.1:\d+/.* gets no credentials"):
            Repository.open(servers.http.url(name, user=USER, password=PASSWORD), tmp_path / "state")

        assert other.refused == 1
