"""A strict double of Kapacitor's HTTP API, after its documentation: tasks, topics and handlers, in memory.

It takes what the documentation names and refuses everything else: unknown paths, methods and keys, wrong types, ids
that Kapacitor would not take, scripts that are no TICKscript. Like the real one it answers 204 to the deletion of what
is not there, reloads nothing while a task runs unless it is disabled first, and gives lists in pages.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_ID = re.compile(r"[-._\w]+")
_TASK_KEYS = frozenset({"id", "type", "dbrps", "script", "status", "vars", "template-id"})
_TASK_FIELDS = frozenset({"type", "dbrps", "script", "status", "executing", "error", "vars", "created", "modified"})
_HANDLER_KEYS = frozenset({"id", "kind", "match", "options"})
_POST_OPTIONS = frozenset({"url", "endpoint", "headers", "timeout", "capture-response"})
_FIRST_WORDS = ("batch", "stream", "var ")


class Refused(Exception):  # noqa: N818 - an answer of the server
    """What the server answers instead."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class KapacitorDouble:
    """What it holds, and how its calls go wrong."""

    url: str = ""
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    handlers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Topic → id → handler."""
    troubles: dict[str, str] = field(default_factory=dict)
    """`list`, `create`, `update`, `delete` or `*` → `fail`, `refuse`, `cut` (after the first page) or `lose` (once)."""
    guard: threading.RLock = field(default_factory=threading.RLock)

    # --- tasks ---

    def create(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Define a task."""
        name = data.get("id")
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise Refused(400, f"task ID must contain only letters, numbers, '-', '.' and '_'. {name!r}")
        if name in self.tasks:
            raise Refused(400, f"task {name} already exists")
        for key in ("type", "dbrps", "script"):
            if not data.get(key):
                raise Refused(400, f"must provide task {key}")
        task = {"id": name, "status": "disabled", "running": ""}
        self._change(task, data)
        self.tasks[name] = task
        return self.shown(task)

    def change(self, name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change a task; what runs goes on as it was until it is disabled and enabled."""
        if name not in self.tasks:
            raise Refused(404, "task does not exist")
        if "id" in data and data["id"] != name:
            raise Refused(400, "renaming is not done here")
        self._change(self.tasks[name], data)
        return self.shown(self.tasks[name])

    def _change(self, task: dict[str, Any], data: Mapping[str, Any]) -> None:
        if unknown := sorted(data.keys() - _TASK_KEYS):
            raise Refused(400, f"unknown properties {unknown}")
        if data.get("type", "batch") not in ("batch", "stream"):
            raise Refused(400, f"unknown type {data['type']!r}")
        if data.get("status", "enabled") not in ("enabled", "disabled"):
            raise Refused(400, f"unknown status {data['status']!r}")
        for pair in data.get("dbrps", []):
            if not isinstance(pair, dict) or set(pair) != {"db", "rp"} or not all(pair.values()):
                raise Refused(400, "dbrps must be [{db, rp}]")
        if "script" in data:
            _check_script(data["script"], data.get("type", task.get("type")))
        task.update(data)
        if task["status"] == "disabled":
            task["running"] = ""
        elif not task["running"]:
            task["running"] = task["script"]

    def shown(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Show a task as the API does."""
        return {
            "link": {"rel": "self", "href": f"/kapacitor/v1/tasks/{task['id']}"},
            **{key: value for key, value in task.items() if key not in ("running", "error")},
            "executing": task["status"] == "enabled" and task["running"] == task["script"],
            "error": task.get("error", ""),
        }

    def listed(self, query: Mapping[str, list[str]]) -> Mapping[str, Any]:
        """Give one page."""
        fields = query.get("fields", [])
        if unknown := sorted(set(fields) - _TASK_FIELDS):
            raise Refused(400, f"unknown fields {unknown}")
        offset, limit = int(query.get("offset", ["0"])[0]), int(query.get("limit", ["100"])[0])
        page = [self.shown(self.tasks[name]) for name in sorted(self.tasks)][offset : offset + limit]
        kept = {"id", "link", *fields} if fields else None
        return {"tasks": [{k: v for k, v in task.items() if kept is None or k in kept} for task in page]}

    # --- handlers ---

    def put_handler(self, topic: str, data: Mapping[str, Any], *, new: bool) -> Mapping[str, Any]:
        """Define a handler, or write over one."""
        if unknown := sorted(data.keys() - _HANDLER_KEYS):
            raise Refused(400, f"unknown properties {unknown}")
        name, kind, options = data.get("id"), data.get("kind"), data.get("options", {})
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise Refused(400, f"invalid handler id {name!r}")
        if kind != "post" or not isinstance(options, dict) or options.keys() - _POST_OPTIONS or "url" not in options:
            raise Refused(400, f"invalid handler {kind!r} with {sorted(options)}")
        there = self.handlers.setdefault(topic, {})
        if new == (name in there):
            raise Refused(400 if new else 404, f"handler {name} {'already exists' if new else 'does not exist'}")
        there[name] = {"id": name, "kind": kind, "match": data.get("match", ""), "options": options}
        return there[name]


def _check_script(script: object, kind: object) -> None:
    if not isinstance(script, str):
        raise Refused(400, "script must be a string")
    code = "\n".join(line for line in script.splitlines() if not line.startswith("//"))
    bare = re.sub(r"'''.*?'''|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "", code, flags=re.S)
    if "'" in bare or '"' in bare or bare.count("(") != bare.count(")"):
        raise Refused(400, "invalid TICKscript: unbalanced quotes or parentheses")
    if not bare.startswith(_FIRST_WORDS) or (kind == "batch") == bool(re.match(r"stream|var \w+ = stream", bare)):
        raise Refused(400, "invalid TICKscript: it must begin with batch or stream, as the type of its task says")
    for line in bare.splitlines():
        if line.strip() and not re.fullmatch(r"(var \w+ = )?(batch|stream|\w+)|\s+[|.]\w+\(.*\)", line):
            raise Refused(400, f"invalid TICKscript: parser: unexpected {line!r}")


# --- HTTP ------------------------------------------------------------------------------------------


@contextmanager
def running_double() -> Iterator[KapacitorDouble]:
    """Serve one."""
    double = KapacitorDouble()

    class Handler(_Handler):
        world = double

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    world: KapacitorDouble
    protocol_version = "HTTP/1.1"
    wbufsize = 16 * 1024

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self._do()

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names http.server calls

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path = [unquote(part) for part in parts.path.split("/")[1:]]
        with self.world.guard:
            try:
                data = json.loads(body) if body else {}
                if not isinstance(data, dict):
                    raise Refused(400, "the body must be an object")
                verb = self._verb(path)
                self._spoil(verb, parse_qs(parts.query))
                status, answer = self._route(path, data, parse_qs(parts.query))
                lost = self.world.troubles.get(verb) == "lose"
                if lost:
                    del self.world.troubles[verb]
                    status, answer = 500, {"error": "the answer is lost"}
            except Refused as refused:
                status, answer = refused.status, {"error": str(refused)}
            except ValueError as error:
                status, answer = 400, {"error": f"invalid JSON: {error}"}
        text = json.dumps(answer).encode() if status != 204 else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _verb(self, path: list[str]) -> str:
        if self.command == "GET":
            return "list" if path[2:] == ["tasks"] else "get"
        if path[2] != "tasks":
            return "handlers"
        return {"POST": "create", "PATCH": "update", "DELETE": "delete"}.get(self.command, "?")

    def _spoil(self, verb: str, query: Mapping[str, list[str]]) -> None:
        trouble = self.world.troubles.get(verb) or self.world.troubles.get("*")
        if trouble == "fail" or (trouble == "cut" and query.get("offset", ["0"])[0] != "0"):
            raise Refused(503, "service is unavailable")
        if trouble == "refuse":
            raise Refused(403, "user is not allowed to do this")

    def _route(
        self, path: list[str], data: dict[str, Any], query: Mapping[str, list[str]]
    ) -> tuple[int, Mapping[str, Any]]:
        world = self.world
        match self.command, path:
            case "GET", ["kapacitor", "v1", "tasks"]:
                return 200, world.listed(query)
            case "POST", ["kapacitor", "v1", "tasks"]:
                return 200, world.create(data)
            case "GET", ["kapacitor", "v1", "tasks", name]:
                if name not in world.tasks:
                    raise Refused(404, "task does not exist")
                return 200, world.shown(world.tasks[name])
            case "PATCH", ["kapacitor", "v1", "tasks", name]:
                return 200, world.change(name, data)
            case "DELETE", ["kapacitor", "v1", "tasks", name]:
                world.tasks.pop(name, None)
                return 204, {}
            case "GET", ["kapacitor", "v1", "alerts", "topics", topic, "handlers"]:
                if topic not in world.handlers:
                    raise Refused(404, "topic does not exist")
                return 200, {"topic": topic, "handlers": list(world.handlers[topic].values())}
            case "POST", ["kapacitor", "v1", "alerts", "topics", topic, "handlers"]:
                return 200, world.put_handler(topic, data, new=True)
            case "PUT", ["kapacitor", "v1", "alerts", "topics", topic, "handlers", name] if data.get("id") == name:
                return 200, world.put_handler(topic, data, new=False)
            case "DELETE", ["kapacitor", "v1", "alerts", "topics", topic, "handlers", name]:
                world.handlers.get(topic, {}).pop(name, None)
                return 204, {}
        raise Refused(404, "404 page not found")
