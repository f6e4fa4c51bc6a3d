"""What is odd about each controller, and what is made of it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from providers.base import Health, PermanentError, TransientError
from providers.sdn.controller import Change, Wire
from providers.sdn.core import carrying, exit_rules
from providers.sdn.floodlight import Floodlight
from providers.sdn.http import Web
from providers.sdn.opendaylight import OpenDaylight
from providers.sdn.rules import IN_PORT, Action, Bucket, Do, Group, Meter, Rule, matching
from providers.sdn.ryu import Ryu
from providers.sdn.topology import Fabric, read_fabric
from tests.contract.provider_suite import look, mark_of
from tests.testbed.sdn.case import FabricCase
from tests.testbed.sdn.doubles import Double, Reply, Request, running
from tests.testbed.sdn.floodlight_double import FloodlightDouble
from tests.testbed.sdn.opendaylight_double import OpenDaylightDouble
from tests.testbed.sdn.simulator import LLDP, Simulator
from tests.testbed.sdn.sites import ring

COOKIE = 0xABCDE1_0000000042
GROUP = Group(
    7 << 8 | 1,
    "indirect",
    (
        Bucket(
            (
                Action(Do.SET, "02:00:00:00:00:01", "eth_dst"),
                Action(Do.SET, 0, "ipv6_label"),
                Action(Do.SET, "fd00::1", "ipv6_src"),
                Action(Do.SET, "fd00::2", "ipv6_dst"),
                Action(Do.OUTPUT, IN_PORT),
            )
        ),
    ),
)
FAILOVER = Group(9, "failover", (Bucket((Action(Do.OUTPUT, 3),), 3), Bucket((Action(Do.OUTPUT, 4),), 4)))
ENTRY = Rule(
    0,
    2000,
    matching(in_port=1, eth_type=0x86DD, ipv6_src="fd00::1", ipv6_dst="fd53:646e::9"),
    (
        Action(Do.HOPS, 64),
        Action(Do.SET, "00:00:00:00:00:00", "eth_dst"),
        Action(Do.SET, 7, "ipv6_label"),
        Action(Do.SET, "0:4000::", "ipv6_src"),
        Action(Do.SET, "::80", "ipv6_dst"),
        Action(Do.SET, 40, "ip_dscp"),
        Action(Do.QUEUE, 5),
        Action(Do.GOTO, 1),
    ),
    COOKIE,
)
LEAVING = Rule(1, 2000, carrying(7, ipv6_label=7), (Action(Do.GROUP, GROUP.id), Action(Do.GOTO, 2)), COOKIE)
BITS = [
    rule.owned(COOKIE) for bit in (0, 7, 22, 127, 128, 255) for rule in exit_rules(3, bit, trunk=True, queues=(1, 5))
]
RULES = (*{rule.key: rule for rule in (ENTRY, LEAVING, *BITS)}.values(),)


@pytest.fixture
def fabric() -> Fabric:
    return read_fabric(ring())


@pytest.fixture
def floodlight(fabric: Fabric) -> Iterator[Double]:
    with running(FloodlightDouble(Simulator(fabric), lag=4)) as double:
        yield double


@pytest.fixture(params=[False, True], ids=["rfc8040", "draft02"])
def opendaylight(fabric: Fabric, request: pytest.FixtureRequest) -> Iterator[Double]:
    missing = 404 if request.param else 409
    with running(OpenDaylightDouble(Simulator(fabric), older=request.param, missing=missing, lag=1)) as double:
        yield double


def daylight(double: Double) -> OpenDaylight:
    """Connect to a double."""
    assert isinstance(double.product, OpenDaylightDouble)
    web = Web(double.url, user="admin", password="admin")
    return double.connected(OpenDaylight(web, older=double.product.older))


class Answers:
    """Answers every request alike, by its path."""

    def __init__(self, simulator: Simulator, answers: dict[str, Reply]) -> None:
        self.simulator, self.answers = simulator, answers

    def answer(self, request: Request) -> Reply:
        """Answer."""
        return self.answers.get(request.path, Reply(404))


# --- Floodlight ------------------------------------------------------------------------------------


def test_floodlight_gives_back_what_it_was_told(floodlight: Double) -> None:
    controller = floodlight.connected(Floodlight(Web(floodlight.url)))
    controller.write(1, Change(groups=(GROUP, FAILOVER), rules=RULES))

    assert {rule for rule in controller.rules(1) if rule.key != LLDP.key} == set(RULES)
    assert controller.groups(1) == {GROUP.id: GROUP, FAILOVER.id: FAILOVER}
    assert controller.rules(1, COOKIE, (1 << 64) - 1) == tuple(r for r in controller.rules(1) if r.cookie == COOKIE)


def test_floodlight_is_sent_text_only(floodlight: Double) -> None:
    floodlight.connected(Floodlight(Web(floodlight.url))).write(1, Change(rules=(ENTRY,)))
    (pushed,) = [request.body for request in floodlight.requests if request.method == "POST"]

    assert isinstance(pushed, dict)
    assert all(isinstance(value, str) for value in pushed.values())
    assert pushed["eth_type"] == "0x86dd"


def test_a_refusal_of_floodlight_is_heard_though_it_says_200(floodlight: Double) -> None:
    odd = Rule(0, 5, matching(ip6_dst="fd00::1"), ())

    with pytest.raises(PermanentError, match="Unexpected key ip6_dst"):
        floodlight.connected(Floodlight(Web(floodlight.url))).write(1, Change(rules=(odd,)))


def test_a_delete_of_floodlight_shows_later(floodlight: Double) -> None:
    controller = floodlight.connected(Floodlight(Web(floodlight.url)))
    controller.write(1, Change(rules=(ENTRY,)))
    controller.write(1, Change(gone_rules=(ENTRY,)))
    at_once = controller.rules(1)
    for _ in range(5):
        controller.switches()

    assert ENTRY in at_once
    assert [rule.key for rule in controller.rules(1)] == [LLDP.key]


def test_floodlight_keeps_the_rule_when_its_owner_changes(floodlight: Double) -> None:
    controller = floodlight.connected(Floodlight(Web(floodlight.url)))
    controller.write(1, Change(rules=(ENTRY,)))
    product = floodlight.product
    assert isinstance(product, FloodlightDouble)
    product.lag = 0
    controller.write(1, Change(rules=(ENTRY.owned(COOKIE + 1),)))
    controller.write(1, Change(gone_rules=(ENTRY,)))

    assert controller.rules(1, COOKIE + 1, (1 << 64) - 1) == (ENTRY.owned(COOKIE + 1),)


def test_floodlight_cannot_limit(floodlight: Double) -> None:
    with pytest.raises(PermanentError, match="cannot limit flows"):
        floodlight.connected(Floodlight(Web(floodlight.url))).write(1, Change(meters=(Meter(1, 1000),)))


def test_a_link_floodlight_lists_once_is_two_wires(floodlight: Double) -> None:
    wires = floodlight.connected(Floodlight(Web(floodlight.url))).wires()

    assert len(wires) == 6
    assert Wire(1, 3, 2, 3) in wires
    assert Wire(2, 3, 1, 3) in wires


def test_a_link_that_works_one_way_is_one_wire_to_floodlight(fabric: Fabric) -> None:
    one_way = {"src-switch": "00:00:00:00:00:00:00:02", "src-port": 3, "dst-switch": "00:00:00:00:00:00:00:01",
               "dst-port": 3, "type": "internal", "direction": "unidirectional"}  # fmt: skip
    answers = {"/wm/topology/links/json": Reply(200, [one_way])}
    with running(Answers(Simulator(fabric), answers)) as double, closing(Floodlight(Web(double.url))) as controller:
        assert controller.wires() == [Wire(2, 3, 1, 3)]


def test_floodlight_is_never_told_to_clear_a_switch(floodlight: Double) -> None:
    controller = floodlight.connected(Floodlight(Web(floodlight.url)))
    controller.write(1, Change(groups=(GROUP,), rules=RULES))
    controller.write(1, Change(gone_rules=RULES, gone_groups=(GROUP.id,)))

    # A GET is enough for Floodlight to delete everything, its own rules and those of others.
    assert not [request.path for request in floodlight.requests if "clear" in request.path]


def test_deleting_what_floodlight_does_not_have_is_fine(floodlight: Double) -> None:
    floodlight.connected(Floodlight(Web(floodlight.url))).write(1, Change(gone_rules=(ENTRY,), gone_groups=(4,)))

    assert [r.body for r in floodlight.requests if r.method == "DELETE"] == [{"name": "tr-1-group-4"}]


def test_a_switch_that_floodlight_knows_nothing_of_is_no_empty_switch(floodlight: Double) -> None:
    floodlight.product.simulator.gone.add(2)

    with pytest.raises(TransientError, match="switch 2 does not answer"):
        floodlight.connected(Floodlight(Web(floodlight.url))).rules(2)


def test_floodlight_pushes_again_to_a_switch_that_comes_back(floodlight: Double) -> None:
    controller = floodlight.connected(Floodlight(Web(floodlight.url)))
    controller.write(1, Change(groups=(GROUP,), rules=(ENTRY, LEAVING)))
    before = controller.rules(1)
    product = floodlight.product
    assert isinstance(product, FloodlightDouble)
    product.reconnect(1)

    assert set(controller.rules(1)) == set(before)


# --- OpenDaylight ----------------------------------------------------------------------------------


def test_opendaylight_gives_back_what_it_was_told(opendaylight: Double) -> None:
    controller = daylight(opendaylight)
    limited = Rule(0, 2001, ENTRY.match, (Action(Do.METER, 5), *ENTRY.actions), COOKIE)
    controller.write(1, Change(meters=(Meter(5, 800),), groups=(GROUP, FAILOVER), rules=(*RULES, limited)))

    assert set(controller.rules(1)) == {*RULES, limited, LLDP}
    assert controller.groups(1) == {GROUP.id: GROUP, FAILOVER.id: FAILOVER}
    assert controller.meters(1) == {5: Meter(5, 800)}


def test_opendaylight_is_never_given_both_forms_of_a_mask(opendaylight: Double) -> None:
    mixed = Rule(3, 1, matching(eth_type=0x86DD, ipv6_src="8000::/8000::", ipv6_dst="::80/::80"), (), COOKIE)
    controller = daylight(opendaylight)
    controller.write(1, Change(rules=(mixed,)))

    assert controller.rules(1, COOKIE, (1 << 64) - 1) == (mixed,)


def test_a_node_that_is_absent_is_not_connected(opendaylight: Double) -> None:
    opendaylight.product.simulator.gone.add(3)

    with pytest.raises(TransientError, match="switch 3 is not connected"):
        daylight(opendaylight).rules(3)


def test_a_write_for_a_switch_that_is_gone_succeeds_and_proves_nothing(opendaylight: Double) -> None:
    controller = daylight(opendaylight)
    opendaylight.product.simulator.gone.add(3)
    controller.write(3, Change(rules=(ENTRY,)))

    with pytest.raises(TransientError, match="switch 3 is not connected"):
        controller.rules(3)


def test_keys_stand_in_the_address_as_each_form_wants_them(opendaylight: Double) -> None:
    daylight(opendaylight).write(1, Change(rules=(ENTRY,)))
    (path,) = [request.path for request in opendaylight.requests if request.method == "PUT"]
    product = opendaylight.product
    assert isinstance(product, OpenDaylightDouble)
    nodes = "opendaylight-inventory:nodes"
    begin = f"/restconf/config/{nodes}/node/openflow:1/table/0/flow/tr-"
    assert path.startswith(begin if product.older else f"/rests/data/{nodes}/node=openflow%3A1/table=0/flow=tr-")


def test_flows_are_known_by_what_they_match_and_not_by_alien_ids(opendaylight: Double) -> None:
    controller = daylight(opendaylight)
    controller.write(1, Change(rules=(ENTRY,)))
    controller.write(1, Change(rules=(ENTRY.owned(COOKIE + 1),)))
    shown = opendaylight.product.simulator

    assert [rule for rule in controller.rules(1) if rule.key == ENTRY.key] == [ENTRY.owned(COOKIE + 1)]
    assert shown.count(1, 0, 0) == 2


def test_deleting_what_is_absent_is_fine(opendaylight: Double) -> None:
    daylight(opendaylight).write(1, Change(gone_rules=(ENTRY,), gone_groups=(4,), gone_meters=(4,)))

    assert daylight(opendaylight).rules(1) == (LLDP,)


def test_a_rule_of_another_owner_in_the_same_place_is_not_deleted(opendaylight: Double) -> None:
    controller = daylight(opendaylight)
    controller.write(1, Change(rules=(ENTRY,)))
    controller.write(1, Change(gone_rules=(ENTRY.owned(9),)))

    assert ENTRY in controller.rules(1)


def test_opendaylight_without_a_password_is_refused(opendaylight: Double) -> None:
    with pytest.raises(PermanentError, match="HTTP 401"):
        opendaylight.connected(OpenDaylight(Web(opendaylight.url))).switches()


def test_a_port_that_is_dark_is_seen(opendaylight: Double) -> None:
    opendaylight.product.simulator.cut("north")

    assert daylight(opendaylight).ports(1) == {1: True, 3: False, 4: True}
    assert len(daylight(opendaylight).wires()) == 4


def test_what_was_written_is_under_way_until_a_switch_shows_it(fabric: Fabric, tmp_path: Path) -> None:
    product = OpenDaylightDouble(Simulator(fabric), lag=40)
    with running(product) as double:
        controller = double.connected(OpenDaylight(Web(double.url, user="a", password="b")))
        case = FabricCase(ring(), controller, tmp_path)
        provider = case.connect()
        resource = next(iter(provider.foundation(case.site)))
        wanted = {resource.address: resource}
        switch = next(r for r in provider.foundation(case.site) if r.kind == "switch")
        made = provider.create(switch, mark_of(switch))
        for _ in range(40):
            controller.switches()
        (seen,) = look(provider, wanted).present

    assert made.health is Health.PROGRESSING
    assert seen.health is Health.HEALTHY
    assert seen.properties == made.properties


# --- Ryu -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["flow", "groupdesc", "meterconfig", "portdesc", "aggregateflow"])
def test_an_empty_list_of_a_switch_that_hangs_is_no_list(fabric: Fabric, path: str) -> None:
    answers = {f"/stats/{path}/1": Reply(200, {"1": []}), "/stats/desc/1": Reply(200, {"1": {}})}
    with running(Answers(Simulator(fabric), answers)) as double, closing(Ryu(Web(double.url))) as ryu:
        calls: dict[str, Callable[[], object]] = {
            "flow": lambda: ryu.rules(1),
            "groupdesc": lambda: ryu.groups(1),
            "meterconfig": lambda: ryu.meters(1),
            "portdesc": lambda: ryu.ports(1),
            "aggregateflow": lambda: ryu.count(1, 0, 0),
        }
        with pytest.raises(TransientError, match="switch 1 does not answer"):
            calls[path]()


def test_an_empty_list_of_a_switch_that_answers_is_empty(fabric: Fabric) -> None:
    answers = {"/stats/flow/1": Reply(200, {"1": []}), "/stats/desc/1": Reply(200, {"1": {"mfr_desc": "Nicira"}})}
    with running(Answers(Simulator(fabric), answers)) as double, closing(Ryu(Web(double.url))) as ryu:
        assert ryu.rules(1) == ()


def test_one_rule_that_ryu_cannot_read_makes_the_switch_unknown(fabric: Fabric) -> None:
    with (
        running(Answers(Simulator(fabric), {"/stats/flow/1": Reply(501)})) as double,
        closing(Ryu(Web(double.url))) as ryu,
        pytest.raises(TransientError, match="uses an action Ryu does not know"),
    ):
        ryu.rules(1)


@pytest.mark.parametrize("path", ["/stats/flow/1", "/stats/flowentry/add"])
def test_a_switch_that_is_not_connected_to_ryu_may_come_back(fabric: Fabric, path: str) -> None:
    with (
        running(Answers(Simulator(fabric), {})) as double,
        closing(Ryu(Web(double.url))) as ryu,
        pytest.raises(TransientError, match="switch 1 is not connected"),
    ):
        ryu.rules(1) if path == "/stats/flow/1" else ryu.write(1, Change(rules=(ENTRY,)))


def test_ryu_is_sent_nothing_that_python_would_not_read(fabric: Fabric) -> None:
    paths = ("meterentry/add", "groupentry/add", "flowentry/add", "flowentry/delete_strict")
    answers = {f"/stats/{path}": Reply(200) for path in paths}
    with running(Answers(Simulator(fabric), answers)) as double, closing(Ryu(Web(double.url))) as ryu:
        ryu.write(1, Change(meters=(Meter(5, 800),), groups=(GROUP, FAILOVER), rules=RULES, gone_rules=(ENTRY,)))

    # Ryu reads bodies as Python: true, false and null are unknown names to it.
    bodies = [request.body for request in double.requests]
    assert len(bodies) == 4 + len(RULES)
    assert [ast.literal_eval(json.dumps(body)) for body in bodies] == bodies


def test_ryu_reads_rules_back_under_other_names(fabric: Fabric) -> None:
    flow = {
        "priority": 2000, "cookie": COOKIE, "table_id": 0, "packet_count": 3, "flags": 0,
        "match": {"in_port": 1, "dl_type": 34525, "ipv6_src": "fd00::1", "ipv6_dst": "fd53:646e::9",
                  "ipv6_flabel": 7, "dl_dst": "00:00:00:00:00:00", "ip_dscp": 40},
        "actions": ["SET_FIELD: {eth_dst:00:00:00:00:00:00}", "SET_FIELD: {ipv6_flabel:7}",
                    "SET_FIELD: {ipv6_src:0:4000::}", "SET_QUEUE:5", "METER:7", "DEC_NW_TTL", "OUTPUT:IN_PORT",
                    "GROUP:9", "GOTO_TABLE:1"],
    }  # fmt: skip
    with (
        running(Answers(Simulator(fabric), {"/stats/flow/1": Reply(200, {"1": [flow]})})) as double,
        closing(Ryu(Web(double.url))) as ryu,
    ):
        (rule,) = ryu.rules(1)

    assert rule.match == matching(
        in_port=1, eth_type=0x86DD, ipv6_src="fd00::1", ipv6_dst="fd53:646e::9", ipv6_label=7,
        eth_dst="00:00:00:00:00:00", ip_dscp=40,
    )  # fmt: skip
    assert rule.actions == (
        Action(Do.METER, 7),
        Action(Do.SET, "00:00:00:00:00:00", "eth_dst"),
        Action(Do.SET, 7, "ipv6_label"),
        Action(Do.SET, "0:4000::", "ipv6_src"),
        Action(Do.QUEUE, 5),
        Action(Do.DECREMENT),
        Action(Do.OUTPUT, IN_PORT),
        Action(Do.GROUP, 9),
        Action(Do.GOTO, 1),
    )


def test_addresses_read_back_have_one_form_whatever_their_masks(fabric: Fabric) -> None:
    written = {"dl_type": 34525, "ipv6_src": "0:4000::/0:4000:0:0:0:0:0:0", "ipv6_dst": "::/::"}
    flow = {"priority": 1, "cookie": 0, "table_id": 3, "match": written, "actions": []}
    with (
        running(Answers(Simulator(fabric), {"/stats/flow/1": Reply(200, {"1": [flow]})})) as double,
        closing(Ryu(Web(double.url))) as ryu,
    ):
        (rule,) = ryu.rules(1)

    assert rule.match == matching(eth_type=0x86DD, ipv6_src="0:4000::/0:4000::")


def test_a_controller_that_is_not_there_may_come_back() -> None:
    with closing(Ryu(Web("http://127.0.0.1:1", timeout_seconds=2))) as ryu, pytest.raises(TransientError):
        ryu.switches()


def test_how_long_a_write_takes_to_show_is_said() -> None:
    assert Ryu.lag == timedelta(0)
    assert OpenDaylight.lag > timedelta(seconds=3)
