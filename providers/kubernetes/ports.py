"""Which ports a node offers: what its property `ports` and its `endpoint` capability say together. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from providers.kubernetes.naming import dns_label
from specs.model import Node
from specs.values import Value


class Port(Struct, frozen=True):
    """One port: what clients ask for, where it leads to, and what it speaks."""

    name: str
    number: int
    target: int
    protocol: str
    """`TCP`, `UDP` or `SCTP`."""


def ports_of(node: Node) -> tuple[Port, ...]:
    """Give the ports of a node, each once, in the order of their numbers."""
    said = node.capabilities.get("endpoint", {})
    found: dict[tuple[int, str], Port] = {}

    def add(number: Value, protocol: Value, name: Value, target: Value = None) -> None:
        if isinstance(number, int):
            words = str(protocol or "tcp").lower()
            spoken = words.upper() if words in ("udp", "sctp") else "TCP"
            own = dns_label(str(name), limit=15) if name else f"{spoken.lower()}-{number}"
            found.setdefault((number, spoken), Port(own, number, target if isinstance(target, int) else number, spoken))

    add(said.get("port"), said.get("protocol"), said.get("port_name"))
    specified = said.get("ports")
    if isinstance(specified, Mapping):
        for name, port in specified.items():
            if isinstance(port, Mapping):
                add(port.get("source", port.get("target")), port.get("protocol"), name, port.get("target"))
    listed = node.properties.get("ports")
    if isinstance(listed, list):
        for number in listed:
            add(number, "tcp", "")
    return tuple(found[key] for key in sorted(found))


def probe(node: Node) -> dict[str, Value]:
    """Say how to see that the node's endpoint answers; nothing where the spec does not say what it speaks."""
    said = node.capabilities.get("endpoint", {})
    number, protocol = said.get("port"), str(said.get("protocol") or "tcp").lower()
    if not isinstance(number, int) or protocol in ("udp", "sctp"):
        return {}
    if isinstance(said.get("url_path"), str):
        scheme = "HTTPS" if said.get("secure") or protocol == "https" else "HTTP"
        return {"httpGet": {"path": said["url_path"], "port": number, "scheme": scheme}}
    return {"tcpSocket": {"port": number}}
