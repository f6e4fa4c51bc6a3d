"""A Floodlight as its source describes it: text everywhere, always 200, names instead of cookies, deletes later.

Only what the provider may use is there, and that is held to strictly: an unknown key, a number or an unknown word is
refused as Floodlight refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv6Address

from providers.sdn.controller import Change
from providers.sdn.rules import Action, Bucket, Do, Group, Rule, plain_match
from tests.testbed.sdn.doubles import Reply, Request
from tests.testbed.sdn.simulator import Simulator

APP = 10 << 52
"""The application number in the cookies of the static entry pusher."""
FLOW_KEYS = frozenset(
    {"switch", "name", "table", "priority", "active", "instruction_apply_actions", "instruction_goto_table", "eth_type"}
    | {"eth_dst", "ipv6_src", "ipv6_dst", "ipv6_label", "ip_dscp", "in_port"}
)
GROUP_KEYS = frozenset({"switch", "name", "entry_type", "active", "group_id", "group_type", "group_buckets"})
IN_PORT = 0xFFFFFFF8


@dataclass
class FloodlightDouble:
    """The controller."""

    simulator: Simulator
    lag: int = 2
    """How many requests a delete waits for."""
    entries: dict[str, dict[str, object]] = field(default_factory=dict)
    _late: list[tuple[int, str]] = field(default_factory=list)
    _count: int = 0
    down: bool = False

    def answer(self, request: Request) -> Reply:
        """Answer as Floodlight does."""
        self._count += 1
        self._catch_up()
        if self.down:
            return Reply(503)
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["wm", "staticentrypusher", "json"]:
                return Reply(200, {"status": self._push(request.body)})
            case "DELETE", ["wm", "staticentrypusher", "json"]:
                return Reply(200, {"status": self._delete(request.body)})
            case "GET", ["wm", "staticentrypusher", "list", dpid, "json"]:
                return Reply(200, {dpid: [{name: self._shown(e)} for name, e in self._of(dpid).items()]})
            case "GET", ["wm", "core", "controller", "switches", "json"]:
                return Reply(
                    200,
                    [{"inetAddress": "/127.0.0.1:49152", "switchDPID": _text(d)} for d in self.simulator.switches()],
                )
            case "GET", ["wm", "core", "switch", dpid, "flow", "json"]:
                if _number(dpid) in self.simulator.gone:
                    return Reply(200, {dpid: {}})
                return Reply(200, {dpid: {"flows": [_flow(r) for r in self.simulator.rules(_number(dpid))]}})
            case "GET", ["wm", "core", "switch", dpid, "port-desc", "json"]:
                return Reply(200, {"version": "OF_13", "portDesc": self._ports(_number(dpid))})
            case "GET", ["wm", "topology", "links", "json"]:
                return Reply(200, self._links())
        return Reply(404, {"code": 404})

    def reconnect(self, dpid: int) -> None:
        """A switch comes back: Floodlight wipes its tables and pushes its entries again."""
        self.simulator.restart(dpid)
        for kind in ("group", "flow"):
            for entry in self._of(_text(dpid)).values():
                if entry.get("entry_type", "flow") == kind:
                    self._send(entry)

    # --- the pusher ---

    def _push(self, body: object) -> str:
        if not isinstance(body, dict) or "name" not in body:
            return "Error! Could not parse flow mod, see log for details."
        group = body.get("entry_type") == "group"
        plain = {key: value for key, value in body.items() if key != "group_buckets"}
        if not all(isinstance(value, str) for value in plain.values()):
            return "Error! Could not parse flow mod, see log for details."
        if unknown := body.keys() - (GROUP_KEYS if group else FLOW_KEYS):
            return f"Warning! Unexpected key {min(unknown)}. The flow has been discarded."
        if (
            not group
            and body.keys() & {"ipv6_src", "ipv6_dst", "ipv6_label"}
            and body.get("eth_type") not in ("0x86dd", "34525")
        ):
            return "Warning! Must specify eth_type of IPv6. The flow has been discarded."
        try:
            self._send(body)
        except (ValueError, KeyError):
            return "Error! Could not parse flow mod, see log for details."
        self.entries[str(body["name"])] = body
        return "Entry pushed"

    def _delete(self, body: object) -> str:
        name = str(body["name"]) if isinstance(body, dict) else ""
        self._late.append((self._count + self.lag, name))
        return f"Entry {name} deleted"

    def _catch_up(self) -> None:
        due = [name for when, name in self._late if when <= self._count]
        self._late = [(when, name) for when, name in self._late if when > self._count]
        for name in due:
            entry = self.entries.pop(name, None)
            if entry is None:
                continue
            dpid = _number(str(entry["switch"]))
            if entry.get("entry_type") == "group":
                self.simulator.write(dpid, Change(gone_groups=(int(str(entry["group_id"])),)))
            else:
                # A delete names table, priority and match, not the cookie: whoever's rule is there goes.
                there = self.simulator.boxes[dpid].rules.get(_rule(entry).key)
                self.simulator.write(dpid, Change(gone_rules=(there,) if there else ()))

    def _send(self, entry: dict[str, object]) -> None:
        dpid = _number(str(entry["switch"]))
        if entry.get("entry_type") == "group":
            group = _group(entry)
            new = group.id not in self.simulator.boxes[dpid].groups
            self.simulator.write(dpid, Change(groups=(group,)) if new else Change(changed_groups=(group,)))
        else:
            self.simulator.write(dpid, Change(rules=(_rule(entry),)))

    def _of(self, dpid: str) -> dict[str, dict[str, object]]:
        return {name: entry for name, entry in self.entries.items() if entry["switch"] == dpid}

    @staticmethod
    def _shown(entry: dict[str, object]) -> dict[str, object]:
        if entry.get("entry_type") == "group":
            shown = {"group_number": entry["group_id"], "group_type": entry["group_type"]}
            return {"version": "OF_13", "command": "ADD", **shown, "group_buckets": entry["group_buckets"]}
        rule = _rule(entry)
        return {**_flow(rule), "command": "ADD", "outPort": "any"}

    # --- the rest ---

    def _ports(self, dpid: int) -> list[dict[str, str]]:
        up = self.simulator.ports(dpid)
        local = {"portNumber": "local", "name": "br", "config": "1", "state": "1"}
        return [local, *({"portNumber": str(n), "config": "0", "state": "0" if ok else "1"} for n, ok in up.items())]

    def _links(self) -> list[dict[str, object]]:
        wires = {((w.source, w.source_port), (w.target, w.target_port)) for w in self.simulator.wires()}
        found = []
        for here, there in sorted(wires):
            both = (there, here) in wires
            if not both or here < there:
                ends = {
                    "src-switch": _text(here[0]),
                    "src-port": here[1],
                    "dst-switch": _text(there[0]),
                    "dst-port": there[1],
                }
                found.append({**ends, "type": "internal", "direction": "bidirectional" if both else "unidirectional"})
        return found


def _text(dpid: int) -> str:
    return ":".join(f"{dpid:016x}"[place : place + 2] for place in range(0, 16, 2))


def _number(dpid: str) -> int:
    return int(dpid.replace(":", ""), 16)


def _rule(entry: dict[str, object]) -> Rule:
    texts = {key: str(value) for key, value in entry.items()}
    match: dict[str, int | str] = {}
    for key in ("eth_type", "in_port", "ipv6_label", "ip_dscp"):
        if key in texts:
            match[key] = int(texts[key], 0)
    for key in ("eth_dst", "ipv6_src", "ipv6_dst"):
        if key in texts:
            match[key] = texts[key]
    actions = [_action(word) for word in texts.get("instruction_apply_actions", "").split(",") if word]
    if "instruction_goto_table" in texts:
        actions.append(Action(Do.GOTO, int(texts["instruction_goto_table"])))
    name = int.from_bytes(blake2b(texts["name"].encode(), digest_size=4).digest(), "big")
    return Rule(int(texts["table"]), int(texts["priority"]), plain_match(match), tuple(actions), APP | name)


def _action(word: str) -> Action:
    if found := re.fullmatch(r"output=(\d+|in_port)", word):
        return Action(Do.OUTPUT, IN_PORT if found[1] == "in_port" else int(found[1]))
    if found := re.fullmatch(r"group=(\d+)", word):
        return Action(Do.GROUP, int(found[1]))
    if found := re.fullmatch(r"set_queue=(\d+)", word):
        return Action(Do.QUEUE, int(found[1]))
    if found := re.fullmatch(r"set_ip_ttl=(\d+)", word):
        return Action(Do.HOPS, int(found[1]))
    if found := re.fullmatch(r"set_field=(eth_dst|ipv6_src|ipv6_dst|ipv6_label|ip_dscp)->([0-9a-f:]+)", word):
        return Action(Do.SET, int(found[2]) if found[1] in ("ipv6_label", "ip_dscp") else found[2], found[1])
    if word == "dec_ip_ttl":
        return Action(Do.DECREMENT)
    raise ValueError(word)


def _group(entry: dict[str, object]) -> Group:
    types = {"indirect": "indirect", "fast_failover": "failover"}
    buckets = entry["group_buckets"]
    assert isinstance(buckets, list)
    made = []
    for bucket in buckets:
        if bucket.keys() != {"bucket_id", "bucket_watch_group", "bucket_watch_port", "bucket_weight", "bucket_actions"}:
            raise ValueError(bucket)
        watch = bucket["bucket_watch_port"]
        actions = tuple(map(_action, bucket["bucket_actions"].split(",")))
        made.append(Bucket(actions, 0 if watch == "any" else int(watch)))
    return Group(int(str(entry["group_id"])), types[str(entry["group_type"])], tuple(made))


def _flow(rule: Rule) -> dict[str, object]:
    """Show a rule as the switch's statistics do: every number as text, addresses written out again."""
    match = {name: str(value) for name, value in rule.match}
    if "eth_type" in match:
        match["eth_type"] = f"0x{int(match['eth_type']):x}"
    if "ipv6_label" in match:
        match["ipv6_label"] = f"0x{int(match['ipv6_label']):08x}"
    words = [_word(action) for action in rule.actions if action.do is not Do.GOTO]
    goto = rule.action(Do.GOTO)
    does: dict[str, object] = {"instruction_apply_actions": {"actions": ",".join(words)}} if words else {}
    if goto is not None:
        does["instruction_goto_table"] = {"instruction_goto_table": str(goto)}
    return {
        "version": "OF_13",
        "cookie": str(rule.cookie),
        "table_id": hex(rule.table),
        "packet_count": "0",
        "priority": str(rule.priority),
        "flags": ["SEND_FLOW_REM"],
        "match": match,
        "instructions": does or {"none": "drop"},
    }


def _word(action: Action) -> str:
    match action:
        case Action(Do.OUTPUT, port):
            return "output=in_port" if port == IN_PORT else f"output={str(port).lower()}"
        case Action(Do.GROUP, number):
            return f"group={number}"
        case Action(Do.QUEUE, number):
            return f"set_queue={number}"
        case Action(Do.DECREMENT):
            return "dec_ip_ttl"
        case Action(Do.HOPS, hops):
            return f"set_ip_ttl={hops}"
        case Action(Do.SET, value, field):
            shown = str(IPv6Address(str(value))) if field in ("ipv6_src", "ipv6_dst") else value
            return f"set_field={field}->{shown}"
    raise AssertionError(action)
