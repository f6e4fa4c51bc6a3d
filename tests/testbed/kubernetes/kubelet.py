"""Plays the nodes: pods become ready, fail or leave, as their image says; logs are served where the API server asks.

An image with `never` in its name cannot be pulled, one with `crash` ends again and again, one with `fail` ends once for
all, one with `deaf` runs and is not ready; all others run.
"""

from __future__ import annotations

import http.server
import itertools
import json
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

LAST_WORDS = "cannot open /etc/app.conf"
_NODE = "played"
_MERGE = "application/strategic-merge-patch+json"


@dataclass(slots=True)
class Kubelet:
    """One node that has room for everything."""

    url: str
    authority: Path
    token: str
    certificate: Path
    _stop: threading.Event = field(default_factory=threading.Event)
    _addresses: Iterator[int] = field(default_factory=lambda: itertools.count(2))
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(ca_certs=str(self.authority), maxsize=16)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch pods and serve logs until the block ends."""
        logs = _log_server(self.certificate)
        serving = threading.Thread(target=logs.serve_forever, daemon=True)
        watching = threading.Thread(target=self._watch, daemon=True)
        serving.start()
        self._register(logs.server_address[1])
        watching.start()
        try:
            yield
        finally:
            self._stop.set()
            logs.shutdown()
            logs.server_close()
            watching.join(timeout=10)

    def _call(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        payload = json.dumps(body).encode() if body is not None else None
        answer = self._pool.request(method, self.url + path, body=payload, headers=headers, retries=False, timeout=10)
        return json.loads(answer.data)

    def _register(self, port: int) -> None:
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self._call("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": _NODE}})
        self._call("PATCH", f"/api/v1/nodes/{_NODE}/status", {"status": status}, _MERGE)

    def _watch(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            while not self._stop.is_set():
                with suppress(urllib3.exceptions.HTTPError, ValueError, KeyError):  # the server is down: look again
                    self._look(pool)
                self._stop.wait(0.1)

    def _look(self, pool: ThreadPoolExecutor) -> None:
        listed = self._call("GET", "/api/v1/pods")
        for pod in listed["items"]:
            pool.submit(self._tend, pod)
        path = f"/api/v1/pods?watch=1&timeoutSeconds=5&resourceVersion={listed['metadata']['resourceVersion']}"
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self._pool.request(
            "GET", self.url + path, headers=headers, retries=False, timeout=10, preload_content=False
        )
        rest = b""
        for chunk in answer.stream(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    pool.submit(self._tend, event["object"])
            if self._stop.is_set():
                break
        answer.close()

    def _tend(self, pod: Any) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        with suppress(urllib3.exceptions.HTTPError, ValueError):  # seen again with the next list
            if metadata.get("deletionTimestamp"):
                self._call("DELETE", path, {"gracePeriodSeconds": 0})
            elif not (pod.get("status") or {}).get("startTime"):
                images = [container["image"] for container in pod["spec"]["containers"]]
                if any(word in image for image in images for word in ("crash", "deaf", "fail")):  # they have logs
                    self._bind(path, metadata["name"])
                self._call("PATCH", f"{path}/status", {"status": self._status(pod)}, _MERGE)

    def _bind(self, path: str, name: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": _NODE}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        self._call("POST", f"{path}/binding", binding)

    def _status(self, pod: Any) -> dict[str, Any]:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        number = next(self._addresses)
        containers = [_container(container, now) for container in pod["spec"]["containers"]]
        ready = all(container["ready"] for container in containers)
        conditions = [
            {"type": name, "status": "True" if ready or name == "Initialized" else "False", "lastTransitionTime": now}
            for name in ("Initialized", "ContainersReady", "Ready")
        ]
        address = f"10.244.{number >> 8 & 255}.{number & 255}"
        return {
            "phase": "Failed" if any("fail" in c["image"] for c in containers) else "Running" if ready else "Pending",
            "startTime": now,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": conditions,
            "containerStatuses": containers,
        }


def _container(container: Any, now: str) -> dict[str, Any]:
    image = container["image"]
    common = {"name": container["name"], "image": image, "imageID": ""}
    if "never" in image:
        waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}
        return {**common, "ready": False, "started": False, "restartCount": 0, "state": {"waiting": waiting}}
    ended = {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now, "containerID": "played://1"}
    if "fail" in image:
        return {**common, "ready": False, "started": False, "restartCount": 0, "state": {"terminated": ended}}
    if "crash" in image:
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}
        return {
            **common,
            "ready": False,
            "started": False,
            "restartCount": 3,
            "state": {"waiting": waiting},
            "lastState": {"terminated": ended},
        }
    running = {"running": {"startedAt": now}}
    return {**common, "ready": "deaf" not in image, "started": True, "restartCount": 0, "state": running}


class _Logs(http.server.BaseHTTPRequestHandler):
    """Gives every container the same last words."""

    def do_GET(self) -> None:
        body = f"starting\n{LAST_WORDS}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def _log_server(certificate: Path) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Logs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("server.key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server
