"""How an object is doing, judged as users of Argo CD and Flux expect. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from providers.base import Health
from providers.kubernetes.naming import Json

Verdict = tuple[Health, str]
"""Health, and why it is not healthy."""

_WELL: Verdict = (Health.HEALTHY, "")


def judge(body: Json, kind: str) -> Verdict:
    """Judge a live object; `kind` is what Kubernetes calls it. Kinds nobody knows are judged by their conditions."""
    metadata = body.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return _leaving(body)
    status = body.get("status") or {}
    observed = status.get("observedGeneration")
    if observed is not None and observed < metadata.get("generation", 0):
        return Health.PROGRESSING, "the cluster has not looked at the change yet"
    return _JUDGES.get(kind, _by_conditions)(body)


def _leaving(body: Json) -> Verdict:
    metadata = body["metadata"]
    holders = [name for name in metadata.get("finalizers") or () if name != "foregroundDeletion"]
    reason = "it is being deleted"
    if holders:
        reason += f" and waits for its finalizers: {', '.join(holders)}"
    for condition in _conditions(body).values():
        if condition.get("status") == "True" and condition["type"].startswith("Namespace") and condition.get("message"):
            reason += f"; {condition['message']}"
    return Health.PROGRESSING, reason


def _deployment(body: Json) -> Verdict:
    spec, status, conditions = body["spec"], body.get("status") or {}, _conditions(body)
    wanted = spec.get("replicas", 1)
    if spec.get("paused"):
        return Health.SUSPENDED, "its rollout is paused"
    if not status.get("observedGeneration"):
        return Health.PROGRESSING, "the cluster has not looked at it yet"
    progress = conditions.get("Progressing", {})
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return Health.DEGRADED, _with_failure(f"its rollout came to a stop: {progress.get('message', '')}", conditions)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return Health.PROGRESSING, _with_failure(f"{updated} of {wanted} pods are made anew", conditions)
    if status.get("replicas", 0) > updated:
        return Health.PROGRESSING, f"{status['replicas'] - updated} old pods are still there"
    if available < updated:
        return Health.PROGRESSING, f"{available} of {updated} pods are ready"
    return _WELL


def _with_failure(reason: str, conditions: Mapping[str, Json]) -> str:
    failed = conditions.get("ReplicaFailure", {})
    return f"{reason}; {failed['message']}" if failed.get("status") == "True" else reason


def _stateful_set(body: Json) -> Verdict:
    spec, status = body["spec"], body.get("status") or {}
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if not status.get("observedGeneration"):
        return Health.PROGRESSING, "the cluster has not looked at it yet"
    if ready < wanted or status.get("replicas", 0) > wanted:
        return Health.PROGRESSING, f"{ready} of {wanted} pods are ready"
    rolling = spec.get("updateStrategy", {}).get("type", "RollingUpdate") == "RollingUpdate"
    if rolling and wanted and status.get("updateRevision") != status.get("currentRevision"):
        partition = (spec["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
        if status.get("updatedReplicas", 0) < wanted - partition:
            return Health.PROGRESSING, f"{status.get('updatedReplicas', 0)} of {wanted} pods are made anew"
    return _WELL


def _daemon_set(body: Json) -> Verdict:
    status = body.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    if not status.get("observedGeneration"):
        return Health.PROGRESSING, "the cluster has not looked at it yet"
    for field, words in (("updatedNumberScheduled", "made anew"), ("numberAvailable", "ready")):
        if status.get(field, 0) < wanted:
            return Health.PROGRESSING, f"{status.get(field, 0)} of {wanted} pods are {words}"
    return _WELL


def _job(body: Json) -> Verdict:
    conditions = _conditions(body)
    if conditions.get("Failed", {}).get("status") == "True":
        return Health.DEGRADED, f"it failed: {conditions['Failed'].get('message', '')}"
    if conditions.get("Complete", {}).get("status") == "True":
        return _WELL
    if body["spec"].get("suspend"):
        return Health.SUSPENDED, "it is suspended"
    return Health.PROGRESSING, "it has not finished yet"


def _cron_job(body: Json) -> Verdict:
    return (Health.SUSPENDED, "it is suspended") if body["spec"].get("suspend") else _WELL


def _pod(body: Json) -> Verdict:
    status = body.get("status") or {}
    match status.get("phase"):
        case "Succeeded":
            return _WELL
        case "Failed":
            return Health.DEGRADED, status.get("message") or "its containers failed"
        case "Running" if _conditions(body).get("Ready", {}).get("status") == "True":
            return _WELL
    return Health.PROGRESSING, status.get("message") or "it is not ready yet"


def _service(body: Json) -> Verdict:
    if body["spec"].get("type") == "LoadBalancer" and not _ingresses(body):
        return Health.PROGRESSING, "no load balancer has taken it yet"
    return _WELL


def _claim(body: Json) -> Verdict:
    phase = (body.get("status") or {}).get("phase")
    if phase == "Lost":
        return Health.DEGRADED, "its volume is lost"
    return _WELL  # unbound is well: many classes bind when the first pod comes, and pods tell what they wait for


def _autoscaler(body: Json) -> Verdict:
    able = _conditions(body).get("AbleToScale", {})
    if able.get("status") == "False":
        return Health.DEGRADED, able.get("message") or "it cannot scale"
    return _WELL


def _namespace(body: Json) -> Verdict:
    phase = (body.get("status") or {}).get("phase", "Active")
    return _WELL if phase == "Active" else (Health.PROGRESSING, f"it is {phase.lower()}")


def _definition(body: Json) -> Verdict:
    conditions = _conditions(body)
    if conditions.get("NamesAccepted", {}).get("status") == "False":
        return Health.DEGRADED, conditions["NamesAccepted"].get("message") or "its names are taken"
    if conditions.get("Established", {}).get("status") != "True":
        return Health.PROGRESSING, "it is not established yet"
    return _WELL


def _by_conditions(body: Json) -> Verdict:
    """Judge by the conditions that are the custom: Stalled, Reconciling, Ready, Available."""
    conditions = _conditions(body)
    for name, health in (("Stalled", Health.DEGRADED), ("Reconciling", Health.PROGRESSING)):
        if conditions.get(name, {}).get("status") == "True":
            return health, conditions[name].get("message") or name
    for name in ("Ready", "Available"):
        if conditions.get(name, {}).get("status") in ("False", "Unknown"):
            return Health.PROGRESSING, conditions[name].get("message") or f"it is not {name.lower()}"
    return _WELL


def _conditions(body: Json) -> dict[str, Json]:
    found = (body.get("status") or {}).get("conditions")
    if not isinstance(found, list):
        return {}
    return {item["type"]: item for item in found if isinstance(item, dict) and isinstance(item.get("type"), str)}


def _ingresses(body: Json) -> list[Any]:
    return ((body.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


_JUDGES: Final[Mapping[str, Callable[[Json], Verdict]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "Pod": _pod,
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "HorizontalPodAutoscaler": _autoscaler,
    "Namespace": _namespace,
    "CustomResourceDefinition": _definition,
    "Ingress": lambda body: _WELL,
    "ConfigMap": lambda body: _WELL,
    "Secret": lambda body: _WELL,
    "ServiceAccount": lambda body: _WELL,
    "NetworkPolicy": lambda body: _WELL,
    "PodDisruptionBudget": lambda body: _WELL,
}
