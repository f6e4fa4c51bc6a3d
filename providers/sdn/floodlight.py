"""Speaks to Floodlight with its static entry pusher.

Every value is text and every entry has a name, by which it is owned: the cookies we give are not kept. All answers are
200 and say in their text what happened; deletes happen later. What a switch holds is read from the switch, whose it is
from the name of the entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import ClassVar, Final

from providers.base import PermanentError, TransientError
from providers.sdn.controller import Change, Wire
from providers.sdn.http import Web, expect, items, mapping, text, whole
from providers.sdn.rules import IN_PORT, Action, Bucket, Do, Group, Match, Meter, Rule, plain_match

_PUSHER: Final = "/wm/staticentrypusher"
_NUMBERS: Final = frozenset({"in_port", "eth_type", "ipv6_label", "ip_dscp", "ip_proto"})
_TYPES: Final = {"indirect": "indirect", "failover": "fast_failover", "all": "all", "select": "select"}


class Floodlight:
    """A Floodlight controller."""

    name: ClassVar[str] = "floodlight"
    counts: ClassVar[bool] = False
    meters_possible: ClassVar[bool] = False
    devices_possible: ClassVar[bool] = False
    lag: ClassVar[timedelta] = timedelta(seconds=5)

    def __init__(self, web: Web) -> None:
        self._web = web

    def switches(self) -> frozenset[int]:
        """Ask for the connected switches."""
        found = items(self._get("/wm/core/controller/switches/json", "list its switches"))
        return frozenset(_number(text(mapping(switch).get("switchDPID"))) for switch in found)

    def rules(self, dpid: int, cookie: int = 0, mask: int = 0) -> tuple[Rule, ...]:
        """Ask the switch for its rules, and the pusher for their names before and after: both change meanwhile."""
        before = self._names(dpid)
        answer = mapping(self._get(f"/wm/core/switch/{_dpid(dpid)}/flow/json", f"read switch {dpid:x}"))
        flows = mapping(answer.get(_dpid(dpid), answer)).get("flows")
        if not isinstance(flows, list):
            raise TransientError(f"switch {dpid:x} does not answer the controller")
        owners = {key: own for key, own, _ in (*before, *self._names(dpid))}
        found = [_rule(mapping(flow)) for flow in flows]
        marked = [rule.owned(owners.get(_key(rule), rule.cookie)) for rule in found]
        return tuple(rule for rule in marked if rule.cookie & mask == cookie & mask)

    def count(self, dpid: int, cookie: int, mask: int) -> int:
        """Count what is listed: Floodlight sums up without looking at cookies."""
        return len(self.rules(dpid, cookie, mask))

    def groups(self, dpid: int) -> Mapping[int, Group]:
        """Ask the pusher for its groups: what the switch tells of them leaves out what they do."""
        entries = (mapping(entry) for _, entry in self._entries(dpid))
        groups = (_group(entry) for entry in entries if "group_number" in entry)
        return {group.id: group for group in groups}

    def meters(self, dpid: int) -> Mapping[int, Meter]:
        """Give none: the pusher cannot make any."""
        return {}

    def ports(self, dpid: int) -> Mapping[int, bool]:
        """Ask the switch for its ports."""
        answer = mapping(self._get(f"/wm/core/switch/{_dpid(dpid)}/port-desc/json", f"read switch {dpid:x}"))
        described = mapping(answer.get(_dpid(dpid), answer)).get("portDesc")
        if not isinstance(described, list):
            raise TransientError(f"switch {dpid:x} does not answer the controller")
        ports = [mapping(port) for port in described]
        return {
            number: not (whole(port.get("config")) | whole(port.get("state"))) & 1
            for port in ports
            if (number := whole(port.get("portNumber"))) > 0
        }

    def wires(self) -> Sequence[Wire]:
        """Ask for links; one that works both ways is listed once."""
        found = []
        for link in map(mapping, items(self._get("/wm/topology/links/json", "list links"))):
            here = _number(text(link.get("src-switch"))), whole(link.get("src-port"))
            there = _number(text(link.get("dst-switch"))), whole(link.get("dst-port"))
            found.append(Wire(*here, *there))
            if link.get("direction") == "bidirectional":
                found.append(Wire(*there, *here))
        return sorted(found)

    def devices(self) -> Mapping[str, tuple[int, int]]:
        """Give none: it is not asked for any."""
        return {}

    def write(self, dpid: int, change: Change) -> None:
        """Push and delete entries, one call each; an entry of another owner in the same place goes first."""
        if change.meters or change.changed_meters:
            raise PermanentError(
                "Floodlight cannot limit flows; ask for no class or bandwidth, or use another controller"
            )
        for group in (*change.groups, *change.changed_groups):
            self._push(_group_entry(dpid, group))
        names = {key: (own, name) for key, own, name in self._names(dpid)} if change.rules or change.gone_rules else {}
        for rule in change.rules:
            own, name = names.get(_key(rule), (rule.cookie, ""))
            if own != rule.cookie:
                self._delete(name)
            self._push(_rule_entry(dpid, rule))
        for rule in change.gone_rules:
            own, name = names.get(_key(rule), (0, ""))
            if own == rule.cookie:
                self._delete(name)
        for number in change.gone_groups:
            self._delete(_group_name(dpid, number))

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def _get(self, path: str, what: str) -> object:
        return expect(self._web.call("GET", path), what, 200).data()

    def _push(self, entry: Mapping[str, object]) -> None:
        said = self._status("POST", entry)
        if "entry pushed" not in said.lower():
            raise PermanentError(f"Floodlight refuses {entry['name']}: {said}")

    def _delete(self, name: str) -> None:
        said = self._status("DELETE", {"name": name})
        if "deleted" not in said.lower():
            raise TransientError(f"Floodlight does not delete {name}: {said}")

    def _status(self, method: str, body: Mapping[str, object]) -> str:
        answer = expect(self._web.call(method, f"{_PUSHER}/json", body), "take an entry", 200)
        return text(mapping(answer.data()).get("status"))

    def _entries(self, dpid: int) -> Iterator[tuple[str, object]]:
        listed = mapping(self._get(f"{_PUSHER}/list/{_dpid(dpid)}/json", "list its entries"))
        for entry in items(listed.get(_dpid(dpid))):
            yield from mapping(entry).items()

    def _names(self, dpid: int) -> list[tuple[str, int, str]]:
        """Give the place, the cookie and the name of every entry that is named as ours are."""
        found = []
        for name, _ in self._entries(dpid):
            match name.split("-"):
                case ["tr", _, place, cookie] if len(cookie) == 16:
                    found.append((place, int(cookie, 16), name))
        return found


# --- writing ---------------------------------------------------------------------------------------


def _dpid(number: int) -> str:
    return number.to_bytes(8, "big").hex(":")


def _number(dpid: str) -> int:
    try:
        return int(dpid.replace(":", ""), 16)
    except ValueError as error:
        raise TransientError(f"Floodlight answered what is no data path id: {dpid!r}") from error


def _key(rule: Rule) -> str:
    return blake2b(repr(rule.key).encode(), digest_size=6).hexdigest()


def _group_name(dpid: int, number: int) -> str:
    return f"tr-{dpid:x}-group-{number}"


def _rule_entry(dpid: int, rule: Rule) -> dict[str, object]:
    entry: dict[str, object] = {
        "switch": _dpid(dpid),
        "name": f"tr-{dpid:x}-{_key(rule)}-{rule.cookie:016x}",
        "table": str(rule.table),
        "priority": str(rule.priority),
        "active": "true",
        **{name: f"{value:#06x}" if name == "eth_type" else str(value) for name, value in rule.match},
    }
    goto, applied = rule.action(Do.GOTO), [action for action in rule.actions if action.do is not Do.GOTO]
    if applied:
        entry["instruction_apply_actions"] = ",".join(map(_action_text, applied))
    if goto is not None:
        entry["instruction_goto_table"] = str(goto)
    return entry


def _action_text(action: Action) -> str:
    match action.do:
        case Do.OUTPUT:
            return "output=in_port" if action.value == IN_PORT else f"output={action.value}"
        case Do.GROUP:
            return f"group={action.value}"
        case Do.QUEUE:
            return f"set_queue={action.value}"
        case Do.DECREMENT:
            return "dec_ip_ttl"
        case Do.HOPS:
            return f"set_ip_ttl={action.value}"
        case Do.SET:
            return f"set_field={action.field}->{action.value}"
    raise PermanentError(f"Floodlight cannot write {action.do} {action.value}")


def _group_entry(dpid: int, group: Group) -> dict[str, object]:
    return {
        "switch": _dpid(dpid),
        "entry_type": "group",
        "name": _group_name(dpid, group.id),
        "active": "true",
        "group_id": str(group.id),
        "group_type": _TYPES[group.type],
        "group_buckets": [
            {
                "bucket_id": str(number),
                "bucket_watch_group": "any",
                "bucket_watch_port": str(bucket.watch) if bucket.watch else "any",
                "bucket_weight": "0",
                "bucket_actions": ",".join(map(_action_text, bucket.actions)),
            }
            for number, bucket in enumerate(group.buckets, 1)
        ],
    }


# --- reading ---------------------------------------------------------------------------------------


def _rule(flow: Mapping[str, object]) -> Rule:
    does = mapping(flow.get("instructions"))
    actions = _actions(text(mapping(does.get("instruction_apply_actions")).get("actions")))
    goto = mapping(does.get("instruction_goto_table")).get("instruction_goto_table")
    onwards = (Action(Do.GOTO, whole(goto)),) if goto is not None else ()
    other = sorted(does.keys() - {"instruction_apply_actions", "instruction_goto_table", "none"})
    return Rule(
        table=whole(flow.get("table_id", flow.get("tableId"))),
        priority=whole(flow.get("priority")),
        match=_match(mapping(flow.get("match"))),
        actions=(*actions, *(Action(Do.OTHER, f"{name} {does[name]}") for name in other), *onwards),
        cookie=whole(flow.get("cookie")) & ((1 << 64) - 1),
    )


def _match(fields: Mapping[str, object]) -> Match:
    try:
        return plain_match({name: whole(value) if name in _NUMBERS else str(value) for name, value in fields.items()})
    except ValueError as error:
        raise TransientError(f"Floodlight answered what is no match: {fields}") from error


def _actions(written: str) -> tuple[Action, ...]:
    return tuple(map(_action, filter(None, written.split(","))))


def _action(written: str) -> Action:
    verb, _, value = written.strip().partition("=")
    field, arrow, content = value.partition("->")
    match verb:
        case "output" if value in ("in_port", "-8"):
            return Action(Do.OUTPUT, IN_PORT)
        case "output":
            return Action(Do.OUTPUT, whole(value) if value.isdigit() else value)
        case "group":
            return Action(Do.GROUP, whole(value))
        case "set_queue":
            return Action(Do.QUEUE, whole(value))
        case "dec_ip_ttl":
            return Action(Do.DECREMENT)
        case "set_ip_ttl":
            return Action(Do.HOPS, whole(value))
        case "set_field" if arrow:
            return Action(Do.SET, whole(content) if field in _NUMBERS else content.lower(), field)
    return Action(Do.OTHER, written)


def _group(entry: Mapping[str, object]) -> Group:
    types = {theirs: ours for ours, theirs in _TYPES.items()}
    buckets = [mapping(bucket) for bucket in items(entry.get("group_buckets"))]
    return Group(
        whole(entry.get("group_number")),
        types.get(text(entry.get("group_type")), text(entry.get("group_type"))),
        tuple(
            Bucket(_actions(text(bucket.get("bucket_actions"))), max(0, whole(bucket.get("bucket_watch_port"))))
            for bucket in buckets
        ),
    )
