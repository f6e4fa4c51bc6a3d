"""Whatever the fabric: bits stay, flows survive being rules, frames come where they should and nowhere else."""

from __future__ import annotations

from ipaddress import IPv6Address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.sdn import core
from providers.sdn.bits import CAPACITY, BitsExhausted, allocate, pack, unpack
from providers.sdn.controller import Change
from providers.sdn.detours import detour, detour_ports
from providers.sdn.edge import Drop, Flow, Wiring, parts, read
from providers.sdn.routes import Bounds, tree, way, ways
from providers.sdn.rules import MARKED, Rule
from providers.sdn.services import describe
from providers.sdn.topology import Fabric, Port, read_fabric
from tests.testbed.sdn.simulator import Frame, Simulator
from tests.testbed.sdn.sites import city

PORTS = st.lists(st.integers(0, 9999).map("s{}".format), unique=True, max_size=60)


# --- bits ------------------------------------------------------------------------------------------


@given(PORTS, PORTS)
def test_a_port_keeps_its_bit_when_others_come(first: list[str], later: list[str]) -> None:
    before = allocate({}, first)
    after = allocate(before, [*first, *later])

    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)


@given(PORTS, st.randoms(use_true_random=False))
def test_the_order_of_ports_does_not_matter(ports: list[str], random: Random) -> None:
    mixed = random.sample(ports, len(ports))

    assert allocate({}, mixed) == allocate({}, ports)


@given(PORTS, st.sets(st.integers(0, CAPACITY - 1), max_size=180))
def test_a_resting_bit_is_given_to_nobody(ports: list[str], resting: set[int]) -> None:
    assert not set(allocate({}, ports, resting).values()) & resting


def test_every_bit_can_be_given_and_no_more() -> None:
    given_out = allocate({}, (str(number) for number in range(CAPACITY)))

    assert set(given_out.values()) == set(range(CAPACITY))
    with pytest.raises(BitsExhausted, match="all 256 bits are taken"):
        allocate(given_out, ["one more"])


@given(st.sets(st.integers(0, CAPACITY - 1)))
def test_bits_survive_in_addresses(bits: set[int]) -> None:
    assert unpack(*pack(bits)) == bits


# --- ways ------------------------------------------------------------------------------------------

CITIES = st.builds(
    city,
    areas=st.integers(1, 4),
    switches=st.integers(2, 6),
    extra=st.integers(0, 4),
    seed=st.integers(0, 999),
)


@given(CITIES.map(read_fabric), st.data())
def test_a_cheapest_way_is_as_cheap_as_any_walk(fabric: Fabric, data: st.DataObject) -> None:
    source, target = (data.draw(st.sampled_from(sorted(fabric.places))) for _ in range(2))
    found = way(fabric, source, target)
    costs = {fabric.places[source].port.switch: 0.0}
    for _ in fabric.bridges:
        for trunk in fabric.trunks.values():
            for here, there in (trunk.ends, trunk.ends[::-1]):
                if here.switch in costs:
                    known = costs.get(there.switch, float("inf"))
                    costs[there.switch] = min(known, costs[here.switch] + trunk.cost)

    assert found is not None
    assert found.cost - 1 - (source != target) == costs[fabric.places[target].port.switch]


@given(CITIES.map(read_fabric), st.integers(3, 40), st.data())
def test_a_bounded_way_keeps_its_bound_and_is_found_if_there_is_one(
    fabric: Fabric, limit: int, data: st.DataObject
) -> None:
    source, target = (data.draw(st.sampled_from(sorted(fabric.places))) for _ in range(2))
    bounded = way(fabric, source, target, Bounds(max_latency_ms=limit))
    free = way(fabric, source, target)
    by_latency = Fabric(
        bridges=fabric.bridges,
        places=fabric.places,
        trunks={n: type(t)(name=n, ends=t.ends, cost=t.latency_ms, latency_ms=t.latency_ms, bandwidth_mbps=1)
                for n, t in fabric.trunks.items()},
    )  # fmt: skip
    quickest = way(by_latency, source, target)

    assert free is not None
    assert quickest is not None
    assert (bounded is not None) == (quickest.latency_ms <= limit)
    if bounded is not None:
        assert bounded.latency_ms <= limit
        assert bounded.cost >= free.cost


@given(CITIES.map(read_fabric), st.data())
def test_what_is_down_or_avoided_is_not_used(fabric: Fabric, data: st.DataObject) -> None:
    source, target = (data.draw(st.sampled_from(sorted(fabric.places))) for _ in range(2))
    links = data.draw(st.sets(st.sampled_from(sorted(fabric.trunks)), max_size=3)) if fabric.trunks else set()
    round_it = way(fabric, source, target, Bounds(), frozenset(links))
    avoiding = way(fabric, source, target, Bounds(avoid=frozenset(links)))

    assert round_it == avoiding
    assert round_it is None or not links & set(round_it.links)


# --- rules -----------------------------------------------------------------------------------------


def wired(fabric: Fabric) -> Wiring:
    """Give every port its bit."""
    bits: dict[Port, int] = {}
    for area in {bridge.area for bridge in fabric.bridges.values()}:
        ports = fabric.ports_of(area)
        given_out = allocate({}, map(str, ports))
        bits |= {port: given_out[str(port)] for port in ports}
    return Wiring(fabric, bits)


def with_core(wiring: Wiring, *, turns: bool = False) -> Simulator:
    """Build the fabric with the rules that depend on nothing but the topology."""
    fabric = wiring.fabric
    simulator = Simulator(fabric)
    for bridge in fabric.bridges.values():
        rules = list(core.chain(bridge.highest_port))
        for port in (port for port in fabric.links if port.switch == bridge.name):
            trunk = port in fabric.peers
            rules += core.exit_rules(port.number, wiring.bits[port], trunk=trunk, turns=turns and trunk)
        simulator.write(bridge.dpid, Change(rules=tuple(rules)))
    return simulator


def multicast(fabric: Fabric, source: str, targets: list[str], label: int = 7) -> Flow:
    """Give the flow of a tree."""
    grown, missed = tree(fabric, source, targets)
    assert not missed
    drops = tuple(sorted(Drop(fabric.places[name].port, "fd00::1", "ff15::9", "33:33:00:00:00:09") for name in targets))
    return Flow(
        entry=fabric.places[source].port,
        source="fd00::1",
        destination="ff15::9",
        hops=grown.hops,
        drops=drops,
        label=label,
    )


def install(simulator: Simulator, flow: Flow, wiring: Wiring) -> None:
    """Write the rules of a flow."""
    made = parts(flow, wiring)
    for switch, group in made.groups:
        simulator.write(wiring.fabric.bridges[switch].dpid, Change(groups=(group,)))
    for switch, rule in made.rules:
        simulator.write(wiring.fabric.bridges[switch].dpid, Change(rules=(rule,)))


@settings(deadline=None)
@given(CITIES.map(read_fabric), st.data())
def test_a_tree_comes_to_its_receivers_once_and_to_nobody_else(fabric: Fabric, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(sorted(fabric.places)))
    targets = data.draw(st.sets(st.sampled_from(sorted(fabric.places)), min_size=1, max_size=5))
    wiring = wired(fabric)
    simulator = with_core(wiring)
    install(simulator, multicast(fabric, source, sorted(targets)), wiring)
    got = simulator.send(fabric.places[source].port, Frame(source="fd00::1", destination="ff15::9"))

    assert [port for port, _ in got] == sorted(fabric.places[name].port for name in targets)
    assert {(f.source, f.destination, f.mac, f.label) for _, f in got} == {
        ("fd00::1", "ff15::9", "33:33:00:00:00:09", 0)
    }


@settings(deadline=None)
@given(CITIES.map(read_fabric), st.data())
def test_flows_survive_being_rules(fabric: Fabric, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(sorted(fabric.places)))
    targets = sorted(data.draw(st.sets(st.sampled_from(sorted(fabric.places)), min_size=1, max_size=5)))
    flow, wiring = multicast(fabric, source, targets), wired(fabric)
    made = parts(flow, wiring)
    by_switch: dict[str, list[Rule]] = {}
    for switch, rule in made.rules:
        by_switch.setdefault(switch, []).append(rule)
    groups = {(switch, group.id): group for switch, group in made.groups}
    found = read(by_switch, lambda switch, number: groups.get((switch, number)), lambda switch, number: 0, wiring)

    assert found.flows == (flow,)
    assert not found.strays
    assert describe("path", found.flows, fabric)["clients"] == targets


@settings(deadline=None)
@given(CITIES.map(read_fabric), st.data())
def test_a_missing_rule_is_noticed(fabric: Fabric, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(sorted(fabric.places)))
    targets = sorted(data.draw(st.sets(st.sampled_from(sorted(fabric.places)), min_size=1, max_size=4)))
    flow, wiring = multicast(fabric, source, targets), wired(fabric)
    made = parts(flow, wiring)
    lost = data.draw(st.integers(0, len(made.rules) - 1))
    by_switch: dict[str, list[Rule]] = {}
    for switch, rule in (*made.rules[:lost], *made.rules[lost + 1 :]):
        by_switch.setdefault(switch, []).append(rule)
    groups = {(switch, group.id): group for switch, group in made.groups}
    found = read(by_switch, lambda switch, number: groups.get((switch, number)), lambda switch, number: 0, wiring)

    assert found.strays or found.flows != (flow,)


@settings(deadline=None, max_examples=50)
@given(
    st.builds(city, areas=st.integers(1, 2), switches=st.integers(3, 5), extra=st.integers(0, 3)).map(read_fabric),
    st.sets(st.integers(0, CAPACITY - 1), max_size=40),
    st.data(),
)
def test_no_bits_whatsoever_make_a_frame_live_on(fabric: Fabric, bits: set[int], data: st.DataObject) -> None:
    wiring = wired(fabric)
    simulator = with_core(wiring)
    ring_bits = data.draw(st.sets(st.sampled_from(sorted(wiring.bits.values())), max_size=4))
    source, destination = (str(IPv6Address(half)) for half in pack(bits | ring_bits))
    entry = data.draw(st.sampled_from(sorted(fabric.peers)))
    simulator.send(entry, Frame(source=source, destination=destination, mac=MARKED, hop_limit=6))

    assert simulator.hits <= len(fabric.links) ** 6


@settings(deadline=None)
@given(
    st.builds(city, areas=st.just(1), switches=st.integers(3, 7), extra=st.integers(0, 5), seed=st.integers(0, 99)).map(
        read_fabric
    ),
    st.data(),
)
def test_a_dark_link_is_gone_round_without_a_turn(fabric: Fabric, data: st.DataObject) -> None:
    source, target = data.draw(st.permutations(sorted(fabric.places)))[:2]
    wiring = wired(fabric)
    simulator = with_core(wiring, turns=True)
    for port in fabric.peers:
        ports = detour_ports(fabric, port)
        assert ports
        made = detour(port, ports, wiring)
        for switch, group in made.groups:
            simulator.write(fabric.bridges[switch].dpid, Change(groups=(group,)))
        for switch, rule in made.rules:
            simulator.write(fabric.bridges[switch].dpid, Change(rules=(rule,)))
    install(simulator, multicast(fabric, source, [target]), wiring)
    frame = Frame(source="fd00::1", destination="ff15::9")
    before = simulator.send(fabric.places[source].port, frame)
    simulator.cut(data.draw(st.sampled_from(sorted(fabric.trunks))))
    after = simulator.send(fabric.places[source].port, frame)

    assert [port for port, _ in before] == [port for port, _ in after] == [fabric.places[target].port]


@given(CITIES.map(read_fabric), st.data())
def test_marked_frames_of_hosts_are_not_let_in(fabric: Fabric, data: st.DataObject) -> None:
    wiring = wired(fabric)
    simulator = with_core(wiring)
    bits = data.draw(st.sets(st.sampled_from(sorted(wiring.bits.values()))))
    source, destination = (str(IPv6Address(half)) for half in pack(bits))
    entry = fabric.places[data.draw(st.sampled_from(sorted(fabric.places)))].port

    assert simulator.send(entry, Frame(source=source, destination=destination, mac=MARKED)) == []


# --- size ------------------------------------------------------------------------------------------


def test_a_city_of_a_thousand_links_forwards_in_areas() -> None:
    fabric = read_fabric(city(areas=10, switches=60, extra=39, seed=3, places=6))
    wiring = wired(fabric)
    simulator = with_core(wiring)
    random = Random(5)
    for _ in range(40):
        source, *targets = random.sample(sorted(fabric.places), 9)
        simulator.drop_edges()
        install(simulator, multicast(fabric, source, targets), wiring)
        got = simulator.send(fabric.places[source].port, Frame(source="fd00::1", destination="ff15::9"))

        assert [port for port, _ in got] == sorted(fabric.places[name].port for name in targets)
    assert len(fabric.trunks) >= 1000
    assert max(len(fabric.ports_of(f"area-{n}")) for n in range(10)) <= CAPACITY


def test_core_rules_depend_on_ports_only() -> None:
    fabric = read_fabric(city(areas=3, switches=8, extra=4))
    wiring = wired(fabric)
    simulator = with_core(wiring)
    transit = {bridge.dpid for bridge in fabric.bridges.values()}
    transit -= {fabric.bridges[place.port.switch].dpid for place in fabric.places.values()}
    transit -= {fabric.bridges[port.switch].dpid for port, far in fabric.peers.items()
                if fabric.area(port.switch) != fabric.area(far.switch)}  # fmt: skip
    before = {dpid: simulator.count(dpid, 0, 0) for dpid in transit}
    places = sorted(fabric.places)
    for number in range(50):
        source, *targets = Random(number).sample(places, 3)
        flow = multicast(fabric, source, targets, label=number + 1)
        install(simulator, flow, wiring)

    assert before
    assert {dpid: simulator.count(dpid, 0, 0) for dpid in transit} == before


def test_ways_over_a_thousand_links_are_found_at_once() -> None:
    fabric = read_fabric(city(areas=10, switches=60, extra=39, seed=3, places=6))
    source = sorted(fabric.places)[0]

    assert ways(fabric, source, fabric.places).keys() == fabric.places.keys()
