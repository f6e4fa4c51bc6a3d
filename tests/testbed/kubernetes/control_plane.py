"""A real Kubernetes control plane of its own for one test session: etcd, API server and controllers on loopback.

There are no nodes: `kubelet` plays them. By hand: `python -m tests.testbed.kubernetes.control_plane FOLDER [MINUTES]`
prints the kubeconfig and serves until Ctrl-C or until the minutes (60) are over. Needs `install.sh`, once, and openssl.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from tests.testbed.kubernetes.kubelet import Kubelet

ADMIN = "admin-token"
ROBOT = "robot-token"
"""Token of a user who may do what somebody grants to `robot`."""
CONFINED = "confined-token"
"""The same for `confined`."""
LIFE_SECONDS = 1500
"""After that the servers end, even if nobody is left to end them."""
_START_SECONDS = 60
_INSTALL = "run tests/testbed/kubernetes/install.sh first; it builds the programs once, in about ten minutes"


@dataclass(slots=True)
class ControlPlane:
    """A running control plane."""

    folder: Path
    programs: Path
    port: int
    etcd_port: int
    life_seconds: int = LIFE_SECONDS
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(ca_certs=str(self.folder / "ca.crt"), maxsize=16)

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """What makes an administrator of whoever reads it."""
        return self.folder / "kubeconfig"

    def kubeconfig_of(self, path: Path, token: str = ROBOT, url: str = "") -> Path:
        """Write a kubeconfig for a user, by another way to the server if one is given."""
        cluster: dict[str, str] = {"server": url or self.url}
        if not url.startswith("http://"):
            cluster["certificate-authority"] = str(self.folder / "ca.crt")
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(content))
        return path

    def call(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """Ask the API server as administrator; `AssertionError` shows what it refuses."""
        headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": content_type}
        payload = json.dumps(body).encode() if body is not None else None
        answer = self._pool.request(method, self.url + path, body=payload, headers=headers, retries=False, timeout=30)
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.data.decode()[:500]}")
        return json.loads(answer.data)

    def get(self, path: str) -> Any | None:
        """Read an object as administrator; `None` if it is not there."""
        headers = {"Authorization": f"Bearer {ADMIN}"}
        answer = self._pool.request("GET", self.url + path, headers=headers, retries=False, timeout=30)
        return None if answer.status == 404 else json.loads(answer.data)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as administrator."""
        command = [str(self.programs / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    # --- starting and stopping ---

    def start_etcd(self) -> None:
        """Start the database."""
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, _free_port()))
        self._start(
            "etcd", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=error",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        )  # fmt: skip

    def start_api_server(self) -> None:
        """Start the API server and wait until it is ready."""
        self._start(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", f"--secure-port={self.port}", "--insecure-port=0",
            f"--tls-cert-file={self.folder / 'server.crt'}", f"--tls-private-key-file={self.folder / 'server.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}", "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'accounts.pub'}",
            f"--service-account-signing-key-file={self.folder / 'accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none",
            "--disable-admission-plugins=ServiceAccount", "--watch-cache=true",
            "--max-requests-inflight=800", "--max-mutating-requests-inflight=400", "--v=0",
        )  # fmt: skip
        self._wait_until_ready()

    def start_controllers(self) -> None:
        """Start the controller manager."""
        self._start(
            "kube-controller-manager", f"--kubeconfig={self.kubeconfig}", "--bind-address=127.0.0.1",
            f"--secure-port={_free_port()}", "--port=0", "--use-service-account-credentials=false",
            "--leader-elect=false", f"--service-account-private-key-file={self.folder / 'accounts.key'}",
            f"--root-ca-file={self.folder / 'ca.crt'}", "--kube-api-qps=300", "--kube-api-burst=600",
            "--concurrent-namespace-syncs=20", "--concurrent-deployment-syncs=10", "--namespace-sync-period=2s",
            "--controllers=*,-nodelifecycle,-nodeipam,-cloud-node-lifecycle,-route,-service,-attachdetach,"
            "-horizontalpodautoscaling,-csrsigning,-csrapproving,-csrcleaner,-bootstrapsigner,-tokencleaner,-ttl",
        )  # fmt: skip

    def stop(self, name: str) -> None:
        """End one server."""
        process = self._running.pop(name)
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=20)

    def stop_all(self) -> None:
        """End everything, what was started last first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def _start(self, program: str, *arguments: str) -> None:
        command = ["timeout", "--kill-after=5", str(self.life_seconds), str(self.programs / program), *arguments]
        with (self.folder / f"{program}.log").open("ab") as log:
            self._running[program] = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with suppress(urllib3.exceptions.HTTPError):
                answer = self._pool.request("GET", f"{self.url}/readyz", retries=False, timeout=2)
                if answer.status == 200:
                    return
            if self._running["kube-apiserver"].poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the API server did not start:\n{(self.folder / 'kube-apiserver.log').read_text()[-2000:]}")

    def wait_for(self, path: str) -> None:
        """Wait until an object is there."""
        deadline = time.monotonic() + _START_SECONDS
        while self.get(path) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path} did not come")
            time.sleep(0.05)


@contextmanager
def running_control_plane(folder: Path, life_seconds: int = LIFE_SECONDS) -> Iterator[ControlPlane]:
    """Start a control plane with a played node, wait until it works, end it with the block."""
    programs = _programs()
    folder.mkdir(parents=True, exist_ok=True)
    _make_keys(folder)
    (folder / "tokens.csv").write_text(f'{ADMIN},admin,1,"system:masters"\n{ROBOT},robot,2\n{CONFINED},confined,3\n')
    plane = ControlPlane(folder, programs, _free_port(), _free_port(), life_seconds)
    plane.kubeconfig_of(plane.kubeconfig, ADMIN)
    with ExitStack() as stack:
        stack.callback(plane.stop_all)
        plane.start_etcd()
        plane.start_api_server()
        plane.start_controllers()
        stack.enter_context(Kubelet(plane.url, folder / "ca.crt", ADMIN, folder / "server.crt").running())
        plane.wait_for("/api/v1/namespaces/default/serviceaccounts/default")
        yield plane


def _programs() -> Path:
    cache = Path(os.environ.get("RECONCILER_TESTBED_CACHE") or Path.home() / ".cache" / "tosca-reconciler")
    found = cache / "kubernetes-1.20.2" / "bin"
    missing = [n for n in ("kube-apiserver", "kube-controller-manager", "etcd", "kubectl") if not (found / n).exists()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)} not found in {found}; {_INSTALL}")
    return found


def _make_keys(folder: Path) -> None:
    """Make an authority, a certificate for the API server and the keys of service accounts."""
    (folder / "names").write_text("subjectAltName=DNS:localhost,DNS:kubernetes.default,IP:127.0.0.1,IP:10.96.0.1\n")
    pair = ["-newkey", "rsa:2048", "-nodes"]
    for command in (
        ["genrsa", "-out", "accounts.key", "2048"],
        ["rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub"],
        ["req", "-x509", *pair, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=tests"],
        ["req", *pair, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=kube-apiserver"],
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
         "-extfile", "names", "-out", "server.crt"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True, timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    minutes = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    with running_control_plane(Path(sys.argv[1]).resolve(), minutes * 60) as plane, suppress(KeyboardInterrupt):
        print(f"KUBECONFIG={plane.kubeconfig}")  # noqa: T201 — for whoever started it by hand
        time.sleep(minutes * 60)
