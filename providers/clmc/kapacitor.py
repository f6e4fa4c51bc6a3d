"""Kapacitor as an engine: a task for each alert, a topic of the same name, and a handler for each URL.

The owner mark stands in the first line of the script, as a comment. Secrets that handlers are shown are given back by
Kapacitor as they are, so their digests stand in the second line, and what Kapacitor says of them is never looked at.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, urlencode

from providers.base import Health, Mark, PermanentError, TransientError
from providers.clmc.engine import Object
from providers.clmc.settings import KapacitorPlace, Settings
from providers.clmc.tickscript import names_in, script_of, type_of
from specs.model import Address
from specs.tosca.rules import Rule, identity
from specs.values import Properties, Secret, Value
from state.metrics.http import Reply, Server
from state.metrics.vocabulary import MetricsError

_TASKS = "/kapacitor/v1/tasks"
_TOPICS = "/kapacitor/v1/alerts/topics"
_PAGE = 100
_RETENTION = "autogen"
_OWNER = re.compile(r"// owner (\S+) (\S+) (\S+)")
_SECRETS = "// secrets "
_NAMES = ("sfc", "sfci", "policy", "trigger")


class Kapacitor:
    """One Kapacitor."""

    def __init__(self, settings: Settings, place: KapacitorPlace) -> None:
        self._settings = settings
        self._place = place
        credentials = base64.b64encode(f"{place.user}:{place.password}".encode()).decode()
        headers = {"Content-Type": "application/json"}
        if place.user:
            headers["Authorization"] = f"Basic {credentials}"
        self._writing = threading.Lock()
        self._server = Server(place.url, place.timeout.total_seconds(), headers)

    # --- wanted ---

    def properties(self, rule: Rule) -> Properties:
        """Write the script and name the handlers; `PermanentError` for a rule that Kapacitor cannot watch for us."""
        retention = self._settings.metrics.retention or _RETENTION
        database = self._settings.database_of(rule.sfc)
        handlers = list(rule.handlers)
        found: dict[str, Value] = {
            "sfc": rule.sfc,
            "sfci": rule.sfci,
            "policy": rule.policy,
            "trigger": rule.trigger,
            "type": type_of(rule),
            "database": f"{database}.{retention}",
            "script": script_of(rule, database, retention),
            "status": "enabled",
        }
        if rule.moves:
            if not self._place.sfemc_url:
                raise PermanentError(
                    f"{rule.policy}/{rule.trigger} moves the spec; kapacitor needs sfemc_url to tell us"
                )
            handlers.append(f"{self._place.sfemc_url}/{rule.sfc}/{rule.policy}/{rule.trigger}")
            if self._place.sfemc_secret:
                found["sfemc_secret"] = Secret(self._place.sfemc_secret)
        if self._settings.handler_secret and rule.handlers:
            found["handler_secret"] = Secret(self._settings.handler_secret)
        found["handlers"] = sorted(handlers)
        return found

    # --- there ---

    def list(self) -> Sequence[Object]:
        """Give every task, page by page, with the handlers of those that are marked."""
        found: list[Object] = []
        for offset in range(0, 1_000_000, _PAGE):
            query = [("script-format", "raw"), ("limit", str(_PAGE)), ("offset", str(offset))]
            query += [("fields", name) for name in ("type", "dbrps", "script", "status", "executing", "error")]
            tasks = self._ask("GET", f"{_TASKS}?{urlencode(query)}").get("tasks")
            if not isinstance(tasks, list):
                raise TransientError(f"{self._place}: the list of tasks is no list; ask again")
            found += [self._object(task) for task in tasks]
            if len(tasks) < _PAGE:
                break
        return found

    def find(self, identity: str) -> Object | None:
        """Give one task."""
        reply = self._call("GET", f"{_TASKS}/{quote(identity, safe='')}?script-format=raw")
        return None if reply.status == 404 else self._object(self._read(reply))

    def put(self, identity: str, mark: Mark, properties: Properties) -> Object:
        """Write the handlers, and then the task, which carries the mark; it is stopped while it changes."""
        with self._writing:
            return self._put(identity, mark, properties)

    def _put(self, identity: str, mark: Mark, properties: Properties) -> Object:
        there = self.find(identity)
        self._put_handlers(identity, properties)
        database, _, retention = str(properties.get("database", "")).rpartition(".")
        task = {
            "type": properties["type"],
            "dbrps": [{"db": database, "rp": retention}],
            "script": _header(mark, properties) + str(properties["script"]),
            "status": properties["status"],
        }
        if there is None:
            self._ask("POST", _TASKS, {"id": identity, **task})
        else:
            path = f"{_TASKS}/{quote(identity, safe='')}"
            self._ask("PATCH", path, {"status": "disabled"})
            self._ask("PATCH", path, task)
        made = self.find(identity)
        if made is None:
            raise TransientError(f"{self._place}: the task {identity[:12]} was written and is not there; look again")
        return made

    def remove(self, identity: str) -> None:
        """Remove the handlers, and then the task: as long as it is there, somebody knows whose they are."""
        for handler in self._handlers(identity):
            self._ask("DELETE", self._handler_path(identity, str(handler["id"])))
        self._ask("DELETE", f"{_TASKS}/{quote(identity, safe='')}")

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    # --- objects ---

    def _object(self, task: Mapping[str, object]) -> Object:
        own, secrets, script = _without_header(str(task.get("script", "")))
        names = names_in(script)
        name = str(task.get("id", ""))
        health, reason = _health(task)
        properties: dict[str, Value] = {
            "type": str(task.get("type", "")),
            "database": _database(task.get("dbrps")),
            "script": script,
            "status": str(task.get("status", "")),
            "handlers": [],
            **secrets,
        }
        if names is not None:
            properties |= dict(zip(_NAMES, names, strict=True))
        if own is not None:
            properties["handlers"] = sorted(self._urls(name))
        return Object(
            id=name,
            name="/".join(names[2:]) if names is not None else name,
            mark=own,
            properties=properties,
            health=health,
            reason=reason,
        )

    # --- handlers ---

    def _put_handlers(self, topic: str, properties: Properties) -> None:
        names = [str(properties.get(key, "")) for key in _NAMES]
        urls = properties.get("handlers", [])
        wanted = {
            identity(*names, str(url)): {"kind": "post", "options": self._options(str(url), properties)}
            for url in (urls if isinstance(urls, list) else [])
        }
        there = {str(handler["id"]): handler for handler in self._handlers(topic)}
        for name in sorted(there.keys() - wanted.keys()):
            self._ask("DELETE", self._handler_path(topic, name))
        for name, handler in wanted.items():
            if name not in there:
                self._ask("POST", f"{_TOPICS}/{quote(topic, safe='')}/handlers", {"id": name, **handler})
            elif any(there[name].get(key) != value for key, value in handler.items()):
                self._ask("PUT", self._handler_path(topic, name), {"id": name, **handler})

    def _options(self, url: str, properties: Properties) -> Mapping[str, object]:
        own = bool(self._place.sfemc_url) and url.startswith(f"{self._place.sfemc_url}/")
        match properties.get("sfemc_secret" if own else "handler_secret"):
            case Secret(text=text) if text:
                return {"url": url, "headers": {"Authorization": f"Bearer {text}"}}
        return {"url": url}

    def _urls(self, topic: str) -> Iterator[str]:
        for handler in self._handlers(topic):
            options = handler.get("options")
            kind = handler.get("kind")
            url = options.get("url") if isinstance(options, Mapping) else None
            yield str(url) if kind == "post" and url else f"{kind}:{handler.get('id')}"

    def _handlers(self, topic: str) -> Sequence[Mapping[str, object]]:
        reply = self._call("GET", f"{_TOPICS}/{quote(topic, safe='')}/handlers")
        if reply.status == 404:  # a topic is there once it has a handler or an event
            return ()
        found = self._read(reply).get("handlers")
        return [handler for handler in found if isinstance(handler, dict)] if isinstance(found, list) else ()

    def _handler_path(self, topic: str, name: str) -> str:
        return f"{_TOPICS}/{quote(topic, safe='')}/handlers/{quote(name, safe='')}"

    # --- calls ---

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Mapping[str, object]:
        return self._read(self._call(method, path, body))

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Reply:
        try:
            return self._server.call(method, path, json.dumps(body).encode() if body is not None else b"")
        except MetricsError as error:
            raise TransientError(str(error)) from error

    def _read(self, reply: Reply) -> Mapping[str, object]:
        try:
            data = json.loads(reply.body) if reply.body.strip() else {}
        except ValueError as error:
            raise TransientError(f"{self._place} gave an answer that cannot be read: {error}") from error
        if not isinstance(data, dict):
            raise TransientError(f"{self._place} gave an answer that cannot be read: no object")
        if reply.status < 300:
            return data
        why = f"{self._place} refused: {reply.status} {str(data.get('error', ''))[:300]}"
        if reply.status >= 500 or reply.status in (408, 429) or "already exists" in why:
            raise TransientError(why)  # what exists already, somebody else made a moment ago
        raise PermanentError(why)


def _header(mark: Mark, properties: Properties) -> str:
    secrets = {
        name: [value.name, value.digest] for name, value in sorted(properties.items()) if isinstance(value, Secret)
    }
    lines = [f"// owner {mark.repository} {mark.address} {mark.digest}"]
    if secrets:
        lines.append(f"{_SECRETS}{json.dumps(secrets)}")
    return "\n".join(lines) + "\n"


def _without_header(script: str) -> tuple[Mark | None, dict[str, Value], str]:
    """Take our lines off a script: whose it is, and the digests of its secrets."""
    first, _, rest = script.partition("\n")
    match = _OWNER.fullmatch(first)
    if match is None:
        return None, {}, script
    mark = Mark(match[1], Address(match[2]), match[3])
    second, _, body = rest.partition("\n")
    if not second.startswith(_SECRETS):
        return mark, {}, rest
    try:
        found = json.loads(second.removeprefix(_SECRETS))
        return mark, {name: Secret(str(one), str(digest)) for name, (one, digest) in found.items()}, body
    except (ValueError, TypeError, AttributeError):
        return mark, {}, body


def _health(task: Mapping[str, object]) -> tuple[Health, str]:
    if task.get("error"):
        return Health.DEGRADED, f"the task failed: {str(task['error'])[:200]}"
    if task.get("status") == "enabled" and task.get("executing") is False:
        return Health.DEGRADED, "the task is enabled and not executing"
    if task.get("status") == "disabled":
        return Health.SUSPENDED, "the task is disabled"
    return Health.HEALTHY, ""


def _database(dbrps: object) -> str:
    pairs = (
        [f"{one.get('db')}.{one.get('rp')}" for one in dbrps if isinstance(one, dict)]
        if isinstance(dbrps, list)
        else []
    )
    return " ".join(pairs)
