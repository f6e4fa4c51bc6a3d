"""What stands in for a controller that cannot be had here: an HTTP server on loopback over switches in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Protocol, TypeVar

from providers.sdn.controller import Controller
from tests.testbed.sdn.simulator import Simulator

Client = TypeVar("Client", bound=Controller)


@dataclass(frozen=True, slots=True)
class Request:
    """What came in."""

    method: str
    path: str
    body: object
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out."""

    status: int
    body: object = None


class Product(Protocol):
    """Answers as a product does."""

    simulator: Simulator

    def answer(self, request: Request) -> Reply:
        """Answer one request."""


@dataclass
class Double:
    """A double at work."""

    url: str
    product: Product
    requests: list[Request] = field(default_factory=list)
    clients: list[Controller] = field(default_factory=list)
    """Who is connected and has to be closed in the end."""

    def connected(self, client: Client) -> Client:
        """Close a client when the double ends."""
        self.clients.append(client)
        return client


@contextmanager
def running(product: Product) -> Iterator[Double]:
    """Let a product answer on loopback."""
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, json.loads(data) if data else None, dict(self.headers.items()))
            with lock:
                double.requests.append(request)
                reply = product.answer(request)
            body = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 -- the names http.server looks for

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the name of the base class
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double = Double(f"http://127.0.0.1:{server.server_address[1]}", product)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield double
    finally:
        for client in double.clients:
            client.close()
        server.shutdown()
        server.server_close()
        thread.join()
