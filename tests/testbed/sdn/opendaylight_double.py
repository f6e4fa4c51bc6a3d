"""An OpenDaylight as its models and its manual describe it: two stores, one of what was written and one of what is.

The operational store is a copy of the switches that is made now and then. Flows there have alien ids unless the
controller recognises them; masks that are prefixes come back as prefixes, unless those of the other half are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from urllib.parse import unquote

from providers.sdn.controller import Change
from providers.sdn.rules import ALL_ONES, Action, Bucket, Do, Group, Meter, Rule, plain_match, read_masked
from tests.testbed.sdn.doubles import Reply, Request
from tests.testbed.sdn.simulator import Simulator

IN_PORT = 0xFFFFFFF8
MISSING = {"errors": {"error": [{"error-type": "application", "error-tag": "data-missing"}]}}
MATCH_KEYS = frozenset(
    {"ethernet-match", "in-port", "ip-match", "ipv6-label", "ipv6-source", "ipv6-destination"}
    | {f"ipv6-{half}-{leaf}" for half in ("source", "destination") for leaf in ("address-no-mask", "arbitrary-bitmask")}
)


@dataclass
class OpenDaylightDouble:
    """The controller."""

    simulator: Simulator
    older: bool = False
    missing: int = 409
    """What it answers for absent data: 409 as RFC 8040 has it, 404 in older releases."""
    lag: int = 3
    """After how many requests the operational store is made anew."""
    config: dict[tuple[str, ...], dict[str, object]] = field(default_factory=dict)
    _shown: dict[int, dict[str, object]] = field(default_factory=dict)
    _count: int = 0

    def answer(self, request: Request) -> Reply:
        """Answer as OpenDaylight does."""
        if self._count % self.lag == 0:
            self._shown = {dpid: self._node(dpid) for dpid in self.simulator.switches()}
        self._count += 1
        if "Authorization" not in request.headers:
            return Reply(401)
        store, steps = self._steps(request.path)
        match request.method, steps:
            case "GET", _ if store == "operational":
                return self._operational(steps)
            case "GET", ["node", node, *rest] if store == "config":
                found = self.config.get((node, *rest))
                return Reply(200, {"flow-node-inventory:flow": [found]}) if found else Reply(self.missing, MISSING)
            case "PUT", ["node", node, *rest] if store == "config":
                return self._put(node, rest, request.body)
            case "DELETE", ["node", node, *rest] if store == "config":
                return self._delete(node, rest)
        return Reply(404, MISSING)

    def _steps(self, path: str) -> tuple[str, list[str]]:
        """Give the store, and the path after the inventory's nodes; the topology is a path of its own."""
        address, _, query = path.partition("?")
        if self.older:
            found = re.fullmatch(r"/restconf/(config|operational)/(.+)", address)
            store, rest = (found[1], found[2]) if found else ("", "")
            steps = rest.split("/")
        else:
            found = re.fullmatch(r"/rests/data/(.+)", address)
            store = "operational" if query == "content=nonconfig" else "config"
            steps = [unquote(part) for step in (found[1] if found else "").split("/") for part in step.split("=", 1)]
        return store, steps[1:] if steps[0] == "opendaylight-inventory:nodes" else steps

    def _operational(self, steps: list[str]) -> Reply:
        match steps:
            case []:
                nodes = [{"id": node["id"]} for node in self._shown.values()]
                return Reply(200, {"opendaylight-inventory:nodes": {"node": nodes}})
            case ["node", name]:
                node = self._shown.get(int(name.partition(":")[2]))
                return Reply(200, {"opendaylight-inventory:node": [node]}) if node else Reply(self.missing, MISSING)
            case ["network-topology:network-topology", "topology", "flow:1"]:
                return Reply(200, {"network-topology:topology": [{"topology-id": "flow:1", "link": self._links()}]})
        return Reply(self.missing, MISSING)

    # --- writing ---

    def _put(self, node: str, rest: list[str], body: object) -> Reply:
        dpid = int(node.partition(":")[2])
        prefix = "" if self.older else "flow-node-inventory:"
        try:
            assert isinstance(body, dict)
            if rest[0] == "table":
                (flow,) = body[f"{prefix}flow"]
                if (str(flow["table_id"]), flow["id"]) != (rest[1], rest[3]):
                    return Reply(400, {"errors": "the key in the URL is not that of the body"})
                change = Change(rules=(_rule(flow, dpid),))
                kept = flow
            elif rest[0] == "group":
                (kept,) = body[f"{prefix}group"]
                group = _group(kept)
                new = group.id not in self.simulator.boxes[dpid].groups
                change = Change(groups=(group,)) if new else Change(changed_groups=(group,))
            else:
                (kept,) = body[f"{prefix}meter"]
                (band,) = kept["meter-band-headers"]["meter-band-header"]
                assert kept["flags"] == "meter-kbps"
                change = Change(meters=(Meter(kept["meter-id"], band["drop-rate"]),))
        except (KeyError, ValueError, AssertionError, TypeError) as error:
            return Reply(400, {"errors": f"{type(error).__name__} {error}"})
        replaced = (node, *rest) in self.config
        self.config[node, *rest] = kept
        if dpid in self.simulator.switches():
            self.simulator.write(dpid, change)
        return Reply(204 if replaced else 201)

    def _delete(self, node: str, rest: list[str]) -> Reply:
        dpid = int(node.partition(":")[2])
        kept = self.config.pop((node, *rest), None)
        if kept is None:
            return Reply(self.missing, MISSING)
        if rest[0] == "table":
            there = self.simulator.boxes[dpid].rules.get(_rule(kept, dpid).key)
            self.simulator.write(dpid, Change(gone_rules=(there,) if there else ()))
        elif rest[0] == "group":
            self.simulator.write(dpid, Change(gone_groups=(int(rest[1]),)))
        else:
            self.simulator.write(dpid, Change(gone_meters=(int(rest[1]),)))
        return Reply(204)

    # --- reading ---

    def _node(self, dpid: int) -> dict[str, object]:
        box = self.simulator.boxes[dpid]
        tables: dict[int, list[dict[str, object]]] = {}
        for number, rule in enumerate(box.rules.values()):
            tables.setdefault(rule.table, []).append({"id": f"#UF$TABLE*{rule.table}-{number}", **_flow(rule, dpid)})
        connectors = [
            {
                "id": f"openflow:{dpid}:{port}",
                "flow-node-inventory:port-number": str(port),
                "flow-node-inventory:state": {"link-down": not up, "blocked": False, "live": up},
            }
            for port, up in self.simulator.ports(dpid).items()
        ]
        local = {"id": f"openflow:{dpid}:LOCAL", "flow-node-inventory:state": {"link-down": True, "blocked": False}}
        return {
            "id": f"openflow:{dpid}",
            "node-connector": [local, *connectors],
            "flow-node-inventory:table": [{"id": table, "flow": flows} for table, flows in tables.items()],
            "flow-node-inventory:group": list(map(_group_shown, box.groups.values())),
            "flow-node-inventory:meter": list(map(_meter_shown, box.meters.values())),
        }

    def _links(self) -> list[dict[str, object]]:
        return [
            {
                "link-id": f"openflow:{wire.source}:{wire.source_port}",
                "source": {
                    "source-node": f"openflow:{wire.source}",
                    "source-tp": f"openflow:{wire.source}:{wire.source_port}",
                },
                "destination": {
                    "dest-node": f"openflow:{wire.target}",
                    "dest-tp": f"openflow:{wire.target}:{wire.target_port}",
                },
            }
            for wire in self.simulator.wires()
        ]


def _rule(flow: dict[str, object], dpid: int) -> Rule:
    said = dict(flow)
    match, instructions = said["match"], said["instructions"]
    assert isinstance(match, dict)
    assert isinstance(instructions, dict)
    if unknown := match.keys() - MATCH_KEYS:
        raise ValueError(f"unknown leaf {min(unknown)}")
    whole = match.keys() & {"ipv6-source", "ipv6-destination"}
    if whole and any(key.endswith(("no-mask", "bitmask")) for key in match):
        raise ValueError("two cases of one choice")
    fields: dict[str, int | str] = {}
    ethernet = match.get("ethernet-match", {})
    if "ethernet-type" in ethernet:
        fields["eth_type"] = int(ethernet["ethernet-type"]["type"])
    if "ethernet-destination" in ethernet:
        fields["eth_dst"] = ethernet["ethernet-destination"]["address"]
    if "in-port" in match:
        node, port = match["in-port"].rsplit(":", 1)
        if node != f"openflow:{dpid}":
            raise ValueError("port of another node")
        fields["in_port"] = int(port)
    if "ipv6-label" in match:
        fields["ipv6_label"] = int(match["ipv6-label"]["ipv6-flabel"])
    if "ip-match" in match:
        fields["ip_dscp"] = int(match["ip-match"]["ip-dscp"])
    for name, half in (("ipv6_src", "source"), ("ipv6_dst", "destination")):
        if f"ipv6-{half}" in match:
            address, _, length = match[f"ipv6-{half}"].partition("/")
            fields[name] = f"{address}/{int(length)}"
        elif f"ipv6-{half}-address-no-mask" in match:
            mask = match[f"ipv6-{half}-arbitrary-bitmask"]
            fields[name] = f"{match[f'ipv6-{half}-address-no-mask']}/{IPv6Address(mask)}"
    actions: list[Action] = []
    for order, step in enumerate(instructions["instruction"]):
        if step["order"] != order:
            raise ValueError("orders have a gap")
        if "meter" in step:
            actions.append(Action(Do.METER, step["meter"]["meter-id"]))
        elif "go-to-table" in step:
            actions.append(Action(Do.GOTO, step["go-to-table"]["table_id"]))
        else:
            actions += map(_action, step["apply-actions"]["action"])
    table, priority, cookie = said["table_id"], said["priority"], said["cookie"]
    assert isinstance(table, int)
    assert isinstance(priority, int)
    assert isinstance(cookie, int)
    return Rule(table, priority, plain_match(fields), tuple(actions), cookie)


def _action(body: dict[str, object]) -> Action:
    match {key: value for key, value in body.items() if key != "order"}:
        case {"output-action": {"output-node-connector": str() as port}}:
            return Action(Do.OUTPUT, IN_PORT if port == "INPORT" else int(port))
        case {"group-action": {"group-id": int() as number}}:
            return Action(Do.GROUP, number)
        case {"set-queue-action": {"queue-id": int() as number}}:
            return Action(Do.QUEUE, number)
        case {"dec-nw-ttl": {}}:
            return Action(Do.DECREMENT)
        case {"set-nw-ttl-action": {"nw-ttl": int() as hops}}:
            return Action(Do.HOPS, hops)
        case {"set-field": {"ethernet-match": {"ethernet-destination": {"address": str() as mac}}}}:
            return Action(Do.SET, mac, "eth_dst")
        case {"set-field": {"ipv6-label": {"ipv6-flabel": int() as label}}}:
            return Action(Do.SET, label, "ipv6_label")
        case {"set-field": {"ip-match": {"ip-dscp": int() as mark}}}:
            return Action(Do.SET, mark, "ip_dscp")
        case {"set-field": {"ipv6-source": str() as address}} if address.endswith("/128"):
            return Action(Do.SET, address.removesuffix("/128"), "ipv6_src")
        case {"set-field": {"ipv6-destination": str() as address}} if address.endswith("/128"):
            return Action(Do.SET, address.removesuffix("/128"), "ipv6_dst")
    raise ValueError(body)


def _group(body: dict[str, object]) -> Group:
    types = {"group-indirect": "indirect", "group-ff": "failover"}
    buckets = body["buckets"]
    assert isinstance(buckets, dict)
    made = []
    for bucket in buckets["bucket"]:
        watch = bucket["watch_port"]
        made.append(Bucket(tuple(map(_action, bucket["action"])), 0 if watch == 4294967295 else watch))
    number = body["group-id"]
    assert isinstance(number, int)
    return Group(number, types[str(body["group-type"])], tuple(made))


def _flow(rule: Rule, dpid: int) -> dict[str, object]:
    fields = dict(rule.match)
    ethernet: dict[str, object] = {}
    if "eth_type" in fields:
        ethernet["ethernet-type"] = {"type": fields["eth_type"]}
    if "eth_dst" in fields:
        ethernet["ethernet-destination"] = {"address": str(fields["eth_dst"]).upper()}
    match: dict[str, object] = {"ethernet-match": ethernet} if ethernet else {}
    if "in_port" in fields:
        match["in-port"] = f"openflow:{dpid}:{fields['in_port']}"
    if "ipv6_label" in fields:
        match["ipv6-label"] = {"ipv6-flabel": fields["ipv6_label"]}
    if "ip_dscp" in fields:
        match["ip-match"] = {"ip-dscp": fields["ip_dscp"]}
    names = {"ipv6_src": "source", "ipv6_dst": "destination"}
    halves = {half: read_masked(str(fields[name])) for name, half in names.items() if name in fields}
    lengths = {half: mask.bit_count() for half, (_, mask) in halves.items()}
    prefixes = all(halves[half][1] == ALL_ONES << (128 - n) & ALL_ONES for half, n in lengths.items())
    for half, (value, mask) in halves.items():
        if prefixes:
            match[f"ipv6-{half}"] = f"{IPv6Address(value)}/{lengths[half]}"
        else:
            match[f"ipv6-{half}-address-no-mask"] = str(IPv6Address(value))
            match[f"ipv6-{half}-arbitrary-bitmask"] = str(IPv6Address(mask))
    applied = [a for a in rule.actions if a.do not in (Do.METER, Do.GOTO)]
    steps: list[dict[str, object]] = []
    if (goto := rule.action(Do.GOTO)) is not None:
        steps.append({"order": 2, "go-to-table": {"table_id": goto}})
    if applied:
        shown = [{"order": order, **_action_shown(action)} for order, action in enumerate(applied)]
        steps.append({"order": 1, "apply-actions": {"action": list(reversed(shown))}})
    if (meter := rule.action(Do.METER)) is not None:
        steps.append({"order": 0, "meter": {"meter-id": meter}})
    return {
        "table_id": rule.table,
        "priority": rule.priority,
        "cookie": rule.cookie,
        "match": match,
        "instructions": {"instruction": steps},
    }


def _action_shown(action: Action) -> dict[str, object]:
    match action:
        case Action(Do.OUTPUT, port):
            name = "INPORT" if port == IN_PORT else str(port)
            return {"output-action": {"output-node-connector": name, "max-length": 65535}}
        case Action(Do.GROUP, number):
            return {"group-action": {"group-id": number}}
        case Action(Do.QUEUE, number):
            return {"set-queue-action": {"queue-id": number}}
        case Action(Do.DECREMENT):
            return {"dec-nw-ttl": {}}
        case Action(Do.HOPS, hops):
            return {"set-nw-ttl-action": {"nw-ttl": hops}}
        case Action(Do.SET, mac, "eth_dst"):
            return {"set-field": {"ethernet-match": {"ethernet-destination": {"address": str(mac).upper()}}}}
        case Action(Do.SET, label, "ipv6_label"):
            return {"set-field": {"ipv6-label": {"ipv6-flabel": label}}}
        case Action(Do.SET, mark, "ip_dscp"):
            return {"set-field": {"ip-match": {"ip-dscp": mark}}}
        case Action(Do.SET, address, field):
            return {"set-field": {"ipv6-source" if field == "ipv6_src" else "ipv6-destination": f"{address}/128"}}
    raise AssertionError(action)


def _group_shown(group: Group) -> dict[str, object]:
    types = {"indirect": "group-indirect", "failover": "group-ff"}
    return {
        "group-id": group.id,
        "group-type": types[group.type],
        "buckets": {
            "bucket": [
                {
                    "bucket-id": number,
                    "watch_port": bucket.watch or 4294967295,
                    "watch_group": 4294967295,
                    "action": [{"order": n, **_action_shown(action)} for n, action in enumerate(bucket.actions)],
                }
                for number, bucket in enumerate(group.buckets)
            ]
        },
    }


def _meter_shown(meter: Meter) -> dict[str, object]:
    bands = [{"band-id": 0, "drop-rate": meter.kbps, "drop-burst-size": meter.kbps}]
    return {"meter-id": meter.id, "flags": "meter-kbps", "meter-band-headers": {"meter-band-header": bands}}
