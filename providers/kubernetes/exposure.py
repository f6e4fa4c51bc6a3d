"""Turns a connected function into the ways to it: policy, service, ingress, autoscaler. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from providers.kubernetes.kinds import FORMS
from providers.kubernetes.naming import SERVICE, label_value
from providers.kubernetes.place import Place, standing
from providers.kubernetes.ports import Port, ports_of
from providers.kubernetes.wishes import merged
from providers.kubernetes.workload import controller, is_stateful
from specs.model import LifecycleState, Resource
from specs.values import Value


def tended(place: Place) -> Iterator[Resource]:
    """Make what looks after the pods of a booted workload."""
    if not place.replicas:
        return
    kept = controller(place)
    requires = {place.address(kept)}
    if place.wishes.autoscale:
        target: Value = {"apiVersion": "apps/v1", "kind": FORMS[kept].object, "name": place.name}
        said = place.wishes.autoscale
        yield place.make(
            "horizontalpodautoscaler",
            {
                "spec.scaleTargetRef": target,
                "spec.minReplicas": said.get("min", max(1, _instances(place, "min"))),
                "spec.maxReplicas": said.get("max", max(place.replicas, _instances(place, "max"))),
                "spec.metrics": [_processor_load(said.get("cpu", 80))],
            },
            requires,
        )
    if place.wishes.disruption:
        parts: dict[str, Value] = {f"spec.{name}": value for name, value in place.wishes.disruption.items()}
        yield place.make("poddisruptionbudget", {**parts, "spec.selector": {"matchLabels": place.labels}}, requires)


def connected(place: Place) -> Iterator[Resource]:
    """Make the ways to a connected workload; the service stands for the endpoint."""
    ports = ports_of(place.node)
    if not ports or not place.reaches(LifecycleState.CONNECTED):
        return
    policy = place.make("networkpolicy", _guard(place, ports), {place.address(controller(place))})
    yield policy
    service = place.make("service", _service(place, ports), {place.address(controller(place)), policy.address})
    yield standing(service)
    names = outside_names(place)
    web = [port for port in ports if port.protocol == "TCP"]
    if names and web and place.wishes.ingress is not None:
        yield place.make("ingress", _ingress(place, names, web[0]), {service.address})


def outside_names(place: Place) -> list[str]:
    """Give the names clients outside use: `fqdn`, and `dns_name` of the endpoint."""
    said = place.node.properties.get("fqdn", [])
    names = [name for name in said if isinstance(name, str)] if isinstance(said, list) else []
    own = place.node.capabilities.get("endpoint", {}).get("dns_name")
    return sorted({name.lower() for name in [*names, own] if isinstance(name, str)})


def _instances(place: Place, end: str) -> int:
    found = place.node.capabilities.get("scalable", {}).get(f"{end}_instances")
    return found if isinstance(found, int) else 0


def _processor_load(percent: Value) -> Value:
    return {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
    }


def _service(place: Place, ports: tuple[Port, ...]) -> dict[str, Value]:
    spec: dict[str, Value] = {
        "selector": place.labels,
        "ports": [
            {"name": port.name, "port": port.number, "targetPort": port.target, "protocol": port.protocol}
            for port in ports
        ],
    }
    if is_stateful(place):
        spec["clusterIP"] = "None"
    return {f"spec.{name}": value for name, value in merged(spec, place.wishes.service).items()}


def _guard(place: Place, ports: tuple[Port, ...]) -> dict[str, Value]:
    rule: dict[str, Value] = {"ports": [{"port": port.target, "protocol": port.protocol} for port in ports]}
    if not _called_from_outside(place):
        own: Value = {"matchLabels": {SERVICE: label_value(place.first.service)}}
        rule["from"] = [{"namespaceSelector": {}, "podSelector": own}]
    return {
        "spec.podSelector": {"matchLabels": place.labels},
        "spec.policyTypes": ["Ingress"],
        "spec.ingress": [rule],
    }


def _called_from_outside(place: Place) -> bool:
    """Tell whether clients come from elsewhere than pods of the service behind the same API server."""
    if outside_names(place) or place.wishes.service.get("type") in ("LoadBalancer", "NodePort"):
        return True
    here = {cluster for cluster, spot in place.settings.spots.items() if spot.access == place.spot.access}
    return any(
        endpoint.cluster not in here
        for caller in place.layout.callers.get(place.node.name, ())
        for endpoint in place.layout.endpoints.get(caller.name, ())
    )


def _ingress(place: Place, names: list[str], port: Port) -> dict[str, Value]:
    backend: Value = {"service": {"name": place.name, "port": {"number": port.number}}}
    path: Value = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec: dict[str, Value] = {"rules": [{"host": name, "http": {"paths": [path]}} for name in names]}
    if place.spot.ingress_class:
        spec["ingressClassName"] = place.spot.ingress_class
    if place.node.capabilities.get("endpoint", {}).get("secure") is True:
        spec["tls"] = [{"hosts": list(names), "secretName": f"{place.name}-tls"}]
    return {f"spec.{name}": value for name, value in merged(spec, place.wishes.ingress or {}).items()}
