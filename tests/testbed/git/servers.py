"""Real git servers on loopback, ended with the block that started them: http, https and ssh.

By hand: `python -m tests.testbed.git.servers DIRECTORY [MINUTES]` prints the addresses and serves until
Ctrl-C or until the minutes (60) are over. Needs git, openssl and, for ssh, sshd of openssh-server.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.git.http_server import PASSWORD, USER, GitHttpServer

_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_START_SECONDS = 20
PASSPHRASE = "open sesame"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshServer:
    """A running sshd that lets the user of the tests in with a key."""

    port: int
    root: Path
    folder: Path
    """Holds `host.pub` and the keys `ed25519`, `rsa`, `locked` (behind `PASSPHRASE`) and `stranger` (not let in)."""

    @property
    def known_host(self) -> str:
        """The line for `known_hosts`."""
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    def url(self, name: str) -> str:
        """Give the address of a repository."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{self.root / name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitServers:
    """Everything that runs, over one folder of bare repositories."""

    root: Path
    http: GitHttpServer
    https: GitHttpServer
    authority: Path
    """The certificate that makes `https` trusted."""
    ssh: SshServer


@contextmanager
def git_servers(directory: Path) -> Iterator[GitServers]:
    """Start all servers over `directory/repositories`; end them with the block."""
    root = directory / "repositories"
    root.mkdir(parents=True, exist_ok=True)
    authority, certificate = make_certificate(directory / "tls")
    with ExitStack() as stack:
        http = stack.enter_context(GitHttpServer(root).running())
        https = stack.enter_context(GitHttpServer(root, certificate).running())
        ssh = stack.enter_context(sshd(root, directory / "ssh"))
        yield GitServers(root=root, http=http, https=https, authority=authority, ssh=ssh)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1; return it alone, and together with its key."""
    folder.mkdir(parents=True, exist_ok=True)
    alone, key, both = folder / "authority.pem", folder / "key.pem", folder / "server.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    pair = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    _run([_program("openssl", "openssl"), "req", "-x509", "-days", "30", *pair, "-out", str(alone), *names])
    both.write_text(key.read_text() + alone.read_text())
    return alone, both


@contextmanager
def sshd(root: Path, folder: Path) -> Iterator[SshServer]:
    """Start a real sshd of our own on a free port; end it with the block."""
    program = _program("sshd", "openssh-server")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, kind, phrase in (
        ("host", "ed25519", ""),
        ("ed25519", "ed25519", ""),
        ("rsa", "rsa", ""),
        ("locked", "ed25519", PASSPHRASE),
        ("stranger", "ed25519", ""),
    ):
        make_key(folder / name, kind, phrase)
    allowed = [(folder / f"{name}.pub").read_text() for name in ("ed25519", "rsa", "locked")]
    (folder / "authorized_keys").write_text("".join(allowed))
    port = _free_port()
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        _wait_until_open(port, process, folder / "sshd.log")
        yield SshServer(port=port, root=root, folder=folder)
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """Make a pair of ssh keys unless it is there."""
    if not path.exists():
        _run([_program("ssh-keygen", "openssh-client"), "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)])


_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
AcceptEnv GIT_PROTOCOL
"""


def _program(name: str, package: str) -> str:
    path = shutil.which(name, path=_PLACES)
    if path is None:
        raise RuntimeError(f"{name} is not on this machine; install {package} (apt-get install {package})")
    return path


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_START_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"sshd did not start: {log.read_text()}")


def _main() -> None:
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    with git_servers(Path(sys.argv[1]).absolute()) as servers:
        lines = (
            f"repositories   {servers.root}   (git init --bare {servers.root}/specs.git)",
            f"http           {servers.http.url('specs.git')}   user {USER} password {PASSWORD}",
            f"https          {servers.https.url('specs.git')}   GIT_SSL_CAINFO={servers.authority}",
            f"ssh            {servers.ssh.url('specs.git')}   RECONCILER_SSH_KEY={servers.ssh.folder}/ed25519",
            f"known_hosts    {servers.ssh.known_host}",
        )
        sys.stdout.write("\n".join(lines))
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait(minutes * 60)


if __name__ == "__main__":
    _main()
