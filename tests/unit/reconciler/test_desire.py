"""Linking what providers expand: subjects, references, secrets and faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from providers.base import PermanentError, Provider
from reconciler.desire import DesireError, Wish, desire
from specs.desired import Desired
from specs.errors import SettingsError
from specs.model import (
    Address,
    Binding,
    Capacity,
    Cluster,
    Deployment,
    LifecycleState,
    Node,
    Resource,
    Service,
    Site,
    SiteSelector,
    Tier,
)
from specs.values import Reference, Secret, Value
from tests.support.world import Memory, World

FUNCTION = ("eu.ict-flame.nodes.ServiceFunction", "tosca.nodes.Root")
SITE = Site(
    name="bristol",
    clusters={
        name: Cluster(name=name, tier=Tier.EDGE, location="harbour", capacity=Capacity(vcpus=4), binding="memory")
        for name in ("edge-1", "edge-2")
    },
    bindings={"memory": Binding(name="memory", plugin="memory")},
)
SHOP = Service(
    name="shop",
    sites=SiteSelector(everywhere=True),
    nodes={name: Node(name=name, types=FUNCTION) for name in ("web", "db")},
    states={
        "web": {"edge-1": LifecycleState.BOOTED},
        "db": {"edge-1": LifecycleState.BOOTED, "edge-2": LifecycleState.BOOTED},
    },
)


class Fixed(Memory):
    """A memory provider that expands to what a test says."""

    def __init__(self, *resources: Resource) -> None:
        super().__init__(World())
        self.resources: Sequence[Resource] = resources

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        return self.resources


def made(subject: str, *requires: str, stands: bool = True, **properties: Value) -> Resource:
    return Resource(
        address=Address(f"bristol/shop/{subject}:memory.plain"),
        binding="memory",
        properties=properties,
        requires=tuple(requires),
        stands=stands,
    )


def wish(provider: Provider, *services: Service) -> Wish:
    return Wish(commit="c1", site=SITE, services=services or (SHOP,), providers={"memory": provider})


def digest_of(name: str) -> str:
    if name == "unknown":
        raise SettingsError("secret 'unknown' is not known; set RECONCILER_SECRET_UNKNOWN")
    return f"digest of {name}"


def linked(*resources: Resource) -> Desired:
    return desire(wish(Fixed(*resources)), digest_of)


def faults(*resources: Resource) -> tuple[str, ...]:
    with pytest.raises(DesireError) as caught:
        linked(*resources)
    return caught.value.faults


def test_a_subject_becomes_the_address_of_who_stands_for_it() -> None:
    web = made("web@edge-1.0", "bristol/shop/db@edge-2.0")
    desired = linked(web, made("db@edge-2.0"))

    assert desired.resources[web.address].requires == ("bristol/shop/db@edge-2.0:memory.plain",)


def test_a_node_is_found_beside_its_seeker_first() -> None:
    web = made("web@edge-1.0", "bristol/shop/db", peer=Reference("bristol/shop/db", "ip"))
    desired = linked(web, made("db@edge-1.0"), made("db@edge-2.0"), made("db@edge-2.1"))

    assert desired.resources[web.address].requires == ("bristol/shop/db@edge-1.0:memory.plain",)
    assert desired.resources[web.address].properties["peer"] == Reference("bristol/shop/db@edge-1.0:memory.plain", "ip")


def test_one_may_stand_for_all_instances_on_a_cluster() -> None:
    web = made("web@edge-1.0", "bristol/shop/db@edge-2.1", peer=Reference("bristol/shop/db@edge-2.1", "ip"))
    desired = linked(web, made("db@edge-1.0"), made("db@edge-2.0"))

    assert desired.resources[web.address].requires == ("bristol/shop/db@edge-2.0:memory.plain",)


def test_without_a_neighbour_all_of_a_node_are_required() -> None:
    web = made("web@edge-1.0", "bristol/shop/db")
    desired = linked(web, made("db@edge-2.0"), made("db@edge-2.1"))

    assert len(desired.resources[web.address].requires) == 2


def test_a_requirement_of_what_is_not_deployed_is_dropped() -> None:
    web = made("web@edge-1.0", "bristol/shop/db")

    assert linked(web).resources[web.address].requires == ()


def test_a_reference_to_what_is_not_deployed_is_a_fault() -> None:
    web = made("web@edge-1.0", peer=Reference("bristol/shop/db", "ip"))

    assert faults(web) == (f"{web.address} needs ip of bristol/shop/db, which is not deployed here",)


def test_a_reference_is_a_requirement() -> None:
    web = made("web@edge-1.0", peer=Reference("bristol/shop/db", "ip"))
    desired = linked(web, made("db@edge-1.0"))

    assert desired.resources[web.address].requires == ("bristol/shop/db@edge-1.0:memory.plain",)


def test_secrets_get_their_digest() -> None:
    web = made("web@edge-1.0", env={"TOKEN": Secret("token")})

    assert linked(web).resources[web.address].properties["env"] == {"TOKEN": Secret("token", "digest of token")}


def test_all_faults_are_told_at_once_and_each_once() -> None:
    web = made("web@edge-1.0", key=Secret("unknown"), again=Secret("unknown"))
    told = faults(web, web, made("db@edge-1.0", "bristol/shop/none:memory.plain"))

    assert len(told) == 3
    assert "is wanted twice" in told[0]
    assert "RECONCILER_SECRET_UNKNOWN" in told[1]
    assert "which nothing makes" in told[2]


def test_a_circle_is_told_with_its_members() -> None:
    told = faults(made("web@edge-1.0", "bristol/shop/db"), made("db@edge-1.0", "bristol/shop/web"))

    assert "in a circle" in told[0]
    assert "bristol/shop/web@edge-1.0" in told[0]


def test_what_a_provider_can_never_do_stops_the_site() -> None:
    class Refusing(Fixed):
        def expand(self, deployment: Deployment) -> Iterable[Resource]:
            raise PermanentError("no hypervisor 'vmware' here")

    with pytest.raises(DesireError, match="shop: no hypervisor 'vmware' here"):
        desire(wish(Refusing()), digest_of)


def test_capacity_counts_all_services_of_the_site() -> None:
    big = Node(name="web", types=FUNCTION, capabilities={"host": {"num_cpus": 3}})
    one, two = (
        Service(
            name=name,
            sites=SiteSelector(everywhere=True),
            nodes={"web": big},
            states={"web": {"edge-1": LifecycleState.BOOTED}},
        )
        for name in ("one", "two")
    )

    desire(wish(Fixed(), one), digest_of)
    with pytest.raises(DesireError, match="edge-1 has 4 vCPU"):
        desire(wish(Fixed(), one, two), digest_of)


def test_every_node_of_the_spec_is_known_even_when_it_is_not_deployed() -> None:
    assert {**linked().nodes} == {"shop": {"web", "db"}}
