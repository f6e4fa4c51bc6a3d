"""Connected functions get a tree to their clients and a registration of each name."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from providers.base import PermanentError
from providers.sandpit.fabric import connect, ways_from
from specs.model import Deployment, Group, LifecycleState, Link, Policy, Resource, Service, Site
from specs.values import Reference
from tests.support.chains import SHOP, TOUR, bristol, deployed, function, shop, tour

State = LifecycleState


def fabric(deployment: Deployment) -> dict[str, Resource]:
    """Give resources by address without the site."""
    return {resource.address.partition("/")[2]: resource for resource in connect(deployment, "city")}


def test_only_connected_functions_are_connected() -> None:
    where = {"storage": [("dc-1", 0, State.BOOTED), ("edge-1", 0, State.PLACED), ("edge-2", 0, State.CONNECTED)]}

    assert {address.partition(":")[0] for address in fabric(deployed(tour(), where))} == {"tour/storage@edge-2.0"}


def test_every_name_is_registered_at_the_address_of_the_endpoint() -> None:
    node = function("storage", fqdn=["a.example.org", "b.example.org"])
    where = {"storage": [("dc-1", 0, State.CONNECTED)]}
    found = fabric(deployed(Service(name="tour", nodes={"storage": node}), where))
    name = found["tour/storage@dc-1.0:sandpit.name/b.example.org"]

    assert "tour/storage@dc-1.0:sandpit.name/a.example.org" in found
    assert name.properties == {
        "name": "b.example.org@dc-1.0",
        "fqdn": "b.example.org",
        "cluster": "dc-1",
        "address": Reference("bristol/tour/storage@dc-1.0", "private_address"),
    }
    assert name.requires == ("bristol/tour/storage@dc-1.0", "bristol/tour/storage@dc-1.0:sandpit.path")


def test_a_single_name_may_be_text() -> None:
    node = function("storage", fqdn="a.example.org")
    found = fabric(deployed(Service(name="t", nodes={"storage": node}), {"storage": [("dc-1", 0, State.CONNECTED)]}))

    assert "t/storage@dc-1.0:sandpit.name/a.example.org" in found


@pytest.mark.parametrize("fqdn", ["", "a b", "-x.org", "x..y", "a.*.org", "ä.org", "x" * 254, 7, "a.org\n"])
def test_what_is_no_host_name_is_an_error(fqdn: str | int) -> None:
    node = function("storage", fqdn=[fqdn])

    with pytest.raises(PermanentError, match="is no host name"):
        fabric(deployed(Service(name="t", nodes={"storage": node}), {"storage": [("dc-1", 0, State.CONNECTED)]}))


def test_a_wildcard_may_stand_for_the_first_label() -> None:
    node = function("storage", fqdn=["*.example.org"])
    found = fabric(deployed(Service(name="t", nodes={"storage": node}), {"storage": [("dc-1", 0, State.CONNECTED)]}))

    assert found["t/storage@dc-1.0:sandpit.name/_.example.org"].properties["fqdn"] == "*.example.org"


def test_paths_lead_to_the_functions_that_require_it() -> None:
    path = fabric(deployed(tour(), TOUR))["tour/storage@dc-1.0:sandpit.path"]

    assert path.properties["clients"] == ["edge-1"]
    assert path.properties["links"] == ["a", "e"]
    assert path.requires == ("bristol/tour/storage@dc-1.0",)


def test_a_function_nobody_requires_serves_every_cluster() -> None:
    path = fabric(deployed(tour(), TOUR))["tour/web@edge-1.0:sandpit.path"]

    assert path.properties["clients"] == ["dc-1", "edge-2", "edge-3"]
    assert path.properties["links"] == ["a", "b", "d", "e", "f", "g"]


def test_users_come_by_the_access_points_of_the_site() -> None:
    site = bristol()
    mast = Link(name="x", source="mast", target="s3")
    site = replace(site, links={**site.links, "x": mast}, properties={"access_points": {"mast": {}}})
    path = fabric(deployed(tour(), TOUR, site))["tour/web@edge-1.0:sandpit.path"]

    assert path.properties["clients"] == ["mast"]
    assert path.properties["links"] == ["d", "e", "x"]


def test_what_qos_policies_say_is_on_the_path() -> None:
    qos = ("eu.ict-flame.policies.Qos",)
    service = replace(
        tour(),
        policies={
            "gold": Policy(name="gold", types=qos, targets=("media",), properties={"traffic_class": "gold"}),
            "late": Policy(name="late", types=qos, targets=("web",), properties={"priority": 7}),
            "other": Policy(name="other", types=qos, targets=("storage",), properties={"priority": 1}),
        },
        groups={"media": Group(name="media", types=("tosca.groups.Root",), members=("web", "coder"))},
    )
    found = fabric(deployed(service, TOUR))

    assert found["tour/web@edge-1.0:sandpit.path"].properties["quality"] == {"traffic_class": "gold", "priority": 7}
    assert found["tour/storage@dc-1.0:sandpit.path"].properties["quality"] == {"priority": 1}


def test_clients_next_door_need_no_path() -> None:
    assert "tour/coder@edge-1.0:sandpit.path" not in fabric(deployed(tour(), TOUR))


def test_a_site_without_links_has_no_paths() -> None:
    lonely = replace(bristol(), links={})

    assert not any(".path" in address for address in fabric(deployed(tour(), TOUR, lonely)))


def test_normative_nodes_are_not_connected() -> None:
    assert fabric(deployed(shop(), SHOP)) == {}


def test_functions_of_all_bindings_are_connected() -> None:
    found = connect(deployed(tour(), TOUR, binding="elsewhere"), "city")

    assert found
    assert {resource.binding for resource in found} == {"city"}


def square(**costs: float) -> Site:
    """Give four places in a ring: north, east, south, west."""
    ring = {"ne": ("n", "e"), "es": ("e", "s"), "sw": ("s", "w"), "wn": ("w", "n")}
    links = {name: Link(name=name, source=a, target=b, cost=costs.get(name, 1)) for name, (a, b) in ring.items()}
    return Site(name="ring", links=links)


def test_the_cheaper_way_wins() -> None:
    assert ways_from(square(ne=5), "n")["s"] == ("wn", "sw")
    assert ways_from(square(wn=5), "n")["s"] == ("ne", "es")


def test_of_equal_ways_the_first_by_name_wins() -> None:
    assert ways_from(square(), "n")["s"] == ("ne", "es")


def test_latency_decides_between_equal_costs() -> None:
    site = square()
    slow = replace(site.links["ne"], latency_ms=9)

    assert ways_from(replace(site, links={**site.links, "ne": slow}), "n")["s"] == ("wn", "sw")


def test_what_no_link_reaches_has_no_way() -> None:
    assert "atlantis" not in ways_from(square(), "n")
    assert ways_from(square(), "atlantis") == {"atlantis": ()}
