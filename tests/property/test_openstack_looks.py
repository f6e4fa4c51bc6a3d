"""A look that reads only what changed sees what a look from nothing sees."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.openstack.marks import mapping, sentence
from providers.openstack.marks import name as marked_name
from providers.openstack.record import PREFIX, pack
from tests.support.histories import histories
from tests.support.openstack_lists import OUT_OF_ORDER, PROJECT, SITE, Looker, mark

World = dict[str, Any]

NUMBERS = ("1", "2", "3")
"""Ids are few, so that objects come again, refer to each other and change."""


@st.composite
def described(draw: st.DrawFn, kind: str) -> str:
    """Draw a description: our mark, that of another site or version, or none."""
    said = draw(st.sampled_from(["ours", "newer", "elsewhere", "none"]))
    site, version = "porto" if said == "elsewhere" else SITE, "d2" if said == "newer" else "d1"
    return "" if said == "none" else sentence(mark(kind, draw(st.sampled_from("ab")), site, version))


numbers = st.sampled_from(NUMBERS)
some_numbers = st.lists(numbers, unique=True, max_size=2)
names = st.sampled_from(["web", "db"])


@st.composite
def a_server(draw: st.DrawFn, number: str) -> dict[str, Any]:
    asked: Any = {"ports": draw(some_numbers), "vcpus": 1}
    marked = mapping(mark("server", draw(st.sampled_from("ab"))), PREFIX) if draw(st.booleans()) else {}
    return {
        "id": number,
        "name": draw(names),
        "status": draw(st.sampled_from(["ACTIVE", "BUILD", "ERROR", "SHUTOFF"])),
        "metadata": {**marked, **pack(asked, {"flavor": "m1"})},
        "flavor": {"original_name": draw(st.sampled_from(["m1", "m2"])), "vcpus": 1, "ram": 1, "disk": 1},
        "image": "",
        "tags": draw(st.lists(names, unique=True)),
    }


@st.composite
def a_port(draw: st.DrawFn, number: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": draw(names),
        "description": draw(described("port")),
        "network_id": draw(numbers),
        "mac_address": "fa:16",
        "device_id": draw(st.sampled_from(["", *NUMBERS])),
        "device_owner": draw(st.sampled_from(["compute:nova", "network:router_interface"])),
        "fixed_ips": [{"subnet_id": one, "ip_address": f"10.0.0.{one}"} for one in draw(some_numbers)],
    }


def a_row(kind: str, number: str, **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an object of the network service."""
    plain: dict[str, Any] = {"id": st.just(number), "name": names, "description": described(kind)}
    return st.fixed_dictionaries({**plain, **more})


def marked(kind: str, prefix: str, plain: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a mapping with a mark in it, or without."""
    own = st.sampled_from([{}, *(mapping(mark(kind, node), prefix) for node in "ab")])
    return st.builds(lambda found, mark: {**found, **mark}, st.fixed_dictionaries(plain), own)


def marked_names(kind: str, number: str) -> st.SearchStrategy[str]:
    """Draw a name that is a mark, or none."""
    return st.sampled_from([number, *(marked_name(mark(kind, node), PROJECT) for node in "ab")])


def a_list(number_to_row: Any) -> st.SearchStrategy[list[Any]]:
    """Draw some of the objects there may be, in any order."""
    return some_numbers.flatmap(lambda chosen: st.tuples(*map(number_to_row, chosen)).map(list))


worlds: st.SearchStrategy[World] = st.fixed_dictionaries(
    {
        "networks": a_list(lambda number: a_row("network", number)),
        "subnets": a_list(lambda number: a_row("subnet", number, network_id=numbers)),
        "ports": a_list(a_port) | st.just(OUT_OF_ORDER),
        "routers": a_list(
            lambda number: a_row("router", number, external_gateway_info=st.fixed_dictionaries({"network_id": numbers}))
        ),
        "floatingips": a_list(lambda number: a_row("floating_ip", number, port_id=numbers, floating_ip_address=names)),
        "port_pairs": a_list(lambda number: a_row("port_pair", number)),
        "port_pair_groups": a_list(lambda number: a_row("port_pair_group", number, port_pairs=some_numbers)),
        "flow_classifiers": a_list(lambda number: a_row("flow_classifier", number)),
        "port_chains": a_list(lambda number: a_row("port_chain", number, flow_classifiers=some_numbers)),
        "server_groups": a_list(
            lambda number: st.fixed_dictionaries(
                {"id": st.just(number), "name": names, "policy": names, "members": some_numbers}
            )
        ),
        "servers": a_list(a_server),
        "security_groups": a_list(lambda number: a_row("security_group", number)),
        "policies": a_list(lambda number: a_row("qos_policy", number)),
        "keypairs": a_list(
            lambda number: st.fixed_dictionaries(
                {"name": marked_names("keypair", number), "public_key": names, "fingerprint": st.just(number)}
            ).map(lambda key: {"keypair": key})
        ),
        "flavors": a_list(
            lambda number: a_row("flavor", number, vcpus=st.just(1), ram=st.integers(1, 2), disk=st.just(1))
        ),
        "images": a_list(
            lambda number: marked(
                "image",
                "tosca_",
                {"id": st.just(number), "name": names, "status": st.just("active"), "disk_format": names},
            )
        ),
        "volumes": a_list(
            lambda number: st.fixed_dictionaries(
                {"id": st.just(number), "status": names, "size": st.just(1), "metadata": marked("volume", "tosca.", {})}
            )
        ),
    }
)


@settings(max_examples=60, deadline=None)
@given(histories(worlds))
def test_a_look_after_others_sees_what_a_first_look_sees(turns: list[World]) -> None:
    experienced = Looker()
    for world in turns:
        seen, fresh = experienced.look(world), Looker().look(world)

        assert seen == fresh
        assert (seen.unknown == {}) is (world["ports"] != OUT_OF_ORDER)


@settings(max_examples=30, deadline=None)
@given(worlds)
def test_what_did_not_change_is_not_read_again(world: World) -> None:
    looker = Looker()
    first, again = looker.look(world).present, looker.look(world).present

    assert all(one is other for one, other in zip(first, again, strict=True))
