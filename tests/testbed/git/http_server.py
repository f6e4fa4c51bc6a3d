"""Git over http and https on loopback: threads in front of the real `git http-backend`."""

from __future__ import annotations

import base64
import gzip
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

USER, PASSWORD = "alice", "s3cret-w0rd"
_STALL_SECONDS = 30


class GitHttpServer(http.server.ThreadingHTTPServer):
    """Serves every repository below a folder, reading and writing, behind Basic authentication.

    The attributes make it misbehave; each test gets a server whose attributes are as here.
    """

    daemon_threads = True

    def __init__(self, root: Path, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.reset()

    def reset(self) -> None:
        """Behave again."""
        self.asked = 0
        """How many requests came in."""
        self.refused = 0
        """How many of them had no good credentials."""
        self.before_push: Callable[[], None] = lambda: None
        """Called before a push is handed to git."""
        self.answers_to_lose = 0
        """How many answers to pushes are dropped after git did its work."""
        self.stall_after = -1
        """Bytes of a pack after which sending stops until `go_on` is set."""
        self.stalled = threading.Event()
        self.go_on = threading.Event()
        self.redirect_to = ""
        """Where every request is sent on to."""
        self.tunnel_to = 0
        """The port of the server that is reached through this one as a proxy."""

    def url(self, name: str, *, user: str = "", password: str = "") -> str:
        """Give the address of a repository."""
        login = f"{user}:{password}@" if user else ""
        return f"{self.scheme}://{login}127.0.0.1:{self.server_address[1]}/{name}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: tests kill them."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @contextmanager
    def running(self) -> Iterator[GitHttpServer]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.go_on.set()
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the body of an answer waits until its head is acknowledged
    server: GitHttpServer

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""

    def do_CONNECT(self) -> None:
        """Be a proxy: hand everything on to `tunnel_to`, whatever server was asked for."""
        self.server.asked += 1
        with socket.create_connection(("127.0.0.1", self.server.tunnel_to)) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(there, self.connection))
            back.start()
            _copy(self.connection, there)
            back.join()
        self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.server.asked += 1
        body = self._body()
        if self.server.redirect_to:
            return self._answer(302, [("Location", self.server.redirect_to + self.path)], b"")
        if self.headers.get("Authorization", "") != _basic(USER, PASSWORD):
            self.server.refused += 1
            return self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
        push = self.path.endswith("/git-receive-pack")
        if push:
            self.server.before_push()
        status, headers, content = self._backend(body)
        if push and self.server.answers_to_lose:
            self.server.answers_to_lose -= 1
            self.close_connection = True
            return None
        return self._answer(status, headers, content)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _backend(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Run the CGI program of git and take its answer apart."""
        url = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": self.client_address[0],
            "REMOTE_USER": USER,
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        output = subprocess.run(["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE).stdout
        head, _, content = output.partition(b"\r\n\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in head.decode().splitlines())]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        return status, [header for header in headers if header[0] != "Status"], content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        stall = self.server.stall_after
        if 0 <= stall < len(content) and self.path.endswith("/git-upload-pack"):
            self.wfile.write(content[:stall])
            self.wfile.flush()
            self.server.stalled.set()
            self.server.go_on.wait(_STALL_SECONDS)
            content = content[stall:]
        self.wfile.write(content)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
