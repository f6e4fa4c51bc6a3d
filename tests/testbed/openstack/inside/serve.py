"""Serves the WSGI application of an OpenStack service on loopback: `serve.py MODULE PORT [THREADS]`."""

from __future__ import annotations

import importlib
import signal
import sys

module, port = sys.argv[1], int(sys.argv[2])
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 12
sys.argv = [module]
application = importlib.import_module(module).application

# eventlet may have patched the standard library by now, so the server is imported after the application
from cheroot import wsgi  # noqa: E402 -- see above

server = wsgi.Server(("127.0.0.1", port), application, numthreads=threads, request_queue_size=256, timeout=60)
server.max_request_body_size = 0


def stop(*_: object) -> None:
    """End when asked to."""
    raise SystemExit(0)


signal.signal(signal.SIGTERM, stop)
try:
    server.start()
finally:
    server.stop()
