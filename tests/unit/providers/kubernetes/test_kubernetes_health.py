"""Health as users of Argo CD and Flux expect it, kind by kind."""

from __future__ import annotations

from typing import Any

import pytest

from providers.base import Health
from providers.kubernetes.health import judge

HEALTHY, PROGRESSING, DEGRADED, SUSPENDED = Health.HEALTHY, Health.PROGRESSING, Health.DEGRADED, Health.SUSPENDED


def condition(name: str, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": name, "status": status, **more}


ROLLED = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
STUCK = [condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="no")]
CASES: list[tuple[str, dict[str, Any], dict[str, Any], Health, str]] = [
    ("Deployment", {"replicas": 2}, ROLLED, HEALTHY, ""),
    ("Deployment", {"replicas": 0}, {"observedGeneration": 2}, HEALTHY, ""),
    ("Deployment", {"replicas": 2}, {}, PROGRESSING, "not looked"),
    ("Deployment", {"replicas": 2}, {**ROLLED, "observedGeneration": 1}, PROGRESSING, "not looked at the change"),
    ("Deployment", {"replicas": 3}, ROLLED, PROGRESSING, "2 of 3 pods are made anew"),
    ("Deployment", {"replicas": 2}, {**ROLLED, "replicas": 3}, PROGRESSING, "1 old pods"),
    ("Deployment", {"replicas": 2}, {**ROLLED, "availableReplicas": 1}, PROGRESSING, "1 of 2 pods are ready"),
    ("Deployment", {"replicas": 2, "paused": True}, ROLLED, SUSPENDED, "paused"),
    ("Deployment", {"replicas": 2}, {**ROLLED, "conditions": STUCK}, DEGRADED, "came to a stop"),
    (
        "Deployment",
        {"replicas": 3},
        {**ROLLED, "conditions": [condition("ReplicaFailure", message="exceeded quota")]},
        PROGRESSING,
        "exceeded quota",
    ),
    ("StatefulSet", {"replicas": 2}, ROLLED, HEALTHY, ""),
    ("StatefulSet", {"replicas": 3}, ROLLED, PROGRESSING, "2 of 3 pods are ready"),
    (
        "StatefulSet",
        {"replicas": 2, "updateStrategy": {"type": "RollingUpdate"}},
        {**ROLLED, "updateRevision": "b", "currentRevision": "a", "updatedReplicas": 1},
        PROGRESSING,
        "1 of 2 pods are made anew",
    ),
    ("DaemonSet", {}, {"observedGeneration": 2, "desiredNumberScheduled": 0}, HEALTHY, ""),
    ("DaemonSet", {}, {"observedGeneration": 2, "desiredNumberScheduled": 1}, PROGRESSING, "0 of 1"),
    ("Job", {}, {"conditions": [condition("Complete")]}, HEALTHY, ""),
    ("Job", {}, {"conditions": [condition("Failed", message="backoff")]}, DEGRADED, "backoff"),
    ("Job", {"suspend": True}, {}, SUSPENDED, "suspended"),
    ("Job", {}, {}, PROGRESSING, "not finished"),
    ("CronJob", {"suspend": True}, {}, SUSPENDED, "suspended"),
    ("Pod", {}, {"phase": "Running", "conditions": [condition("Ready")]}, HEALTHY, ""),
    ("Pod", {}, {"phase": "Failed", "message": "evicted"}, DEGRADED, "evicted"),
    ("Pod", {}, {"phase": "Pending"}, PROGRESSING, "not ready"),
    ("Service", {"type": "ClusterIP"}, {}, HEALTHY, ""),
    ("Service", {"type": "LoadBalancer"}, {}, PROGRESSING, "no load balancer"),
    ("Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, HEALTHY, ""),
    ("PersistentVolumeClaim", {}, {"phase": "Pending"}, HEALTHY, ""),
    ("PersistentVolumeClaim", {}, {"phase": "Lost"}, DEGRADED, "lost"),
    ("HorizontalPodAutoscaler", {}, {"conditions": [condition("AbleToScale", "False")]}, DEGRADED, "cannot scale"),
    ("Namespace", {}, {"phase": "Terminating"}, PROGRESSING, "terminating"),
    ("CustomResourceDefinition", {}, {}, PROGRESSING, "not established"),
    ("CustomResourceDefinition", {}, {"conditions": [condition("Established")]}, HEALTHY, ""),
    ("CustomResourceDefinition", {}, {"conditions": [condition("NamesAccepted", "False")]}, DEGRADED, "taken"),
    ("Widget", {}, {}, HEALTHY, ""),
    ("Widget", {}, {"conditions": [condition("Ready", "False", message="waits")]}, PROGRESSING, "waits"),
    ("Widget", {}, {"conditions": [condition("Stalled", message="broken")]}, DEGRADED, "broken"),
    ("Widget", {}, {"conditions": [condition("Reconciling")]}, PROGRESSING, "Reconciling"),
    ("Widget", {}, {"conditions": "nonsense"}, HEALTHY, ""),
]


@pytest.mark.parametrize(("kind", "spec", "status", "health", "words"), CASES)
def test_health_is_judged_by_kind(kind: str, spec: Any, status: Any, health: Health, words: str) -> None:
    found, reason = judge({"metadata": {"generation": 2}, "spec": spec, "status": status}, kind)

    assert found is health
    assert words in reason
    assert bool(reason) == (health is not HEALTHY)


def test_what_is_being_deleted_names_what_holds_it() -> None:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion", "example.org/hold"]}
    conditions = [condition("NamespaceContentRemaining", message="Some resources are remaining: pods. has 1 instances")]
    health, reason = judge({"metadata": metadata, "status": {"conditions": conditions}}, "Namespace")

    assert health is PROGRESSING
    assert "waits for its finalizers: example.org/hold" in reason
    assert "Some resources are remaining" in reason
