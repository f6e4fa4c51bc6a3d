"""Queues: which frames wait where, and whose they are; databases in memory, and one that is no real one."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from providers.base import PermanentError, TransientError
from providers.sdn.expand import service_address
from providers.sdn.marks import same_owner
from providers.sdn.ovsdb import Ovsdb, Queue, Shape
from providers.sdn.settings import PREFIX
from providers.sdn.topology import Port, read_fabric
from specs.errors import Severity, SpecError
from specs.model import Policy, Position, Site
from specs.values import Value, digest
from tests.support.chains import deployed
from tests.testbed.sdn.simulator import Frame, Simulator
from tests.testbed.sdn.sites import TOUR, link, ring, tour, with_queues
from tests.testbed.sdn.turns import Tenant, tenant

WEB = service_address(PREFIX, "web.tour.example.org")
QUEUES = (Queue(1, 12.5, 25), Queue(3, 25, 50), Queue(5, 50, 100))


class Memory:
    """A database in memory."""

    def __init__(self) -> None:
        self.shapes: dict[tuple[int, int], Shape] = {}
        self.silent = False
        self.writes = 0

    def look(self) -> Mapping[tuple[int, int], Shape]:
        if self.silent:
            raise TransientError("the database does not answer")
        return dict(self.shapes)

    def put(self, dpid: int, port: int, cookie: int, shape: Shape | None) -> None:
        self.writes += 1
        there = self.shapes.pop((dpid, port), None)
        if there is not None and not same_owner(there.cookie, cookie):
            self.shapes[dpid, port] = there
            raise PermanentError("queues of somebody else")
        if shape is not None:
            self.shapes[dpid, port] = shape


def asking(**properties: Value) -> Policy:
    """Ask something of the fabric for `web`."""
    return Policy(
        name="quality",
        types=("eu.ict-flame.policies.Qos",),
        targets=("web",),
        properties=properties,
        position=Position("specs/tour.yaml", 40, 9),
    )


@pytest.fixture
def site() -> Site:
    return with_queues(ring(full_look=0))


@pytest.fixture
def simulator(site: Site) -> Simulator:
    return Simulator(read_fabric(site))


@pytest.fixture
def database() -> Memory:
    return Memory()


@pytest.fixture
def city(site: Site, simulator: Simulator, database: Memory, tmp_path: Path) -> Iterator[Tenant]:
    address_of = lambda subject: f"2001:db8::{digest(subject)[:4]}"  # noqa: E731 -- it is handed on
    with closing(
        tenant(site, tmp_path / "a", address_of, lambda settings: simulator, lambda target, seconds: database)
    ) as found:
        yield found


def gold(site: Site) -> Policy:
    """Ask for GOLD."""
    return asking(traffic_class="GOLD")


def test_every_port_has_a_queue_for_every_class(city: Tenant, database: Memory) -> None:
    assert city.turn().succeeded
    assert city.compare().differences == ()
    assert len(database.shapes) == 10
    assert {(shape.rate_mbps, shape.queues) for shape in database.shapes.values()} == {(1000, QUEUES)}


def test_frames_wait_in_the_queue_of_their_class_at_every_switch(
    city: Tenant, site: Site, simulator: Simulator
) -> None:
    service = deployed(tour(gold(site)), TOUR, site, "hosts")
    assert city.turn(service).succeeded
    simulator.queued.clear()
    simulator.send(Port("s1", 1), Frame(source="fd00::1", destination=WEB))

    assert city.compare(service).differences == ()
    assert simulator.queued == [(Port("s1", 3), 5), (Port("s2", 1), 5)]


def test_nobody_helps_himself_to_a_queue(city: Tenant, site: Site, simulator: Simulator) -> None:
    city.turn(deployed(tour(), TOUR, site, "hosts"))
    simulator.queued.clear()
    simulator.send(Port("s1", 1), Frame(source="fd00::1", destination=WEB, dscp=40))

    assert simulator.queued == [(Port("s1", 3), 0), (Port("s2", 1), 0)]


def test_core_rules_do_not_depend_on_services_with_queues_either(
    city: Tenant, site: Site, simulator: Simulator
) -> None:
    def rules() -> list[object]:
        return [(dpid, rule.key) for dpid in simulator.boxes for rule in simulator.rules(dpid) if rule.priority < 1500]

    city.turn()
    before = rules()
    city.turn(deployed(tour(gold(site)), TOUR, site, "hosts"))

    assert rules() == before


def test_a_class_that_changes_moves_frames_to_another_queue(city: Tenant, site: Site, simulator: Simulator) -> None:
    city.turn(deployed(tour(asking(traffic_class="BRONZE")), TOUR, site, "hosts"))
    service = deployed(tour(gold(site)), TOUR, site, "hosts")
    planned, _, _ = city.plan(service)
    city.turn(service)
    simulator.queued.clear()
    simulator.send(Port("s1", 1), Frame(source="fd00::1", destination=WEB))

    assert {str(step.action) for step in planned.steps} == {"update"}
    assert {queue for _, queue in simulator.queued} == {5}


def test_queues_that_somebody_changed_are_drift_and_put_right(city: Tenant, database: Memory) -> None:
    city.turn()
    place = (1, 3)
    database.shapes[place] = replace(database.shapes[place], queues=QUEUES[:1])
    changed = [str(difference.address) for difference in city.compare().differences]
    city.turn()

    assert changed == ["bristol/-/north@s1:sdn.port"]
    assert database.shapes[place].queues == QUEUES
    assert city.compare().differences == ()


def test_a_turn_without_a_change_writes_no_queue(city: Tenant, database: Memory) -> None:
    city.turn()
    before = database.writes
    city.turn()

    assert database.writes == before


def test_queues_of_others_are_said_and_left_alone(city: Tenant, database: Memory) -> None:
    theirs = Shape(0, 10, ())
    database.shapes[1, 3] = theirs
    planned, _, _ = city.plan()
    city.turn()

    (finding,) = planned.findings
    assert (finding.severity, finding.address) == (Severity.ERROR, "bristol/-/north@s1:sdn.port")
    assert "s1:3 has queues of somebody else" in finding.message
    assert database.shapes[1, 3] == theirs


def test_a_database_that_is_silent_makes_ports_unknown_and_nothing_else(
    city: Tenant, site: Site, database: Memory
) -> None:
    service = deployed(tour(), TOUR, site, "hosts")
    city.turn(service)
    database.silent = True
    comparison = city.compare(service)

    assert {type(difference).__name__ for difference in comparison.differences} == {"Unseen"}
    assert all(str(difference.address).endswith(":sdn.port") for difference in comparison.differences)
    assert len(comparison.differences) == 10


def test_a_link_that_goes_takes_its_queues_with_it(
    city: Tenant, site: Site, simulator: Simulator, database: Memory, tmp_path: Path
) -> None:
    city.turn()
    left = replace(site, links={name: one for name, one in site.links.items() if name != "south"})
    with closing(
        tenant(left, tmp_path / "a", city.address_of, lambda settings: simulator, lambda target, seconds: database)
    ) as later:
        assert later.turn().succeeded

    assert (1, 4) not in database.shapes
    assert (3, 4) not in database.shapes
    assert len(database.shapes) == 8


def test_no_queue_promises_more_than_its_link_carries(tmp_path: Path) -> None:
    site = with_queues(ring())
    slow = replace(site, links={**site.links, "air": link("air", "ap-1", "s1:1", bandwidth_mbps=10)})
    with closing(tenant(slow, tmp_path, str, lambda settings: Simulator(read_fabric(slow)))) as city:
        port = city.desired().resources["bristol/-/air@s1:sdn.port"]  # type: ignore[index]  # an address

    assert port.properties["rate_mbps"] == 10
    assert port.properties["queues"] == {key: {"min_mbps": 10, "max_mbps": 10} for key in ("1", "3", "5")}


@pytest.mark.parametrize(
    ("spoil", "policy", "says"),
    [
        (lambda site: site, asking(priority=4), "asks for the queue of priority 4, which no class of this site has"),
        (
            lambda site: replace(site, properties={**site.properties, "traffic_classes": {"VIP": {"priority": 5}}}),
            asking(traffic_class="VIP"),
            "the classes GOLD and VIP have one priority, 5",
        ),
        (lambda site: with_queues(site, "10.0.0.5"), asking(), "cannot be given queues at '10.0.0.5'"),
    ],
)
def test_queues_that_cannot_be_are_said(
    site: Site, tmp_path: Path, spoil: Callable[[Site], Site], policy: Policy, says: str
) -> None:
    spoilt = spoil(site)
    with (
        pytest.raises(SpecError, match=says),
        closing(tenant(spoilt, tmp_path, str, lambda settings: Simulator(read_fabric(site)))) as city,
    ):
        city.desired(deployed(tour(policy), TOUR, spoilt, "hosts"))


# --- the database itself ---------------------------------------------------------------------------


def answering(*answers: bytes) -> str:
    """Answer the first request on a port of loopback in pieces, then close."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(1 << 16)
            for piece in answers:
                connection.sendall(piece)

    Thread(target=serve, daemon=True).start()
    return f"tcp:127.0.0.1:{server.getsockname()[1]}"


def test_messages_in_pieces_and_of_others_are_no_trouble() -> None:
    echo = json.dumps({"id": "echo", "method": "echo", "params": []}).encode()
    answer = json.dumps({"id": 1, "error": None, "result": [{"rows": []}] * 5}).encode()

    assert Ovsdb(answering(echo + answer[:20], answer[20:]), 5).look() == {}


@pytest.mark.parametrize(
    ("answers", "error", "says"),
    [
        ([], TransientError, "closed the connection"),
        ([b'{"id": 1, "error": {"error": "unknown database"}, "result": null}'], PermanentError, "unknown database"),
        ([b'{"id": 1, "error": null, "result": [{"error": "timed out"}]}'], TransientError, "timed out"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(answers: list[bytes], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Ovsdb(answering(*answers), 5).look()


def test_a_database_that_is_not_there_may_come_back() -> None:
    with pytest.raises(TransientError, match="does not answer"):
        Ovsdb("unix:/nowhere/db.sock", 1).look()
