"""Speaks to OpenDaylight over RESTCONF: RFC 8040 under `/rests`, or the older form under `/restconf`.

What is written goes to the config store, which proves nothing about a switch; what is read comes from the operational
store, which is filled from the switches every few seconds. Absent data is 404 or 409.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import ClassVar, Final
from urllib.parse import quote

from providers.base import PermanentError, TransientError
from providers.sdn.controller import Change, Wire
from providers.sdn.http import Answer, Web, expect, items, mapping, text, whole
from providers.sdn.rules import (
    ALL_ONES,
    IN_PORT,
    Action,
    Bucket,
    Do,
    Group,
    Match,
    Meter,
    Rule,
    plain_match,
    read_masked,
)

_NODES: Final = "opendaylight-inventory:nodes"
_INVENTORY: Final = "flow-node-inventory:"
_TYPES: Final = {"indirect": "group-indirect", "failover": "group-ff", "all": "group-all", "select": "group-select"}
_HALVES: Final = {"ipv6_src": "source", "ipv6_dst": "destination"}
_ABSENT: Final = (404, 409)
_ANY_GROUP: Final = 4294967295


class OpenDaylight:
    """An OpenDaylight controller."""

    name: ClassVar[str] = "opendaylight"
    counts: ClassVar[bool] = False
    meters_possible: ClassVar[bool] = True
    devices_possible: ClassVar[bool] = False
    lag: ClassVar[timedelta] = timedelta(seconds=15)

    def __init__(self, web: Web, *, older: bool = False) -> None:
        self._web, self._older = web, older

    def switches(self) -> frozenset[int]:
        """Ask for the nodes that are there."""
        answer = self._read([_NODES])
        nodes = items(_member(mapping(_member(mapping(answer), "nodes")), "node")) if answer is not None else []
        names = (text(mapping(node).get("id")) for node in nodes)
        return frozenset(whole(name.partition(":")[2]) for name in names if name.startswith("openflow:"))

    def rules(self, dpid: int, cookie: int = 0, mask: int = 0) -> tuple[Rule, ...]:
        """Ask for what the switch reported; the ids of flows there mean nothing."""
        tables = [mapping(table) for table in items(_member(self._node(dpid), "table"))]
        flows = [mapping(flow) for table in tables for flow in items(_member(table, "flow"))]
        found = [_rule(flow) for flow in flows]
        return tuple(rule for rule in found if rule.cookie & mask == cookie & mask)

    def count(self, dpid: int, cookie: int, mask: int) -> int:
        """Count what is listed."""
        return len(self.rules(dpid, cookie, mask))

    def groups(self, dpid: int) -> Mapping[int, Group]:
        """Ask for the groups the switch reported."""
        groups = [_group(mapping(group)) for group in items(_member(self._node(dpid), "group"))]
        return {group.id: group for group in groups}

    def meters(self, dpid: int) -> Mapping[int, Meter]:
        """Ask for the meters the switch reported."""
        meters = [_meter(mapping(meter)) for meter in items(_member(self._node(dpid), "meter"))]
        return {meter.id: meter for meter in meters}

    def ports(self, dpid: int) -> Mapping[int, bool]:
        """Ask for the connectors and their states."""
        found: dict[int, bool] = {}
        for connector in map(mapping, items(_member(self._node(dpid), "node-connector"))):
            number = text(connector.get("id")).rpartition(":")[2]
            if number.isdigit():
                state = mapping(_member(connector, "state"))
                found[int(number)] = not state.get("link-down") and not state.get("blocked")
        return found

    def wires(self) -> Sequence[Wire]:
        """Ask for the topology that link discovery makes."""
        answer = self._read(["network-topology:network-topology", ("topology", "flow:1")])
        topologies = items(_member(mapping(answer), "topology"))
        links = [mapping(link) for topology in topologies for link in items(mapping(topology).get("link"))]
        found = []
        for link in links:
            source, target = mapping(link.get("source")), mapping(link.get("destination"))
            ends = text(source.get("source-tp")).split(":"), text(target.get("dest-tp")).split(":")
            if all(len(end) == 3 and end[0] == "openflow" and end[2].isdigit() for end in ends):
                found.append(Wire(*(int(part) for end in ends for part in end[1:])))
        return sorted(found)

    def devices(self) -> Mapping[str, tuple[int, int]]:
        """Give none: it is not asked for any."""
        return {}

    def write(self, dpid: int, change: Change) -> None:
        """Put and delete in the config store."""
        for meter in (*change.meters, *change.changed_meters):
            self._put(dpid, [("meter", str(meter.id))], "meter", _meter_body(meter))
        for group in (*change.groups, *change.changed_groups):
            self._put(dpid, [("group", str(group.id))], "group", _group_body(group))
        for rule in change.rules:
            self._put(dpid, _path(rule), "flow", _flow_body(dpid, rule))
        for rule in change.gone_rules:
            if self._owner(dpid, rule) in (None, rule.cookie):
                self._delete(dpid, _path(rule))
        for number in change.gone_groups:
            self._delete(dpid, [("group", str(number))])
        for number in change.gone_meters:
            self._delete(dpid, [("meter", str(number))])

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def _node(self, dpid: int) -> Mapping[str, object]:
        answer = self._read([_NODES, ("node", f"openflow:{dpid}")])
        nodes = items(_member(mapping(answer), "node"))
        if not nodes:
            raise TransientError(f"switch {dpid:x} is not connected to the controller")
        return mapping(nodes[0])

    def _owner(self, dpid: int, rule: Rule) -> int | None:
        """Give the cookie of the flow that is stored where a rule belongs."""
        answer = self._read([_NODES, ("node", f"openflow:{dpid}"), *_path(rule)], stored=True)
        flows = items(_member(mapping(answer), "flow"))
        return whole(mapping(flows[0]).get("cookie")) if flows else None

    def _read(self, path: list[str | tuple[str, str]], *, stored: bool = False) -> object:
        url = self._url(path, "config" if stored else "operational")
        query = "" if self._older else f"?content={'config' if stored else 'nonconfig'}"
        answer = self._web.call("GET", url + query)
        return None if answer.status in _ABSENT else expect(answer, f"give {path[-1]}", 200).data()

    def _put(self, dpid: int, path: list[str | tuple[str, str]], what: str, body: Mapping[str, object]) -> None:
        url = self._url([_NODES, ("node", f"openflow:{dpid}"), *path], "config")
        key = what if self._older else f"{_INVENTORY}{what}"
        self._changed(self._web.call("PUT", url, {key: [body]}), f"take a {what} for switch {dpid:x}")

    def _delete(self, dpid: int, path: list[str | tuple[str, str]]) -> None:
        answer = self._web.call("DELETE", self._url([_NODES, ("node", f"openflow:{dpid}"), *path], "config"))
        if answer.status not in _ABSENT:
            self._changed(answer, f"delete something of switch {dpid:x}")

    @staticmethod
    def _changed(answer: Answer, what: str) -> None:
        expect(answer, what, 200, 201, 204)

    def _url(self, path: list[str | tuple[str, str]], store: str) -> str:
        if self._older:
            steps = [step if isinstance(step, str) else f"{step[0]}/{step[1]}" for step in path]
            return f"/restconf/{store}/{'/'.join(steps)}"
        steps = [step if isinstance(step, str) else f"{step[0]}={quote(step[1], safe='')}" for step in path]
        return f"/rests/data/{'/'.join(steps)}"


def _member(value: Mapping[str, object], name: str) -> object:
    """Give a member by its name, with or without the module it is from."""
    return next((item for key, item in value.items() if key.rpartition(":")[2] == name), None)


def _path(rule: Rule) -> list[str | tuple[str, str]]:
    return [("table", str(rule.table)), ("flow", _flow_id(rule))]


def _flow_id(rule: Rule) -> str:
    return f"tr-{blake2b(repr(rule.key).encode(), digest_size=8).hexdigest()}"


# --- writing ---------------------------------------------------------------------------------------


def _flow_body(dpid: int, rule: Rule) -> dict[str, object]:
    instructions: list[dict[str, object]] = []
    meter, goto = rule.action(Do.METER), rule.action(Do.GOTO)
    if meter is not None:
        instructions.append({"meter": {"meter-id": meter}})
    applied = [action for action in rule.actions if action.do not in (Do.METER, Do.GOTO)]
    if applied:
        instructions.append({"apply-actions": {"action": _action_bodies(applied)}})
    if goto is not None:
        instructions.append({"go-to-table": {"table_id": goto}})
    return {
        "id": _flow_id(rule),
        "flow-name": _flow_id(rule),
        "table_id": rule.table,
        "priority": rule.priority,
        "cookie": rule.cookie,
        "hard-timeout": 0,
        "idle-timeout": 0,
        "match": _match_body(dpid, rule.match),
        "instructions": {"instruction": [{"order": order, **body} for order, body in enumerate(instructions)]},
    }


def _match_body(dpid: int, match: Match) -> dict[str, object]:
    fields = dict(match)
    ethernet: dict[str, object] = {}
    if "eth_type" in fields:
        ethernet["ethernet-type"] = {"type": fields["eth_type"]}
    if "eth_dst" in fields:
        ethernet["ethernet-destination"] = {"address": fields["eth_dst"]}
    body: dict[str, object] = {"ethernet-match": ethernet} if ethernet else {}
    if "in_port" in fields:
        body["in-port"] = f"openflow:{dpid}:{fields['in_port']}"
    if "ipv6_label" in fields:
        body["ipv6-label"] = {"ipv6-flabel": fields["ipv6_label"]}
    if "ip_dscp" in fields:
        body["ip-match"] = {"ip-dscp": fields["ip_dscp"]}
    halves = {side: read_masked(str(fields[name])) for name, side in _HALVES.items() if name in fields}
    arbitrary = any(_prefix(mask) is None for _, mask in halves.values())
    for side, (value, mask) in halves.items():
        address = str(IPv6Address(value))
        if arbitrary:
            body[f"ipv6-{side}-address-no-mask"] = address
            body[f"ipv6-{side}-arbitrary-bitmask"] = str(IPv6Address(mask))
        else:
            body[f"ipv6-{side}"] = f"{address}/{_prefix(mask)}"
    return body


def _prefix(mask: int) -> int | None:
    """Give the length of a mask that is a prefix."""
    length = mask.bit_count()
    return length if mask == ALL_ONES << (128 - length) & ALL_ONES else None


def _action_bodies(actions: Sequence[Action]) -> list[dict[str, object]]:
    return [{"order": order, **_action_body(action)} for order, action in enumerate(actions)]


def _action_body(action: Action) -> dict[str, object]:
    match action:
        case Action(Do.OUTPUT, port):
            return {
                "output-action": {"output-node-connector": "INPORT" if port == IN_PORT else str(port), "max-length": 0}
            }
        case Action(Do.GROUP, number):
            return {"group-action": {"group-id": number}}
        case Action(Do.QUEUE, number):
            return {"set-queue-action": {"queue-id": number}}
        case Action(Do.DECREMENT):
            return {"dec-nw-ttl": {}}
        case Action(Do.HOPS, hops):
            return {"set-nw-ttl-action": {"nw-ttl": hops}}
        case Action(Do.SET, value, "eth_dst"):
            return {"set-field": {"ethernet-match": {"ethernet-destination": {"address": value}}}}
        case Action(Do.SET, value, "ipv6_label"):
            return {"set-field": {"ipv6-label": {"ipv6-flabel": value}}}
        case Action(Do.SET, value, "ip_dscp"):
            return {"set-field": {"ip-match": {"ip-dscp": value}}}
        case Action(Do.SET, value, field) if field in _HALVES:
            return {"set-field": {f"ipv6-{_HALVES[field]}": f"{value}/128"}}
    raise PermanentError(f"OpenDaylight cannot write {action.do} {action.value}")


def _group_body(group: Group) -> dict[str, object]:
    return {
        "group-id": group.id,
        "group-name": f"tr-{group.id}",
        "group-type": _TYPES[group.type],
        "barrier": False,
        "buckets": {
            "bucket": [
                {
                    "bucket-id": number,
                    "weight": 1,
                    "watch_port": bucket.watch or _ANY_GROUP,
                    "watch_group": _ANY_GROUP,
                    "action": _action_bodies(bucket.actions),
                }
                for number, bucket in enumerate(group.buckets, 1)
            ]
        },
    }


def _meter_body(meter: Meter) -> dict[str, object]:
    band = {
        "band-id": 0,
        "drop-rate": meter.kbps,
        "drop-burst-size": meter.kbps,
        "meter-band-types": {"flags": "ofpmbt-drop"},
    }
    return {
        "meter-id": meter.id,
        "meter-name": f"tr-{meter.id}",
        "flags": "meter-kbps",
        "meter-band-headers": {"meter-band-header": [band]},
    }


# --- reading ---------------------------------------------------------------------------------------


def _rule(flow: Mapping[str, object]) -> Rule:
    actions: list[Action] = []
    steps = [mapping(step) for step in items(mapping(_member(flow, "instructions")).get("instruction"))]
    for step in sorted(steps, key=lambda step: whole(step.get("order"))):
        actions += _instruction(step)
    return Rule(
        table=whole(flow.get("table_id")),
        priority=whole(flow.get("priority")),
        match=_match(mapping(flow.get("match"))),
        actions=tuple(sorted(actions, key=lambda action: (action.do is not Do.METER, action.do is Do.GOTO))),
        cookie=whole(flow.get("cookie")),
    )


def _instruction(step: Mapping[str, object]) -> Iterator[Action]:
    if "meter" in step:
        yield Action(Do.METER, whole(mapping(step["meter"]).get("meter-id")))
    elif "go-to-table" in step:
        yield Action(Do.GOTO, whole(mapping(step["go-to-table"]).get("table_id")))
    elif "apply-actions" in step:
        yield from _actions(items(mapping(step["apply-actions"]).get("action")))
    else:
        yield Action(Do.OTHER, str(sorted(step)))


def _match(body: Mapping[str, object]) -> Match:
    ethernet = mapping(body.get("ethernet-match"))
    fields: dict[str, int | str] = {}
    if "ethernet-type" in ethernet:
        fields["eth_type"] = whole(mapping(ethernet["ethernet-type"]).get("type"))
    if "ethernet-destination" in ethernet:
        fields["eth_dst"] = text(mapping(ethernet["ethernet-destination"]).get("address"))
    if "in-port" in body:
        fields["in_port"] = whole(text(body["in-port"]).rpartition(":")[2])
    if "ipv6-label" in body:
        fields["ipv6_label"] = whole(mapping(body["ipv6-label"]).get("ipv6-flabel"))
    if "ip-match" in body:
        fields["ip_dscp"] = whole(mapping(body["ip-match"]).get("ip-dscp"))
    for name, side in _HALVES.items():
        if f"ipv6-{side}" in body:
            fields[name] = text(body[f"ipv6-{side}"])
        elif f"ipv6-{side}-address-no-mask" in body:
            mask = text(body.get(f"ipv6-{side}-arbitrary-bitmask"))
            fields[name] = text(body[f"ipv6-{side}-address-no-mask"]) + (f"/{mask}" if mask else "")
    known = {"ethernet-match", "in-port", "ip-match", "ipv6-label"}
    fields |= {key: str(value) for key, value in body.items() if key not in known and not key.startswith("ipv6-")}
    try:
        return plain_match(fields)
    except ValueError as error:
        raise TransientError(f"OpenDaylight answered what is no match: {body}") from error


def _actions(written: Sequence[object]) -> tuple[Action, ...]:
    bodies = sorted(map(mapping, written), key=lambda body: whole(body.get("order")))
    return tuple(map(_action, bodies))


def _action(body: Mapping[str, object]) -> Action:
    match body:
        case {"output-action": {"output-node-connector": str() as port}}:
            return Action(
                Do.OUTPUT, IN_PORT if port in ("INPORT", "IN_PORT") else int(port) if port.isdigit() else port
            )
        case {"group-action": {"group-id": int() as number}}:
            return Action(Do.GROUP, number)
        case {"set-queue-action": {"queue-id": int() as number}}:
            return Action(Do.QUEUE, number)
        case {"dec-nw-ttl": _}:
            return Action(Do.DECREMENT)
        case {"set-nw-ttl-action": {"nw-ttl": int() as hops}}:
            return Action(Do.HOPS, hops)
        case {"set-field": {"ethernet-match": {"ethernet-destination": {"address": str() as address}}}}:
            return Action(Do.SET, address.lower(), "eth_dst")
        case {"set-field": {"ipv6-label": {"ipv6-flabel": int() as label}}}:
            return Action(Do.SET, label, "ipv6_label")
        case {"set-field": {"ip-match": {"ip-dscp": int() as mark}}}:
            return Action(Do.SET, mark, "ip_dscp")
        case {"set-field": {"ipv6-source": str() as address}}:
            return Action(Do.SET, str(IPv6Address(address.partition("/")[0])), "ipv6_src")
        case {"set-field": {"ipv6-destination": str() as address}}:
            return Action(Do.SET, str(IPv6Address(address.partition("/")[0])), "ipv6_dst")
    return Action(Do.OTHER, str(sorted(body)))


def _group(body: Mapping[str, object]) -> Group:
    types = {theirs: ours for ours, theirs in _TYPES.items()}
    buckets = [mapping(bucket) for bucket in items(mapping(body.get("buckets")).get("bucket"))]
    watched = [whole(bucket.get("watch_port")) for bucket in buckets]
    return Group(
        whole(body.get("group-id")),
        types.get(text(body.get("group-type")), text(body.get("group-type"))),
        tuple(
            Bucket(_actions(items(bucket.get("action"))), 0 if port == _ANY_GROUP else port)
            for bucket, port in zip(buckets, watched, strict=True)
        ),
    )


def _meter(body: Mapping[str, object]) -> Meter:
    bands = items(mapping(body.get("meter-band-headers")).get("meter-band-header"))
    return Meter(whole(body.get("meter-id")), whole(mapping(bands[0]).get("drop-rate")) if bands else 0)
