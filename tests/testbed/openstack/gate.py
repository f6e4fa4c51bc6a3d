"""A way to the cloud that can be spoiled: calls time out, are refused, lose their answer or their end."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_HOP_BY_HOP = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})

PLACES = {
    "image": "image/v2/images",
    "flavor": "compute/v2.1/flavors",
    "keypair": "compute/v2.1/os-keypairs",
    "server_group": "compute/v2.1/os-server-groups",
    "server": "compute/v2.1/servers",
    "network": "network/v2.0/networks",
    "subnet": "network/v2.0/subnets",
    "router": "network/v2.0/routers",
    "security_group": "network/v2.0/security-groups",
    "qos_policy": "network/v2.0/qos/policies",
    "port": "network/v2.0/ports",
    "floating_ip": "network/v2.0/floatingips",
    "port_pair": "network/v2.0/sfc/port_pairs",
    "port_pair_group": "network/v2.0/sfc/port_pair_groups",
    "flow_classifier": "network/v2.0/sfc/flow_classifiers",
    "port_chain": "network/v2.0/sfc/port_chains",
}
"""Kind → where its objects are behind the gate."""


class Trouble(StrEnum):
    """What happens to a call."""

    TIME_OUT = "time out"
    """It never reaches the service."""
    REFUSE = "refuse"
    LOSE = "lose"
    """The service does it, and its answer is lost."""
    CUT = "cut"
    """The list has a second page, which cannot be read; or it ends in the middle."""
    DOWN = "down"
    """Nobody is there."""


@dataclass(slots=True)
class Fault:
    """Which calls meet which trouble; `times` 0 is always."""

    methods: str
    path: re.Pattern[str]
    trouble: Trouble
    times: int = 0


@dataclass(slots=True)
class Gate:
    """A proxy on loopback in front of all services, with a list of faults."""

    upstream: Mapping[str, str]
    """First part of a path → URL of the service."""
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """Method and path of every call that came."""
    tls: ssl.SSLContext | None = None
    """What it is reached over TLS with."""
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[Gate]:
        """Serve until the block ends."""
        gate = self

        class Handler(_Handler):
            def upstream(self, service: str) -> http.client.HTTPConnection:
                return http.client.HTTPConnection(urlsplit(gate.upstream[service]).netloc, timeout=120)

            def trouble(self) -> Trouble | None:
                return gate.trouble(self.command, self.path)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if self.tls is not None:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def write_clouds(self, path: Path, user: str) -> None:
        """Write a `clouds.yaml` that leads through the gate."""
        here = f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"
        auth = {"auth_url": f"{here}/identity/v3", "username": user, "password": user, "project_name": user}
        entry: dict[str, Any] = {
            "auth_type": "v3password",
            "region_name": "RegionOne",
            "auth": {**auth, "user_domain_name": "Default", "project_domain_name": "Default"},
        }
        for service in ("compute", "network", "image", "placement"):
            entry[f"{service}_endpoint_override"] = f"{here}/{service}"
        path.write_text(json.dumps({"clouds": {"gate": entry}}))

    def spoil(self, verb: str, kind: str, trouble: Trouble, times: int = 0) -> None:
        """Add a fault for every `list`, `create`, `update` or `delete` of a kind."""
        place = re.escape(PLACES[kind])
        methods, pattern = {
            "list": ("GET", rf"^/{place}(/detail)?(\?|$)"),
            "create": ("POST", rf"^/{place}$"),
            "update": ("PUT PATCH POST", rf"^/{place}/"),
            "delete": ("DELETE", rf"^/{place}/[^/]+$"),
        }[verb]
        with self._lock:
            self.faults.append(Fault(methods, re.compile(pattern), trouble, times))

    def take_down(self, service: str = "") -> None:
        """Answer nobody, or nobody who asks a service."""
        with self._lock:
            self.faults.append(Fault("", re.compile(f"^/{service}"), Trouble.DOWN))

    def mend(self) -> None:
        """Let everything pass."""
        with self._lock:
            self.faults.clear()

    def trouble(self, method: str, path: str) -> Trouble | None:
        """Give what is to happen to a call, and count it."""
        with self._lock:
            self.calls.append(f"{method} {path}")
            for fault in self.faults:
                if (not fault.methods or method in fault.methods.split()) and fault.path.search(path):
                    if fault.times:
                        fault.times -= 1
                        if not fault.times:
                            self.faults.remove(fault)
                    return fault.trouble
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def upstream(self, service: str) -> http.client.HTTPConnection:
        raise NotImplementedError

    def trouble(self) -> Trouble | None:
        raise NotImplementedError

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self._body()
        trouble = self.trouble()
        match trouble:
            case Trouble.DOWN:
                self._hang_up()
            case Trouble.TIME_OUT:
                self._answer(504, "text/html", b"<html><body><h1>504 Gateway Time-out</h1></body></html>")
            case Trouble.REFUSE:
                said = {"forbidden": {"code": 403, "message": "Policy doesn't allow this to be performed."}}
                self._answer(403, "application/json", json.dumps(said).encode())
            case Trouble.CUT if "marker=" in self.path:
                self._answer(500, "application/json", b'{"computeFault": {"code": 500, "message": "the page is lost"}}')
            case _:
                self._forward(body, trouble)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 — names of the standard library

    def _body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length else None

    def _forward(self, body: bytes | None, trouble: Trouble | None) -> None:
        service, _, path = self.path.removeprefix("/").partition("/")
        path = f"/{path}"
        if trouble is Trouble.CUT:
            path = re.sub(r"limit=\d+", "limit=1", path)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = self.upstream(service)
        try:
            connection.request(self.command, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        except OSError:  # the service is down: so are we
            self._hang_up()
            return
        finally:
            connection.close()
        kind = answer.getheader("Content-Type", "application/json")
        more = {name: value for name in ("X-Subject-Token", "Retry-After", "Vary") if (value := answer.getheader(name))}
        if trouble is Trouble.LOSE:
            self._hang_up()
        elif trouble is Trouble.CUT and b"marker=" not in data:
            self._answer(answer.status, kind, data[: len(data) // 2], {"Content-Length": str(len(data))})
            self._hang_up()
        else:
            self._answer(answer.status, kind, data, more)

    def _answer(self, status: int, content_type: str, data: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()
