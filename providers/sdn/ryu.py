"""Speaks to Ryu (or os-ken) with its applications `ofctl_rest` and `rest_topology`.

Ryu answers 200 once a message is on its way, gives an empty list for a switch that hangs, passes over words it does not
know, and reads rules back under the names of OpenFlow 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Final

from providers.base import PermanentError, TransientError
from providers.sdn.controller import Change, Wire
from providers.sdn.http import Web, expect, items, mapping, text, whole
from providers.sdn.marks import WHOLE
from providers.sdn.rules import IN_PORT, Action, Bucket, Do, Group, Match, Meter, Rule, plain_match

_WRITTEN: Final = {"ipv6_label": "ipv6_flabel"}
"""Our name of a field → Ryu's, where they differ."""
_READ: Final = {
    "dl_dst": "eth_dst",
    "dl_src": "eth_src",
    "dl_type": "eth_type",
    "dl_vlan": "vlan_vid",
    "nw_src": "ipv4_src",
    "nw_dst": "ipv4_dst",
    "nw_proto": "ip_proto",
    "ipv6_flabel": "ipv6_label",
}
_GROUPS: Final = {"indirect": "INDIRECT", "failover": "FF", "all": "ALL", "select": "SELECT"}
_NUMBERS: Final = frozenset({"in_port", "eth_type", "ipv6_label", "ip_dscp", "ip_proto"})
_SET_FIELD = re.compile(r"SET_FIELD: \{(\w+):(.*)\}")
_DOWN = 1
"""Bit of a port's configuration and of its state."""
_ANY_PORT = 0xFFFFFFFF


class Ryu:
    """A Ryu controller."""

    name: ClassVar[str] = "ryu"
    counts: ClassVar[bool] = True
    meters_possible: ClassVar[bool] = True
    devices_possible: ClassVar[bool] = True
    lag: ClassVar[timedelta] = timedelta(0)

    def __init__(self, web: Web) -> None:
        self._web = web

    def switches(self) -> frozenset[int]:
        """Ask for the connected switches."""
        answer = expect(self._web.call("GET", "/stats/switches"), "list its switches", 200)
        return frozenset(map(whole, items(answer.data())))

    def rules(self, dpid: int, cookie: int = 0, mask: int = 0) -> tuple[Rule, ...]:
        """Ask for rules; nothing at all is believed only of a switch that answers something else."""
        wanted = {"cookie": cookie, "cookie_mask": mask} if mask else {}
        found = self._stats("POST", f"/stats/flow/{dpid}", dpid, wanted)
        if not found:
            self._is_awake(dpid)
        return tuple(sorted((_rule(mapping(flow)) for flow in found), key=lambda rule: (rule.key[:2], str(rule.match))))

    def count(self, dpid: int, cookie: int, mask: int) -> int:
        """Ask for the sum over rules."""
        wanted = {"cookie": cookie, "cookie_mask": mask} if mask else {}
        found = self._stats("POST", f"/stats/aggregateflow/{dpid}", dpid, wanted)
        if not found:
            raise TransientError(f"switch {dpid:x} does not answer the controller")
        return whole(mapping(found[0]).get("flow_count"))

    def groups(self, dpid: int) -> Mapping[int, Group]:
        """Ask for the groups."""
        found = self._stats("GET", f"/stats/groupdesc/{dpid}", dpid)
        if not found:
            self._is_awake(dpid)
        groups = (_group(mapping(group)) for group in found)
        return {group.id: group for group in groups}

    def meters(self, dpid: int) -> Mapping[int, Meter]:
        """Ask for the meters."""
        found = self._stats("GET", f"/stats/meterconfig/{dpid}", dpid)
        if not found:
            self._is_awake(dpid)
        meters = (_meter(mapping(meter)) for meter in found)
        return {meter.id: meter for meter in meters}

    def ports(self, dpid: int) -> Mapping[int, bool]:
        """Ask for the ports."""
        found = self._stats("GET", f"/stats/portdesc/{dpid}", dpid)
        if not found:
            raise TransientError(f"switch {dpid:x} does not answer the controller")
        described = [mapping(port) for port in found]
        return {
            whole(port.get("port_no")): not (whole(port.get("config")) | whole(port.get("state"))) & _DOWN
            for port in described
            if isinstance(port.get("port_no"), int)
        }

    def wires(self) -> Sequence[Wire]:
        """Ask for the links LLDP found; numbers come as hexadecimal digits."""
        answer = self._web.call("GET", "/v1.0/topology/links")
        if answer.status == 404:
            raise PermanentError("Ryu runs without ryu.app.rest_topology and --observe-links; add both to its command")
        found = [mapping(link) for link in items(expect(answer, "list links", 200).data())]
        ends = [(mapping(link.get("src")), mapping(link.get("dst"))) for link in found]
        return sorted(Wire(*(_hexadecimal(end, key) for end in pair for key in ("dpid", "port_no"))) for pair in ends)

    def devices(self) -> Mapping[str, tuple[int, int]]:
        """Ask for the hosts that frames sent up by switches came from."""
        found = items(expect(self._web.call("GET", "/v1.0/topology/hosts"), "list hosts", 200).data())
        hosts = [(text(mapping(host).get("mac")).lower(), mapping(mapping(host).get("port"))) for host in found]
        return {mac: (_hexadecimal(port, "dpid"), _hexadecimal(port, "port_no")) for mac, port in hosts}

    def write(self, dpid: int, change: Change) -> None:
        """Send every message, one call each."""
        for call, body in _calls(change):
            answer = self._web.call("POST", f"/stats/{call}", {"dpid": dpid, **body})
            if answer.status == 404:
                raise TransientError(f"switch {dpid:x} is not connected to the controller")
            expect(answer, f"write to switch {dpid:x}", 200)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def _stats(self, method: str, path: str, dpid: int, body: object = None) -> list[object]:
        answer = self._web.call(method, path, body)
        if answer.status == 404:
            raise TransientError(f"switch {dpid:x} is not connected to the controller")
        if answer.status == 501:
            raise TransientError(f"Ryu cannot read switch {dpid:x}: a rule there uses an action Ryu does not know")
        return items(mapping(expect(answer, f"read switch {dpid:x}", 200).data()).get(str(dpid)))

    def _is_awake(self, dpid: int) -> None:
        answer = expect(self._web.call("GET", f"/stats/desc/{dpid}"), f"read switch {dpid:x}", 200)
        if not mapping(answer.data()).get(str(dpid)):
            raise TransientError(f"switch {dpid:x} does not answer the controller")


# --- writing ---------------------------------------------------------------------------------------


def _calls(change: Change) -> Iterator[tuple[str, dict[str, object]]]:
    for meter in change.meters:
        yield "meterentry/add", _meter_body(meter)
    for meter in change.changed_meters:
        yield "meterentry/modify", _meter_body(meter)
    for group in change.groups:
        yield "groupentry/add", _group_body(group)
    for group in change.changed_groups:
        yield "groupentry/modify", _group_body(group)
    for rule in change.rules:
        yield "flowentry/add", _rule_body(rule)
    for rule in change.gone_rules:
        yield "flowentry/delete_strict", {**_rule_body(rule), "cookie_mask": WHOLE}
    for number in change.gone_groups:
        yield "groupentry/delete", {"group_id": number}
    for number in change.gone_meters:
        yield "meterentry/delete", {"meter_id": number}


def _rule_body(rule: Rule) -> dict[str, object]:
    return {
        "cookie": rule.cookie,
        "table_id": rule.table,
        "priority": rule.priority,
        "match": {_WRITTEN.get(name, name): value for name, value in rule.match},
        "actions": list(map(_action_body, rule.actions)),
    }


def _action_body(action: Action) -> dict[str, object]:
    match action.do:
        case Do.OUTPUT:
            return {"type": "OUTPUT", "port": action.value}
        case Do.GROUP:
            return {"type": "GROUP", "group_id": action.value}
        case Do.QUEUE:
            return {"type": "SET_QUEUE", "queue_id": action.value}
        case Do.GOTO:
            return {"type": "GOTO_TABLE", "table_id": action.value}
        case Do.METER:
            return {"type": "METER", "meter_id": action.value}
        case Do.DECREMENT:
            return {"type": "DEC_NW_TTL"}
        case Do.HOPS:
            return {"type": "SET_NW_TTL", "nw_ttl": action.value}
        case Do.SET:
            return {"type": "SET_FIELD", "field": _WRITTEN.get(action.field, action.field), "value": action.value}
    raise PermanentError(f"Ryu cannot write {action.value}; this is a defect of the provider")


def _group_body(group: Group) -> dict[str, object]:
    return {
        "type": _GROUPS[group.type],
        "group_id": group.id,
        "buckets": [
            {
                "watch_port": bucket.watch or _ANY_PORT,
                "watch_group": _ANY_PORT,
                "actions": list(map(_action_body, bucket.actions)),
            }
            for bucket in group.buckets
        ],
    }


def _meter_body(meter: Meter) -> dict[str, object]:
    return {"meter_id": meter.id, "flags": ["KBPS"], "bands": [{"type": "DROP", "rate": meter.kbps}]}


# --- reading ---------------------------------------------------------------------------------------


def _rule(flow: Mapping[str, object]) -> Rule:
    return Rule(
        table=whole(flow.get("table_id")),
        priority=whole(flow.get("priority")),
        match=_match(mapping(flow.get("match"))),
        actions=_actions(items(flow.get("actions"))),
        cookie=whole(flow.get("cookie")),
    )


def _match(fields: Mapping[str, object]) -> Match:
    named = {_READ.get(name, name): value for name, value in fields.items()}
    plain = {name: whole(value) if name in _NUMBERS else str(value) for name, value in named.items()}
    try:
        return plain_match(plain)
    except ValueError as error:
        raise TransientError(f"Ryu answered what is no match: {fields}") from error


def _actions(written: Sequence[object]) -> tuple[Action, ...]:
    """Read actions; the meter comes first and the next table last, as they are done."""
    found = [_action(item) for item in written]
    return tuple(sorted(found, key=lambda action: (action.do is not Do.METER, action.do is Do.GOTO)))


def _action(written: object) -> Action:
    if not isinstance(written, str):
        return Action(Do.OTHER, str(written))
    if changed := _SET_FIELD.fullmatch(written):
        field = _READ.get(changed[1], changed[1])
        return Action(Do.SET, whole(changed[2]) if field in _NUMBERS else changed[2].lower(), field)
    verb, _, value = written.partition(":")
    match verb:
        case "OUTPUT":
            return Action(Do.OUTPUT, IN_PORT if value == "IN_PORT" else whole(value) if value.isdigit() else value)
        case "GROUP":
            return Action(Do.GROUP, whole(value))
        case "SET_QUEUE":
            return Action(Do.QUEUE, whole(value))
        case "GOTO_TABLE":
            return Action(Do.GOTO, whole(value))
        case "METER":
            return Action(Do.METER, whole(value))
        case "SET_NW_TTL":
            return Action(Do.HOPS, whole(value))
        case "DEC_NW_TTL":
            return Action(Do.DECREMENT)
    return Action(Do.OTHER, written)


def _group(described: Mapping[str, object]) -> Group:
    types = {theirs: ours for ours, theirs in _GROUPS.items()}
    buckets = [mapping(bucket) for bucket in items(described.get("buckets"))]
    return Group(
        whole(described.get("group_id")),
        types.get(text(described.get("type")), text(described.get("type"))),
        tuple(Bucket(tuple(map(_action, items(b.get("actions")))), _watched(b.get("watch_port"))) for b in buckets),
    )


def _watched(port: object) -> int:
    return 0 if whole(port) in (0, _ANY_PORT) else whole(port)


def _meter(described: Mapping[str, object]) -> Meter:
    bands = [mapping(band) for band in items(described.get("bands"))]
    return Meter(whole(described.get("meter_id")), whole(bands[0].get("rate")) if bands else 0)


def _hexadecimal(end: Mapping[str, object], key: str) -> int:
    try:
        return int(text(end.get(key)), 16)
    except ValueError as error:
        raise TransientError(f"Ryu answered what is no link: {end}") from error
