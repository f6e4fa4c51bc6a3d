"""What the kinds of the network service look like in its words: how they are written and read. Pure.

All of them carry their mark as description: it is written with the object, while tags come one call later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec import Struct

from providers.base import Health
from providers.openstack.cloud import Json
from providers.openstack.net import ordered
from providers.openstack.sight import Sight
from specs.values import Properties, Value

_STATUS = {"DOWN": Health.HEALTHY, "ACTIVE": Health.HEALTHY, "BUILD": Health.PROGRESSING, "ERROR": Health.DEGRADED}


def _nothing(row: Json, sight: Sight) -> dict[str, Value]:
    return {}


class Form(Struct, frozen=True, kw_only=True):
    """One kind: where it is, and how its properties are called there."""

    kind: str
    path: str
    item: str
    """What one is called in bodies; more of them end on `s`."""
    items: str
    extension: str = ""
    """What the cloud must have."""
    fields: Mapping[str, str]
    """Property → name in the API, for those that are the same value on both sides."""
    fixed: frozenset[str] = frozenset()
    """Names in the API that can only be written at the beginning."""
    cleared: Mapping[str, Any]
    """Names in the API → what is written there when the spec says nothing any more."""
    network: str = ""
    """Name in the API of the id of a network that the spec may give by name."""
    read: Callable[[Json, Sight], dict[str, Value]] = _nothing
    """Reads properties that need more than another name."""
    attributes: Callable[[Json, Sight], dict[str, Value]] = _nothing


def written(form: Form, properties: Properties, network: str, *, anew: bool) -> Json:
    """Give the body of a create, or of an update; `network` is the id behind `network_name`."""
    body: Json = {} if anew else dict(form.cleared)
    for name, word in form.fields.items():
        if name in properties:
            body[word] = properties[name]
    match form.kind:
        case "network" if "segmentation_id" in properties:
            body["provider:segmentation_id"] = int(str(properties["segmentation_id"]))
        case "subnet":
            body |= _pool(properties)
        case "port":
            body |= _port(properties, anew=anew)
        case "router":
            body["external_gateway_info"] = {"network_id": network} if network else {}
        case "flow_classifier":
            body |= _traffic(properties)
        case "port_pair_group":
            body["port_pairs"] = _ids(properties.get("port_pairs"))
        case "port_chain":
            body["flow_classifiers"] = _ids(properties.get("classifiers"))
    if form.network and network and form.kind != "router":
        body[form.network] = network
    return {word: value for word, value in body.items() if anew or word not in form.fixed}


def read(form: Form, row: Json, sight: Sight) -> dict[str, Value]:
    """Give the properties of an object."""
    found = {name: row[word] for name, word in form.fields.items() if row.get(word) is not None}
    if form.network and row.get(form.network):
        found["network_name"] = sight.network_name(str(row[form.network]))
    return found | form.read(row, sight)


def health(row: Json) -> tuple[Health, str]:
    """Say how an object is doing; ports and routers are fine as long as nothing failed."""
    status = str(row.get("status") or "ACTIVE")
    found = _STATUS.get(status, Health.HEALTHY)
    return found, "" if found is Health.HEALTHY else f"the network service says {status}"


def _ids(found: Value) -> list[Value]:
    return [found[key] for key in sorted(found)] if isinstance(found, Mapping) else []


# --- networks and subnets --------------------------------------------------------------------------


def _read_network(row: Json, sight: Sight) -> dict[str, Value]:
    number = row.get("provider:segmentation_id")
    return {} if number is None else {"segmentation_id": str(number)}


def _pool(properties: Properties) -> Json:
    if "start_ip" not in properties or "end_ip" not in properties:
        return {}
    return {"allocation_pools": [{"start": properties["start_ip"], "end": properties["end_ip"]}]}


def _read_subnet(row: Json, sight: Sight) -> dict[str, Value]:
    pools = row.get("allocation_pools") or []
    return {"start_ip": pools[0]["start"], "end_ip": pools[-1]["end"]} if pools else {}


# --- ports -----------------------------------------------------------------------------------------


def _port(properties: Properties, *, anew: bool) -> Json:
    if not anew or "ip_address" not in properties:
        return {}
    return {"fixed_ips": [{"ip_address": properties["ip_address"]}]}


def _addresses(row: Json) -> list[str]:
    return [str(one["ip_address"]) for one in row.get("fixed_ips", ())]


def _read_port(row: Json, sight: Sight) -> dict[str, Value]:
    found: dict[str, Value] = {
        "security_groups": sorted(row.get("security_groups", ())),
        "allowed_address_pairs": ordered(_pair(one) for one in row.get("allowed_address_pairs", ())),
    }
    addresses = _addresses(row)
    return {**found, "ip_address": addresses[0]} if addresses else found


def _pair(pair: Json) -> dict[str, Value]:
    return {"ip_address": pair["ip_address"]}


def _port_attributes(row: Json, sight: Sight) -> dict[str, Value]:
    addresses = _addresses(row)
    found: dict[str, Value] = {"mac_address": row.get("mac_address")}
    if addresses:
        found |= dict.fromkeys(("address", "ip_address", "private_address"), addresses[0])
    return found


# --- routers and public addresses ------------------------------------------------------------------


def _read_router(row: Json, sight: Sight) -> dict[str, Value]:
    found: dict[str, Value] = {
        "interfaces": {sight.label("subnet", subnet): subnet for subnet in sight.interfaces(str(row["id"]))}
    }
    gateway = row.get("external_gateway_info") or {}
    return {**found, "network_name": sight.network_name(gateway["network_id"])} if gateway.get("network_id") else found


def _router_attributes(row: Json, sight: Sight) -> dict[str, Value]:
    outside = (row.get("external_gateway_info") or {}).get("external_fixed_ips") or []
    return {"public_address": outside[0]["ip_address"]} if outside else {}


def _floating_attributes(row: Json, sight: Sight) -> dict[str, Value]:
    return dict.fromkeys(("floating_ip_address", "public_address", "ip_address"), row["floating_ip_address"])


# --- rules -----------------------------------------------------------------------------------------


def rule_of(row: Json) -> dict[str, Value]:
    """Give one rule of a security group as the spec writes it."""
    found: dict[str, Value] = {"direction": row["direction"], "ethertype": row["ethertype"]}
    if row.get("protocol"):
        found["protocol"] = row["protocol"]
    if row.get("port_range_min") is not None:
        found["ports"] = [row["port_range_min"], row["port_range_max"]]
    if remote := row.get("remote_ip_prefix"):
        if remote not in ("0.0.0.0/0", "::/0"):
            found["remote"] = remote
    elif row.get("remote_group_id"):
        found["remote_group"] = row["remote_group_id"]
    return found


def written_rule(rule: Mapping[str, Value]) -> Json:
    """Give one rule as the API takes it."""
    body: Json = {name: rule[name] for name in ("direction", "ethertype", "protocol") if name in rule}
    if "remote" in rule:
        body["remote_ip_prefix"] = rule["remote"]
    ports = rule.get("ports")
    if isinstance(ports, list):
        body |= {"port_range_min": ports[0], "port_range_max": ports[-1]}
    return body


def _read_group(row: Json, sight: Sight) -> dict[str, Value]:
    return {"rules": ordered(rule_of(rule) for rule in row.get("security_group_rules", ()))}


_LIMITS = ("direction", "max_kbps", "max_burst_kbps", "min_kbps", "dscp_mark")


def limit_of(row: Json) -> dict[str, Value]:
    """Give one rule of a QoS policy as the spec writes it; a burst of nothing is no burst."""
    return {"type": row["type"], **{name: row[name] for name in _LIMITS if row.get(name)}}


def _read_quality(row: Json, sight: Sight) -> dict[str, Value]:
    return {"rules": ordered(limit_of(rule) for rule in row.get("rules", ()))}


# --- chains ----------------------------------------------------------------------------------------

_SPANS = {"source_port": "source_port_range", "ports": "destination_port_range"}


def _traffic(properties: Properties) -> Json:
    body: Json = {}
    for name, word in _SPANS.items():
        if name in properties:
            low, _, high = str(properties[name]).partition(":")
            body |= {f"{word}_min": int(low), f"{word}_max": int(high or low)}
    return body


def _read_traffic(row: Json, sight: Sight) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, word in _SPANS.items():
        low, high = row.get(f"{word}_min"), row.get(f"{word}_max")
        if low is not None:
            found[name] = str(low) if low == high else f"{low}:{high}"
    return found


def _read_hop(row: Json, sight: Sight) -> dict[str, Value]:
    return {"port_pairs": {sight.label("port_pair", one): one for one in row.get("port_pairs", ())}}


def _read_chain(row: Json, sight: Sight) -> dict[str, Value]:
    classifiers = {sight.label("flow_classifier", one): one for one in row.get("flow_classifiers", ())}
    return {"classifiers": cast("Value", classifiers)}


_ALL = (
    Form(
        kind="network",
        path="/networks",
        item="network",
        items="networks",
        fields={
            "name": "name",
            "mtu": "mtu",
            "network_type": "provider:network_type",
            "physical_network": "provider:physical_network",
            "qos_policy": "qos_policy_id",
        },
        fixed=frozenset({"provider:network_type", "provider:physical_network", "provider:segmentation_id"}),
        cleared={},
        read=_read_network,
        attributes=_read_network,
    ),
    Form(
        kind="subnet",
        path="/subnets",
        item="subnet",
        items="subnets",
        fields={
            "name": "name",
            "network": "network_id",
            "cidr": "cidr",
            "ip_version": "ip_version",
            "gateway_ip": "gateway_ip",
            "dhcp_enabled": "enable_dhcp",
            "dns_servers": "dns_nameservers",
        },
        fixed=frozenset({"network_id", "cidr", "ip_version"}),
        cleared={"dns_nameservers": []},
        network="network_id",
        read=_read_subnet,
    ),
    Form(
        kind="router",
        path="/routers",
        item="router",
        items="routers",
        extension="router",
        fields={"name": "name"},
        cleared={},
        read=_read_router,
        attributes=_router_attributes,
    ),
    Form(
        kind="security_group",
        path="/security-groups",
        item="security_group",
        items="security_groups",
        extension="security-group",
        fields={"name": "name"},
        cleared={},
        read=_read_group,
    ),
    Form(
        kind="qos_policy",
        path="/qos/policies",
        item="policy",
        items="policies",
        extension="qos",
        fields={"name": "name"},
        cleared={},
        read=_read_quality,
    ),
    Form(
        kind="port",
        path="/ports",
        item="port",
        items="ports",
        fields={
            "name": "name",
            "network": "network_id",
            "security_groups": "security_groups",
            "qos_policy": "qos_policy_id",
            "allowed_address_pairs": "allowed_address_pairs",
        },
        fixed=frozenset({"network_id"}),
        cleared={"qos_policy_id": None, "allowed_address_pairs": []},
        network="network_id",
        read=_read_port,
        attributes=_port_attributes,
    ),
    Form(
        kind="floating_ip",
        path="/floatingips",
        item="floatingip",
        items="floatingips",
        extension="router",
        fields={"port": "port_id", "address": "floating_ip_address"},
        fixed=frozenset({"floating_network_id", "floating_ip_address"}),
        cleared={"port_id": None},
        network="floating_network_id",
        attributes=_floating_attributes,
    ),
    Form(
        kind="port_pair",
        path="/sfc/port_pairs",
        item="port_pair",
        items="port_pairs",
        extension="sfc",
        fields={"name": "name", "ingress": "ingress", "egress": "egress"},
        fixed=frozenset({"ingress", "egress"}),
        cleared={},
    ),
    Form(
        kind="port_pair_group",
        path="/sfc/port_pair_groups",
        item="port_pair_group",
        items="port_pair_groups",
        extension="sfc",
        fields={"name": "name"},
        cleared={},
        read=_read_hop,
    ),
    Form(
        kind="flow_classifier",
        path="/sfc/flow_classifiers",
        item="flow_classifier",
        items="flow_classifiers",
        extension="sfc",
        fields={
            "name": "name",
            "protocol": "protocol",
            "source_ip_prefix": "source_ip_prefix",
            "destination_ip_prefix": "destination_ip_prefix",
        },
        fixed=frozenset(
            {"protocol", "source_ip_prefix", "destination_ip_prefix"}
            | {f"{word}_{end}" for word in _SPANS.values() for end in ("min", "max")}
        ),
        cleared={},
        read=_read_traffic,
    ),
    Form(
        kind="port_chain",
        path="/sfc/port_chains",
        item="port_chain",
        items="port_chains",
        extension="sfc",
        fields={"name": "name", "groups": "port_pair_groups"},
        cleared={},
        read=_read_chain,
        attributes=lambda row, sight: {"chain_id": row.get("chain_id")},
    ),
)

FORMS: Mapping[str, Form] = {form.kind: form for form in _ALL}
