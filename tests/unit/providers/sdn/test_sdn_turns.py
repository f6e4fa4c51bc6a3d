"""Turn after turn on switches in memory: what stays, what moves, and what is remembered where."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.sdn.bits import allocate
from providers.sdn.cables import check
from providers.sdn.controller import Change, Wire
from providers.sdn.core import EDGE, bits_held
from providers.sdn.expand import service_address
from providers.sdn.ledger import REST, Ledger, Record
from providers.sdn.settings import PREFIX
from providers.sdn.topology import Port, read_fabric
from specs.model import Address, Budget, Policy, Site
from specs.values import Value, digest
from tests.support.chains import deployed
from tests.testbed.sdn.simulator import Frame, Simulator
from tests.testbed.sdn.sites import TOUR, following, limit, link, ring, tour
from tests.testbed.sdn.turns import Tenant, tenant

WEB = service_address(PREFIX, "web.tour.example.org")
SERVER = Address("bristol/tour/web@ap-1:sdn.name")


POINTS = {"ap-1": Port("s1", 1), "ap-2": Port("s2", 2)}


def two_points(*, tablet_at: str) -> Site:
    """Give the ring with a second access point at s2, and a tablet at one of the two; one call at a time."""
    devices = {"ap-1": {"phone": "fd00::1"}, "ap-2": {"watch": "fd00::8"}}
    devices[tablet_at] = {**devices[tablet_at], "tablet": "fd00::9"}
    points: dict[str, Value] = {
        name: {"devices": {who: {"address": one, "mac": f"02:00:00:00:00:0{one[-1]}"} for who, one in found.items()}}
        for name, found in devices.items()
    }
    site = ring(full_look=0)
    return replace(
        site,
        links={**site.links, "air-2": link("air-2", "ap-2", "s2:2")},
        bindings={**site.bindings, "fabric": replace(site.bindings["fabric"], budget=Budget(concurrency=1))},
        properties={"access_points": points},
    )


def at_work(site: Site, simulator: Simulator, folder: Path) -> Tenant:
    """Set up a repository on switches in memory."""
    simulator.fabric = read_fabric(site)
    return tenant(site, folder, lambda subject: f"2001:db8::{digest(subject)[:4]}", lambda settings: simulator)


def core(simulator: Simulator) -> set[object]:
    """Give every rule that should depend on ports only."""
    return {(dpid, rule.key, rule.actions) for dpid in simulator.boxes
            for rule in simulator.rules(dpid) if rule.priority < 1400}  # fmt: skip


@pytest.mark.parametrize(("here", "there"), [("ap-1", "ap-2"), ("ap-2", "ap-1")])
@pytest.mark.parametrize("policies", [(), (limit(5, "web"),)], ids=["free", "limited"])
def test_a_device_that_moves_keeps_its_service_and_the_core_its_rules(
    tmp_path: Path, here: str, there: str, policies: tuple[Policy, ...]
) -> None:
    before, after = two_points(tablet_at=here), two_points(tablet_at=there)
    service = tour(*policies)
    simulator = Simulator(read_fabric(before))
    tablet = Frame(source="fd00::9", destination=WEB)
    with closing(at_work(before, simulator, tmp_path / "a")) as city:
        city.turn(deployed(service, TOUR, before, "hosts"))
        served = [port for port, _ in simulator.send(POINTS[here], tablet)]
    rules = core(simulator)
    with closing(at_work(after, simulator, tmp_path / "a")) as city:
        report = city.turn(deployed(service, TOUR, after, "hosts"))
        settled = city.compare(deployed(service, TOUR, after, "hosts"))

    assert report.succeeded
    assert settled.differences == ()
    assert served == [Port("s2", 1)]
    assert [port for port, _ in simulator.send(POINTS[there], tablet)] == [Port("s2", 1)]
    answer = Frame(source=str(settled.present[SERVER].properties["endpoint"]), destination="fd00::9")
    assert [port for port, _ in simulator.send(Port("s2", 1), answer)] == [POINTS[there]]
    assert simulator.send(POINTS[here], tablet) == []
    assert core(simulator) == rules


def test_a_device_is_followed_to_where_it_is_seen_and_back(tmp_path: Path) -> None:
    site = following(two_points(tablet_at="ap-1"))
    simulator = Simulator(read_fabric(site))
    service = deployed(tour(), TOUR, site, "hosts")
    tablet = Frame(source="fd00::9", destination=WEB, sender="02:00:00:00:00:09")
    phone = Frame(source="fd00::1", destination=WEB, sender="02:00:00:00:00:01")
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        assert city.turn(service).succeeded
        assert city.compare(service).differences == ()
        rules = core(simulator)
        for here, there in (("ap-1", "ap-2"), ("ap-2", "ap-1")):
            assert [port for port, _ in simulator.send(POINTS[here], tablet)] == [Port("s2", 1)]
            assert simulator.send(POINTS[there], tablet) == []
            drifted = [str(difference.address) for difference in city.compare(service).differences]
            report = city.turn(service)
            settled = city.compare(service)

            assert drifted == ["bristol/tour/web@ap-1:sdn.name"]
            assert {str(f.operation.step.action) for f in report.finished} == {"update"}
            assert report.succeeded
            assert settled.differences == ()
            assert [port for port, _ in simulator.send(POINTS[there], tablet)] == [Port("s2", 1)]
            answer = Frame(source=str(settled.present[SERVER].properties["endpoint"]), destination="fd00::9")
            assert [port for port, _ in simulator.send(Port("s2", 1), answer)] == [POINTS[there]]
            assert [port for port, _ in simulator.send(POINTS["ap-1"], phone)] == [Port("s2", 1)]
            assert core(simulator) == rules


def test_where_a_device_was_seen_outlives_the_controllers_memory(tmp_path: Path) -> None:
    site = following(two_points(tablet_at="ap-1"))
    simulator = Simulator(read_fabric(site))
    service = deployed(tour(), TOUR, site, "hosts")
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        city.turn(service)
        simulator.send(POINTS["ap-2"], Frame(source="fd00::9", destination=WEB, sender="02:00:00:00:00:09"))
        city.turn(service)
        simulator.seen.clear()
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        assert city.turn(service).finished == ()


def test_a_service_that_gets_another_name_hands_over_to_itself(tmp_path: Path) -> None:
    site = two_points(tablet_at="ap-1")
    simulator = Simulator(read_fabric(site))
    old = tour(limit(5, "web", "store"))
    renamed = deployed(replace(old, name="walk"), TOUR, site, "hosts")
    simulator.fabric = read_fabric(site)
    hosts = {"edge-2": "2001:db8::2", "edge-3": "2001:db8::3", "edge-4": "2001:db8::4"}
    address_of = lambda subject: hosts[subject.partition("@")[2].partition(".")[0]]  # noqa: E731 -- it is handed on
    with closing(tenant(site, tmp_path / "a", address_of, lambda settings: simulator)) as city:
        city.turn(deployed(old, TOUR, site, "hosts"))
        report = city.turn(renamed)
        settled = city.compare(renamed)

    assert report.succeeded
    assert settled.differences == ()
    assert simulator.send(Port("s1", 1), Frame(source="fd00::9", destination=WEB))[0][0] == Port("s2", 1)


def test_ports_keep_their_bits_when_the_fabric_grows_though_all_state_is_lost(tmp_path: Path) -> None:
    site = ring(full_look=0)
    simulator = Simulator(read_fabric(site))
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        city.turn()
    before = {
        dpid: bits_held(r for r in simulator.rules(dpid) if 1000 <= r.priority < 1400) for dpid in simulator.boxes
    }
    more = {one.name: one for one in (link("new", "s1:2", "s3:5"), link("newer", "s2:6", "s3:6"))}
    grown = replace(site, links={**site.links, **more})
    with closing(at_work(grown, simulator, tmp_path / "b")) as city:
        assert city.turn().succeeded
    after = {dpid: bits_held(r for r in simulator.rules(dpid) if 1000 <= r.priority < 1400) for dpid in simulator.boxes}

    assert all(before[dpid].items() <= after[dpid].items() for dpid in before)
    given = [bit for bits in after.values() for bit in bits.values()]
    assert len(set(given)) == len(given) == 14


def test_a_new_port_does_not_get_the_bit_of_one_that_has_just_gone(tmp_path: Path) -> None:
    site = ring(full_look=0)
    simulator = Simulator(read_fabric(site))
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        city.turn()
    given = bits_held(rule for rule in simulator.rules(1) if 1000 <= rule.priority < 1400)[4]
    # A port that likes the very bit that has become free, and gets it where nothing rests.
    free = {key: bit for key, bit in _all_bits(simulator).items() if key not in ("s1:4", "s3:4")}
    names = (f"s{dpid}:{number}" for number in range(5, 250) for dpid in simulator.boxes)
    new = next(name for name in names if allocate(free, [name])[name] == given)
    far = "s1:250" if new.startswith("s3") else "s3:250"
    smaller = replace(site, links={name: one for name, one in site.links.items() if name != "south"})
    with closing(at_work(smaller, simulator, tmp_path / "a")) as city:
        assert city.turn().succeeded
    grown = replace(smaller, links={**smaller.links, "new": link("new", new, far)})
    with closing(at_work(grown, simulator, tmp_path / "a")) as city:
        assert city.turn().succeeded

    assert _all_bits(simulator)[new] != given


def _all_bits(simulator: Simulator) -> dict[str, int]:
    return {
        f"s{dpid}:{port}": bit
        for dpid in simulator.boxes
        for port, bit in bits_held(r for r in simulator.rules(dpid) if 1000 <= r.priority < 1400).items()
    }


def test_a_switch_that_refuses_a_rule_in_silence_is_found_out(tmp_path: Path) -> None:
    site = ring(full_look=0)
    simulator = Refusing(read_fabric(site))
    service = deployed(tour(), TOUR, site, "hosts")
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        report = city.turn(service)
        failed = {f.message for f in report.finished if f.outcome == "failed"}
        simulator.refuses = False
        repaired = city.turn(service)

    assert failed
    assert all("did not take" in message for message in failed)
    assert repaired.succeeded


class Refusing(Simulator):
    """Switches that take every message and leave out rules with an entry."""

    refuses = True

    def write(self, dpid: int, change: Change) -> None:
        kept = tuple(rule for rule in change.rules if not (self.refuses and rule.priority >= EDGE and not rule.table))
        super().write(dpid, replace(change, rules=kept))


def test_a_switch_that_lost_its_rules_gets_the_same_bits_again(tmp_path: Path) -> None:
    site = ring(full_look=0)
    simulator = Simulator(read_fabric(site))
    service = deployed(tour(), TOUR, site, "hosts")
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        city.turn(service)
        before = core(simulator)
        simulator.restart(2)
        city.turn(service)

        assert core(simulator) == before
        assert city.compare(service).differences == ()


def test_a_turn_without_a_change_writes_nothing(tmp_path: Path) -> None:
    site = ring()
    simulator = Simulator(read_fabric(site))
    service = deployed(tour(), TOUR, site, "hosts")
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        city.turn(service)
        before = simulator.writes
        report = city.turn(service)

    assert report.finished == ()
    assert simulator.writes == before


def test_a_silent_switch_leaves_the_others_known(tmp_path: Path) -> None:
    site = ring(full_look=0)
    simulator = Simulator(read_fabric(site))
    service = deployed(tour(), TOUR, site, "hosts")
    with closing(at_work(site, simulator, tmp_path / "a")) as city:
        city.turn(service)
        simulator.gone.add(3)
        comparison = city.compare(service)

    assert {type(difference).__name__ for difference in comparison.differences} == {"Unseen"}
    assert all("@s3" in d.address or "@edge-3" in d.address or "@edge-4" in d.address for d in comparison.differences)


# --- cables ----------------------------------------------------------------------------------------


def wires(*ends: tuple[int, int, int, int]) -> list[Wire]:
    """Give wires in both directions."""
    return [wire for a, b, c, d in ends for wire in (Wire(a, b, c, d), Wire(c, d, a, b))]


GOOD = ((1, 3, 2, 3), (2, 4, 3, 3), (1, 4, 3, 4))
ALL_UP = {
    "s1": dict.fromkeys((1, 3, 4), True),
    "s2": dict.fromkeys((1, 3, 4), True),
    "s3": dict.fromkeys((1, 2, 3, 4), True),
}


def test_a_fabric_as_drawn_has_no_findings() -> None:
    found = check(read_fabric(ring()), ALL_UP, wires(*GOOD))

    assert (found.down, found.findings) == (frozenset(), ())


@pytest.mark.parametrize(
    ("found", "down", "says"),
    [
        (wires((1, 3, 3, 3), (1, 4, 3, 4)), {"north", "east"}, "link north is miswired: s1:3 leads to s3:3"),
        (wires(*GOOD, (1, 7, 2, 7)), set(), "s1:7 is wired to s2:7, which the spec does not mention"),
        (wires(*GOOD[1:]), set(), "link north was not found between s1:3 and s2:3"),
        (wires(*GOOD)[1:], {"north"}, "link north works one way only: nothing comes from s1:3"),
    ],
)
def test_what_differs_from_the_drawing_is_found(found: list[Wire], down: set[str], says: str) -> None:
    cabling = check(read_fabric(ring()), ALL_UP, found)

    assert cabling.down == down
    assert any(finding.message.startswith(says) for finding in cabling.findings)


def test_a_port_without_a_carrier_takes_its_link_out() -> None:
    ports = {**ALL_UP, "s2": {1: True, 3: False, 4: True}}
    cabling = check(read_fabric(ring()), ports, wires(*GOOD))

    assert cabling.down == {"north"}
    assert [finding.message for finding in cabling.findings] == ["link north is down at s2:3"]


def test_a_controller_that_has_found_nothing_yet_takes_no_link_out() -> None:
    assert check(read_fabric(ring()), ALL_UP, []).down == frozenset()


# --- the ledger ------------------------------------------------------------------------------------


def test_a_bit_that_is_given_back_rests_for_a_minute(tmp_path: Path) -> None:
    now = [datetime(2026, 3, 4, tzinfo=UTC)]
    ledger = Ledger(tmp_path / "ledger.jsonl", lambda: now[0])
    ledger.keep_bit("s1:3", 77)
    ledger.rest_bit("s1:3", "north", 77)
    again = Ledger(tmp_path / "ledger.jsonl", lambda: now[0])
    again.refresh()
    resting = again.resting("north"), again.resting("south")
    now[0] += REST + timedelta(seconds=1)

    assert resting == (frozenset({77}), frozenset())
    assert again.bits() == {}
    assert again.resting("north") == frozenset()


def test_a_ledger_survives_a_line_that_was_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger(file, lambda: datetime(2026, 3, 4, tzinfo=UTC))
    ledger.remember(7, Record("a/b/c:sdn.name", "d", "id", ("x.example.org",)))
    ledger.keep_bit("s1:3", 5)
    file.write_text(file.read_text() + '{"cookie": "00')
    again = Ledger(file, lambda: datetime(2026, 3, 4, tzinfo=UTC))
    again.refresh()

    assert again.record(7) == Record("a/b/c:sdn.name", "d", "id", ("x.example.org",))
    assert again.bits() == {"s1:3": 5}
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_ledger_does_not_grow_without_end(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger(file, lambda: datetime(2026, 3, 4, tzinfo=UTC))
    for number in range(3000):
        ledger.remember(7, Record("a", str(number), "id"))

    assert len(file.read_text().splitlines()) < 1100
    assert ledger.record(7) == Record("a", "2999", "id")
