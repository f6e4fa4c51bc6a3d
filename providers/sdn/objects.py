"""Turns what was seen into objects in the words of resources: ours by address, and those of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from providers.base import Foreign, Health, Mark, PermanentError, Present, Scope
from providers.sdn.core import Exit, is_link, read_chain, read_exit
from providers.sdn.detours import detour, detour_ports, read_detour
from providers.sdn.expand import leads_to, shape_words
from providers.sdn.ledger import Ledger, Record
from providers.sdn.marks import OWNER_MASK, cookie_of, kind_of, lost_address, owner
from providers.sdn.rules import Rule
from providers.sdn.services import best_links, called_home, describe
from providers.sdn.sight import Sight
from providers.sdn.topology import Port
from specs.model import Address, Resource, parse_address
from specs.values import Properties, Reference, Value, digest, expressions

RulesBySwitch = Mapping[str, tuple[Rule, ...]]


class Thing(Struct, frozen=True):
    """What the rules of one cookie are."""

    kind: str
    properties: dict[str, Value]
    attributes: dict[str, Value]
    rank: int = 0
    faults: tuple[str, ...] = ()


class Objects:
    """Reads objects out of what was seen."""

    def __init__(self, sight: Sight, ledger: Ledger) -> None:
        self._sight, self._ledger, self._fabric = sight, ledger, sight.fabric

    # --- ours ---

    def presents(self, scope: Scope) -> Iterator[Present]:
        """Give what carries our mark, as far as the switch that says so answered."""
        wanted = {cookie_of(scope.repository, address): resource for address, resource in scope.wanted.items()}
        own = owner(scope.repository, scope.site)
        for cookie in self._sight.cookies():
            if cookie & OWNER_MASK == own and kind_of(cookie) and self.at_home(cookie):
                resource, record = wanted.get(cookie), self._ledger.record(cookie)
                if resource is not None:
                    address = resource.address
                else:
                    address = Address(record.address) if record is not None else lost_address(scope.site, cookie)
                yield self.present(scope.repository, cookie, address, resource)

    def at_home(self, cookie: int) -> bool:
        """Tell whether a switch answered that says that the object is there: one its frames enter by."""
        rules = self._sight.rules_of(cookie)
        if kind_of(cookie) == "switch":
            return any(switch not in self._sight.silent for switch in rules)
        if kind_of(cookie) == "port":
            return any(switch not in self._sight.silent | self._sight.unshaped for switch in rules)
        if kind_of(cookie) == "detour":
            forks = {switch for switch, own in rules.items() if any(rule.table for rule in own)}
            return bool((forks or rules.keys()) - self._sight.silent.keys())
        entries = {switch for switch, own in rules.items() for rule in own if _enters(rule)}
        return bool((entries or rules.keys()) - self._sight.silent.keys())

    def present(self, repository: str, cookie: int, address: Address, resource: Resource | None) -> Present:
        """Say what there is of one object; `resource` is what is wanted of it, if anything is."""
        thing = self.thing(cookie, kind_of(cookie), resource)
        record = self._ledger.record(cookie)
        properties, reason = self._as_wanted(thing, resource)
        names = resource.properties.get("fqdn") if resource is not None else list(record.fqdn) if record else None
        if names and thing.kind == "name":
            properties["fqdn"] = names
        silent = sorted(self._sight.rules_of(cookie).keys() & self._sight.silent.keys())
        health = Health.DEGRADED if thing.faults else Health.UNKNOWN if silent else Health.HEALTHY
        if cookie in self._sight.settling:
            health, reason = Health.PROGRESSING, "the controller does not show it yet"
        return Present(
            provider_id=record.provider_id
            if record and record.provider_id
            else provider_id(thing, properties, resource),
            mark=Mark(repository, address, self._digest(record, properties, resource)),
            properties=properties,
            attributes=thing.attributes,
            health=health,
            reason="; ".join([*thing.faults, *(self._sight.silent[name] for name in silent), reason]).strip("; "),
            seen=digest([properties, thing.attributes]),
        )

    def _digest(self, record: Record | None, properties: Properties, resource: Resource | None) -> str:
        """Give the digest we wrote; without a record that of the wish, if what is there fits it."""
        if record is not None and record.digest:
            return record.digest
        if resource is None:
            return ""
        plain = {n: v for n, v in resource.properties.items() if not any(expressions(v)) and n in properties}
        return resource.digest if all(properties[name] == value for name, value in plain.items()) else ""

    # --- things ---

    def thing(self, cookie: int, kind: str, resource: Resource | None = None) -> Thing:
        """Read what the rules of a cookie are; `resource` is what is wanted of them, if anything is."""
        rules = self._sight.rules_of(cookie)
        match kind:
            case "switch":
                return self._switch(rules)
            case "port":
                return self._port(rules)
            case "detour":
                return self._detour(rules)
        return self._service(cookie, kind, resource)

    def _switch(self, rules: RulesBySwitch) -> Thing:
        switch = min(rules)
        found = read_chain(rules[switch])
        length, rank = found if found is not None else (0, 0)
        properties: dict[str, Value] = {
            "switch": switch,
            "dpid": f"{self._fabric.bridges[switch].dpid:016x}",
            "tables": length,
        }
        faults = () if length else (f"the chain of tables of {switch} has a gap",)
        return Thing("switch", properties, {}, rank, faults)

    def _port(self, rules: RulesBySwitch) -> Thing:
        switch = min(rules)
        found = read_exit(rules[switch])
        if found is None:
            number = max(rule.table for rule in rules[switch])
            faults = (f"rules of a port of {switch} are missing or changed",)
            return Thing("port", {"switch": switch, "port": number}, {}, 0, faults)
        properties: dict[str, Value] = {
            "switch": switch,
            "port": found.port,
            "leads_to": self._behind(Port(switch, found.port), found),
        }
        if found.turns:
            properties["turns_back"] = True
        if found.reports:
            properties["reports"] = True
        shape = self._sight.shapes.get(Port(switch, found.port))
        if shape is not None and shape.cookie == rules[switch][0].cookie:
            properties |= shape_words(shape)
        return Thing("port", properties, {"bit": found.bit}, found.rank)

    def _detour(self, rules: RulesBySwitch) -> Thing:
        found = read_detour(rules)
        if found is None:
            return Thing("detour", {"links": []}, {}, 0, ("the fork of a detour is missing",))
        port, rank = found
        ports = detour_ports(self._fabric, port) if port in self._sight.wiring.bits else None
        wanted = detour(port, ports, self._sight.wiring, rank) if ports else None
        links: list[Value] = [self._fabric.links[step] for step in ports or ()]
        properties: dict[str, Value] = {"switch": port.switch, "port": port.number, "links": links}
        there = {(switch, rule.owned(0)) for switch, own in rules.items() for rule in own}
        groups = {switch: view.groups for switch, view in self._sight.views.items()}
        if wanted is None or there != set(wanted.rules) or any(groups[s].get(g.id) != g for s, g in wanted.groups):
            return Thing("detour", {**properties, "links": []}, {}, rank, (f"the detour round {port} is not whole",))
        return Thing("detour", properties, {}, rank)

    def _behind(self, port: Port, found: Exit) -> str:
        """Name what is behind a port, if it is of the sort the rules were made for."""
        fits = port in self._fabric.links and (port in self._fabric.peers) == found.trunk
        return leads_to(self._fabric, port) if fits else "a switch" if found.trunk else "a place"

    def _service(self, cookie: int, kind: str, resource: Resource | None = None) -> Thing:
        reading = self._sight.reading(cookie)
        flows = reading.flows
        if kind == "name" and resource is not None:
            flows = called_home(flows, resource.properties, self._fabric, self._sight.down, self._sight.roaming)
        properties = describe(kind, flows, self._fabric)
        if reading.flows and not flows and resource is not None:
            # None of its clients is served where it is: still the same name, without clients.
            properties = {name: resource.properties[name] for name in ("address", "at")} | {"clients": []}
        faults = tuple(dict.fromkeys(reading.strays))
        if not properties and not faults:
            faults = ("its rules do not fit together",)
        used = sorted({port for flow in reading.flows for port in (*flow.hops, *(drop.port for drop in flow.drops))})
        attributes: dict[str, Value] = {
            "labels": sorted(flow.label for flow in reading.flows),
            "bits": {str(port): self._sight.wiring.bits[port] for port in used},
        }
        if "links" in properties:
            attributes["links"] = properties["links"]
        if faults:
            properties["links"] = []
        return Thing(kind, properties, attributes, reading.rank, faults)

    def _as_wanted(self, thing: Thing, resource: Resource | None) -> tuple[dict[str, Value], str]:
        """Report the links that were asked for where the best ones there are now are in use instead.

        A link that is down is not reported: the way it was on is not there any more.
        """
        properties = dict(thing.properties)
        links, asked = properties.get("links"), resource.properties.get("links") if resource is not None else None
        if thing.kind == "detour" or not isinstance(links, list) or not isinstance(asked, list) or not links:
            return properties, ""
        if resource is None:
            return properties, ""
        down = self._sight.down
        if links == asked and not down.intersection(links):
            return properties, ""
        try:
            best = best_links(thing.kind, resource.properties, self._fabric, down)
        except PermanentError:
            best = None
        if best is not None and list(best) == links and not down.intersection(links):
            properties["links"] = asked
            blocked = sorted(down.intersection(map(str, asked)))
            return properties, f"goes by {', '.join(links)} while {', '.join(blocked)} is down" if blocked else ""
        properties["links"] = [link for link in links if link not in down]
        return properties, ""

    # --- those of others ---

    def foreign(self, own: int) -> Iterator[tuple[Foreign, int, RulesBySwitch]]:
        """Give what carries no mark of ours, with cookie and rules: object by object as far as it looks like one."""
        for cookie in self._sight.cookies():
            if cookie & OWNER_MASK != own or not kind_of(cookie):
                yield from self._foreign(cookie)

    def _foreign(self, cookie: int) -> Iterator[tuple[Foreign, int, RulesBySwitch]]:
        rules = self._sight.rules_of(cookie)
        if len(rules) == 1:
            ((switch, own),) = rules.items()
            if all(map(is_link, own)):
                thing = self._switch(rules)
                yield self._as_foreign(thing, switch), cookie, rules
                return
            if read_exit(own) is not None:
                thing = self._port(rules)
                yield self._as_foreign(thing, str(Port(switch, int(str(thing.properties["port"]))))), cookie, rules
                return
        if read_detour(rules) is not None:
            thing = self._detour(rules)
            if not thing.faults:
                yield (
                    self._as_foreign(thing, f"round {thing.properties['switch']}:{thing.properties['port']}"),
                    cookie,
                    rules,
                )
                return
        for kind in ("name", "path"):
            thing = self._service(cookie, kind)
            if not thing.faults:
                yield self._as_foreign(thing, str(thing.properties["address"])), cookie, rules
                return
        for switch, own in sorted(rules.items()):
            what = f"{len(own)} rules of cookie {cookie:x} on {switch}"
            yield Foreign("rule", f"rule/{switch}/{cookie:x}", what), cookie, {switch: own}

    def _as_foreign(self, thing: Thing, name: str) -> Foreign:
        return Foreign(thing.kind, provider_id(thing, thing.properties, None), name)


def provider_id(thing: Thing, properties: Properties, resource: Resource | None) -> str:
    """Name an object in the fabric by what it is, with its rank if others may stand beside it."""
    said: dict[str, Value] = dict(resource.properties) if resource is not None else {}
    said |= properties
    rank = f"#{thing.rank}" if thing.rank else ""
    match thing.kind:
        case "detour":
            return f"detour/{said.get('switch')}:{said.get('port')}{rank}"
        case "switch":
            return f"switch/{said.get('switch')}{rank}"
        case "port":
            return f"port/{said.get('switch')}:{said.get('port')}{rank}"
        case "name":
            first = said.get("clients")
            client = first[0] if isinstance(first, list) and first and not isinstance(first[0], Reference) else ""
            return f"name/{said.get('at')}/{said.get('address')}/{client}{rank}"
    return f"path/{said.get('cluster')}/{said.get('address')}{rank}"


def _enters(rule: Rule) -> bool:
    return rule.table == 0 and rule.field("ipv6_label") is None and rule.field("eth_dst") is None


def place_of(address: Address) -> str:
    """Tell the switch or place an address speaks of."""
    return parse_address(address).cluster
