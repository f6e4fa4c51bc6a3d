"""Says why the pods of a workload do not come up: the reason of the first failing ones and their last words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from providers.base import Health, ProviderError
from providers.kubernetes.connection import Call
from providers.kubernetes.health import Verdict
from providers.kubernetes.naming import Json
from providers.kubernetes.server import Server

_MOST = 50
"""Pods looked at per workload."""
_LINES = 5
"""Of the log of a container that ended."""
_STUCK = timedelta(minutes=10)
"""After that a pod of a set without a deadline of its own has failed."""


def explained(server: Server, body: Json, verdict: Verdict, now: datetime) -> Verdict:
    """Add to a verdict on a workload what its pods say; a pod that is stuck for long makes it degraded."""
    health, reason = verdict
    labels = ((body["spec"].get("selector") or {}).get("matchLabels")) or {}
    if not labels:
        return verdict
    troubles = list(_troubles(server, body["metadata"]["namespace"], labels))
    if not troubles:
        return verdict
    pod, why = troubles[0]
    since = datetime.fromisoformat(pod["metadata"]["creationTimestamp"].replace("Z", "+00:00"))
    if "updateStrategy" in body["spec"] and now - since > _STUCK:
        health = Health.DEGRADED
    return health, f"{reason}: {why}"


def _troubles(server: Server, namespace: str, labels: dict[str, str]) -> Iterator[tuple[Json, str]]:
    query: dict[str, str | int] = {
        "labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "limit": _MOST,
    }
    try:
        pods = server.connection.call(Call(path=f"/api/v1/namespaces/{namespace}/pods", query=query))["items"]
    except ProviderError:  # the verdict stands without their words
        return
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True):
        if why := _trouble(server, pod):
            yield pod, f"pod {pod['metadata']['name']}: {why}"


def _trouble(server: Server, pod: Json) -> str:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        if container.get("ready"):
            continue
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in (None, "ContainerCreating", "PodInitializing"):
            continue
        words = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        return words + _ended(container) + _last_words(server, pod, container)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return str(status.get("message", "")) if status.get("phase") == "Failed" else ""


def _ended(container: Any) -> str:
    ended = (container.get("lastState") or {}).get("terminated") or {}
    return f"; it ended with {ended.get('exitCode')} ({ended.get('reason', 'no reason')})" if ended else ""


def _last_words(server: Server, pod: Json, container: Any) -> str:
    if not (container.get("lastState") or {}).get("terminated"):
        return ""
    metadata = pod["metadata"]
    query: dict[str, str | int] = {"container": container["name"], "previous": "true", "tailLines": _LINES}
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    try:
        text = server.connection.fetch(Call(path=path, query=query, accept="*/*")).decode(errors="replace")
    except ProviderError:  # logs are a courtesy of the node
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"; its last lines: {' | '.join(lines[-_LINES:])}" if lines else ""
