"""Says why the pods of a workload do not come up: the reason of the first failing ones and their last words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from providers.base import Health, ProviderError
from providers.kubernetes.connection import Call
from providers.kubernetes.health import Verdict
from providers.kubernetes.naming import Json
from providers.kubernetes.server import Server

_MOST = 50
"""Pods looked at per workload."""
_LINES = 5
"""Of a container's log."""
_STARTING = timedelta(seconds=30)
"""So long a pod may run without being ready before it is quoted."""
_STUCK = timedelta(minutes=10)
"""After that a pod of a set without a deadline of its own has failed."""


class _Trouble(Struct, frozen=True):
    """What is wrong with a pod."""

    pod: Json
    why: str
    container: str = ""
    """Whose log tells more."""
    previous: bool = False
    """Whether it is the log of the run before this one."""
    urgent: bool = True
    """Whether it is certain that something is wrong."""


def explained(server: Server, body: Json, verdict: Verdict, now: datetime) -> Verdict:
    """Add to a verdict on a workload what its pods say; a pod that is stuck for long makes it degraded."""
    health, reason = verdict
    labels = ((body["spec"].get("selector") or {}).get("matchLabels")) or {}
    trouble = next(_troubles(server, body["metadata"]["namespace"], labels), None) if labels else None
    if trouble is None:
        return verdict
    metadata = trouble.pod["metadata"]
    age = now - datetime.fromisoformat(metadata["creationTimestamp"].replace("Z", "+00:00"))
    if "updateStrategy" in body["spec"] and age > _STUCK:
        health = Health.DEGRADED
    telling = trouble.urgent or health is Health.DEGRADED or age > _STARTING
    words = _last_words(server, trouble) if telling else ""
    return health, f"{reason}: pod {metadata['name']}: {trouble.why}{words}"


def _troubles(server: Server, namespace: str, labels: dict[str, str]) -> Iterator[_Trouble]:
    query: dict[str, str | int] = {
        "labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "limit": _MOST,
    }
    try:
        pods = server.connection.call(Call(path=f"/api/v1/namespaces/{namespace}/pods", query=query))["items"]
    except ProviderError:  # the verdict stands without their words
        return
    newest_first = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
    found = [trouble for pod in newest_first if (trouble := _trouble(pod)) is not None]
    yield from sorted(found, key=lambda trouble: not trouble.urgent)


def _trouble(pod: Json) -> _Trouble | None:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        if not container.get("ready") and (trouble := _of_container(pod, container)) is not None:
            return trouble
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _Trouble(pod, f"{condition.get('reason', '')}: {condition.get('message', '')}")
    message = str(status.get("message", ""))
    return _Trouble(pod, message) if status.get("phase") == "Failed" and message else None


def _of_container(pod: Json, container: Any) -> _Trouble | None:
    name, state = container["name"], container.get("state") or {}
    before = (container.get("lastState") or {}).get("terminated")
    ended, waiting = state.get("terminated") or {}, state.get("waiting") or {}
    if ended.get("exitCode"):
        return _Trouble(pod, f"{name} {_end(ended)}", name)
    if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        words = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        if before:
            return _Trouble(pod, f"{words}; it {_end(before)}", name, previous=True)
        return _Trouble(pod, words)
    return _Trouble(pod, f"{name} runs but is not ready", name, urgent=False) if "running" in state else None


def _end(ended: Any) -> str:
    return f"ended with {ended.get('exitCode')} ({ended.get('reason', 'no reason')})"


def _last_words(server: Server, trouble: _Trouble) -> str:
    if not trouble.container:
        return ""
    metadata = trouble.pod["metadata"]
    query: dict[str, str | int] = {"container": trouble.container, "tailLines": _LINES}
    if trouble.previous:
        query["previous"] = "true"
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    try:
        text = server.connection.fetch(Call(path=path, query=query, accept="*/*")).decode(errors="replace")
    except ProviderError:  # logs are a courtesy of the node
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"; its last lines: {' | '.join(lines[-_LINES:])}" if lines else ""
