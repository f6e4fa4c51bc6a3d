"""Speaks the provider protocol for an SDN fabric."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock
from typing import ClassVar

from msgspec.structs import replace

from providers.base import (
    Context,
    Finding,
    Health,
    Kind,
    Mark,
    PermanentError,
    Present,
    Scope,
    Snapshot,
)
from providers.sdn import core, detours, services
from providers.sdn.controller import Controller
from providers.sdn.examine import examine
from providers.sdn.expand import expand, foundation, read_shape
from providers.sdn.hand import Hand, Work, detour_work, work_of
from providers.sdn.kinds import KINDS, PROVIDER
from providers.sdn.ledger import Ledger, Record
from providers.sdn.marks import cookie_of, kind_of, owner
from providers.sdn.objects import Objects
from providers.sdn.ovsdb import Database, Ovsdb
from providers.sdn.settings import Settings, connect, read_settings
from providers.sdn.sight import Sight
from providers.sdn.topology import Fabric, Port, read_fabric
from providers.sdn.watching import Watcher
from specs.model import Address, Deployment, Resource, Role, Site, parse_address


class Sdn:
    """One binding to the controller of a fabric."""

    name: ClassVar[str] = PROVIDER
    roles: ClassVar[frozenset[Role]] = frozenset({Role.NETWORK})
    kinds: ClassVar[Mapping[str, Kind]] = KINDS

    def __init__(
        self,
        context: Context,
        open_controller: Callable[[Settings], Controller] = connect,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        open_database: Callable[[str, float], Database] = Ovsdb,
    ) -> None:
        self._context, self._binding, self._site = context, context.binding.name, context.site
        self._settings = read_settings(context.site, context.binding)
        self._controller = open_controller(self._settings)
        if self._settings.follow_devices and not self._controller.devices_possible:
            raise PermanentError(
                f"binding {self._binding} of {self._site.name}: {self._controller.name} is not asked where devices are;"
                " take follow_devices out, or use ryu"
            )
        self._open_database = open_database
        self._ledger = Ledger(context.state_dir / f"sdn-{context.site.name}-{context.binding.name}.jsonl", clock)
        self._locks: dict[int, Lock] = {}
        self._lock = Lock()
        self._watcher: Watcher | None = None

    @cached_property
    def fabric(self) -> Fabric:
        """The fabric as the site draws it; `SpecError` if it cannot be one."""
        return read_fabric(self._site)

    @cached_property
    def _databases(self) -> Mapping[str, Database]:
        seconds = self._settings.timeout.total_seconds()
        targets = {bridge.ovsdb for bridge in self.fabric.bridges.values() if bridge.ovsdb}
        return {target: self._open_database(target, seconds) for target in sorted(targets)}

    @cached_property
    def _sight(self) -> Sight:
        return Sight(
            self._controller,
            self.fabric,
            self._ledger,
            self._databases,
            full_look=self._settings.full_look,
            clock=time.monotonic,
            follows=self._settings.follow_devices,
        )

    @cached_property
    def _hand(self) -> Hand:
        return Hand(self._controller, self._databases, self._sight)

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self._sight, self._ledger)

    @property
    def down(self) -> frozenset[str]:
        """The links that carried nothing when they were last looked at."""
        return self._sight.down

    # --- what is wanted ---

    def foundation(self, site: Site) -> Iterable[Resource]:
        """Give the switches and the ports."""
        detours, follows = self._settings.fast_failover, self._settings.follow_devices
        return foundation(site, self.fabric, self._binding, detours=detours, follows=follows)

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Give names and trees."""
        return expand(deployment, self.fabric, self._settings.prefix, self._binding)

    # --- looking ---

    def observe(self, scope: Scope) -> Snapshot:
        """Count on every switch, and list where the numbers moved."""
        own = owner(scope.repository, scope.site)
        with self._lock:
            self._sight.refresh(own)
            self._watch()
        self._hand.wanted = {cookie_of(scope.repository, a): resource for a, resource in scope.wanted.items()}
        foreign = [found for found, _, _ in self._objects.foreign(own)] if scope.unmanaged else []
        return Snapshot(
            present=sorted(self._objects.presents(scope), key=lambda present: present.address),
            unknown=self._unknown(),
            foreign=tuple(foreign),
            findings=self._sight.cabling.findings,
        )

    def _unknown(self) -> dict[str, str]:
        silent = self._sight.silent
        if silent and silent.keys() == self.fabric.bridges.keys():
            return {"*": silent[min(silent)]}
        found = {f"port@{name}": why for name, why in self._sight.unshaped.items()}
        found |= {f"{kind}@{name}": why for name, why in silent.items() for kind in ("switch", "port", "detour")}
        for place in self.fabric.places.values():
            if place.port.switch in silent:
                found |= {f"{kind}@{place.name}": silent[place.port.switch] for kind in ("name", "path")}
        return found

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        """Look for names two functions claim and limits the controller cannot set."""
        return examine(wanted, snapshot, self._controller, self._sight.shapes)

    # --- writing ---

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Write the rules; those that are there already stay."""
        return self._put(resource, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Write the rules that differ, let in by the new ones, then remove the old ones."""
        cookie = cookie_of(mark.repository, mark.address)
        self._look_once(mark)
        if not self._sight.rules_of(cookie):
            raise PermanentError(f"{current.provider_id} is not there any more")
        return self._put(resource, mark)

    def delete(self, current: Present) -> Present | None:
        """Remove the rules that carry the mark."""
        mark = current.mark
        self._look_once(mark)
        parts = parse_address(mark.address)
        lost = parts.service == "-" and parts.node == "lost"
        cookie = int(parts.name, 16) if lost else cookie_of(mark.repository, mark.address)
        if owner(mark.repository, parts.site) != cookie & ~((1 << 44) - 1):
            raise PermanentError(f"{mark.address} is not ours")
        with self._lock_of(cookie):
            ports = self._ports_held(cookie)
            for port in ports:
                self._hand.shape(port, cookie, None)
            self._hand.drop(cookie)
            for port, bit in ports.items():
                self._ledger.rest_bit(str(port), self.fabric.area(port.switch), bit)
            if self._sight.rules_of(cookie):
                return replace(current, health=Health.PROGRESSING, reason="the controller still shows it")
            self._ledger.forget(cookie)
        return None

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put our cookie on rules of somebody else."""
        own = owner(mark.repository, parse_address(mark.address).site)
        with self._lock:
            self._sight.refresh(own, everything=True)
        for found, _, rules in self._objects.foreign(own):
            if found.provider_id == provider_id and found.kind == resource.kind:
                cookie = cookie_of(mark.repository, mark.address)
                self._hand.mark(cookie, rules)
                self._remember(cookie, resource, mark, provider_id)
                return self._objects.present(mark.repository, cookie, mark.address, resource)
        raise PermanentError(f"{provider_id} is not in the fabric, or it is no {resource.kind}")

    def close(self) -> None:
        """Let go of the controller."""
        if self._watcher is not None:
            self._watcher.close()
        self._controller.close()

    # --- steps ---

    def _watch(self) -> None:
        """Begin to watch at the first look, where somebody waits for news."""
        stir = self._context.stir
        if stir is not None and self._watcher is None and self._settings.watch:
            self._watcher = Watcher(self._controller, stir, self._settings.watch)

    def _put(self, resource: Resource, mark: Mark) -> Present:
        cookie = cookie_of(mark.repository, mark.address)
        own = owner(mark.repository, parse_address(mark.address).site)
        self._look_once(mark)
        with self._lock_of(cookie):
            self._hand.put(cookie, own, self._work(resource, cookie))
            self._remember(cookie, resource, mark, "")
            if resource.kind == "port":
                self._hand.shape(_port(resource), cookie, read_shape(cookie, resource.properties))
            made = self._objects.present(mark.repository, cookie, mark.address, resource)
            self._remember(cookie, resource, mark, made.provider_id)
            return made

    def _work(self, resource: Resource, cookie: int) -> Work:
        _settled(resource)
        there = bool(self._sight.rules_of(cookie))
        rank = self._objects.thing(cookie, resource.kind).rank if there else 0
        match resource.kind:
            case "switch":
                name, length = str(resource.properties["switch"]), int(str(resource.properties["tables"]))
                return Work(rules={name: [rule.owned(cookie) for rule in core.chain(length, rank)]})
            case "port":
                return self._port_work(resource, cookie, rank)
            case "detour":
                return self._detour_work(resource, cookie, rank)
        known = {flow.key: flow.label for flow in self._sight.reading(cookie).flows} if there else {}
        planned = services.plan(
            resource.kind,
            resource.properties,
            self.fabric,
            self._sight.down,
            lambda key: known.get(key) or self._sight.label((cookie, *key)),
            self._sight.roaming,
        )
        return work_of(planned.flows, self._sight.wiring, rank, cookie)

    def _port_work(self, resource: Resource, cookie: int, rank: int) -> Work:
        port = _port(resource)
        bit = self._sight.wiring.bits[port]
        self._ledger.keep_bit(str(port), bit)
        trunk, turns = port in self.fabric.peers, resource.properties.get("turns_back") is True
        shape = read_shape(cookie, resource.properties)
        queues = [queue.number for queue in shape.queues] if shape is not None else []
        reports = resource.properties.get("reports") is True
        rules = core.exit_rules(port.number, bit, trunk=trunk, turns=turns, rank=rank, queues=queues, reports=reports)
        return Work(rules={port.switch: [rule.owned(cookie) for rule in rules]})

    def _detour_work(self, resource: Resource, cookie: int, rank: int) -> Work:
        port = _port(resource)
        ports = detours.detour_ports(self.fabric, port)
        if not ports:
            raise PermanentError(f"there is no way round {port} any more; add a link, or switch fast_failover off")
        return detour_work(detours.detour(port, ports, self._sight.wiring, rank), cookie)

    def _ports_held(self, cookie: int) -> dict[Port, int]:
        if kind_of(cookie) != "port":
            return {}
        rules = self._sight.rules_of(cookie)
        return {Port(switch, n): bit for switch, own in rules.items() for n, bit in core.bits_held(own).items()}

    def _remember(self, cookie: int, resource: Resource, mark: Mark, provider_id: str) -> None:
        names = resource.properties.get("fqdn")
        before = self._ledger.record(cookie)
        kept = provider_id or (before.provider_id if before else "")
        fqdn = tuple(map(str, names)) if isinstance(names, list) else ()
        self._ledger.remember(cookie, Record(mark.address, mark.digest, kept, fqdn))

    def _look_once(self, mark: Mark) -> None:
        """Look before the first write of a process: what is there decides about bits, labels and room."""
        with self._lock:
            if not self._sight.looked:
                self._sight.refresh(owner(mark.repository, parse_address(mark.address).site))

    def _lock_of(self, cookie: int) -> Lock:
        with self._lock:
            return self._locks.setdefault(cookie, Lock())


def _port(resource: Resource) -> Port:
    return Port(str(resource.properties["switch"]), int(str(resource.properties["port"])))


def _settled(resource: Resource) -> None:
    """Refuse references that are not put in: a fault of whoever calls."""
    if resource.references:
        raise PermanentError(f"{resource.address} refers to {resource.references[0].target}, which is not known yet")
