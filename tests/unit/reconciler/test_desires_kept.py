"""What is wanted is worked out once, and again whenever something it came from has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.desire import DesireError, Wish, desire
from reconciler.desires import Desires
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
from specs.values import Reference, Secret
from tests.support.world import Memory, World

EDGE = Cluster(name="edge-1", tier=Tier.EDGE, location="harbour", capacity=Capacity(vcpus=4), binding="memory")
SITE = Site(name="bristol", clusters={"edge-1": EDGE}, bindings={"memory": Binding(name="memory", plugin="memory")})
WEB = Node(name="web", types=("eu.ict-flame.nodes.ServiceFunction", "tosca.nodes.Root"))
SHOP = Service(
    name="shop",
    sites=SiteSelector(everywhere=True),
    nodes={"web": WEB},
    states={"web": {"edge-1": LifecycleState.BOOTED}},
)


class Counting(Memory):
    """A memory provider that makes one resource with a secret of every service, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(World())
        self.asked = 0

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        self.asked += 1
        name = deployment.service.name
        yield Resource(
            address=Address(f"bristol/{name}/web@edge-1.0:memory.plain"),
            binding="memory",
            properties={"password": Secret("password"), "size": str(deployment.service.nodes["web"].properties)},
        )


def wish(provider: Counting, *services: Service, commit: str = "c1", site: Site = SITE) -> Wish:
    return Wish(commit=commit, site=site, services=services or (SHOP,), providers={"memory": provider})


def digests(text: str) -> Callable[[str], str]:
    return lambda name: f"digest of {text}"


def test_the_same_wish_is_worked_out_once() -> None:
    provider, desires = Counting(), Desires()
    first = desires.of(wish(provider), digests("old"))
    second = desires.of(wish(provider), digests("old"))

    assert second is first
    assert provider.asked == 1


def test_a_changed_secret_is_noticed() -> None:
    provider, desires = Counting(), Desires()
    first = desires.of(wish(provider), digests("old"))
    second = desires.of(wish(provider), digests("new"))

    assert second != first


def test_a_secret_that_is_gone_is_told() -> None:
    provider, desires = Counting(), Desires()
    desires.of(wish(provider), digests("old"))

    def gone(name: str) -> str:
        raise SettingsError(f"secret {name!r} is not known; set it")

    with pytest.raises(DesireError, match="is not known"):
        desires.of(wish(provider), gone)


WISHES = st.tuples(
    st.sampled_from(["c1", "c2"]),
    st.lists(st.sampled_from(["shop", "tour", "game"]), min_size=1, max_size=3, unique=True),
    st.sampled_from([1, 2]),
    st.sampled_from(["harbour", "market"]),
    st.sampled_from(["old", "new"]),
)


@given(st.lists(WISHES, max_size=8))
def test_what_is_kept_is_what_would_be_worked_out_anew(turns: list[tuple[str, list[str], int, str, str]]) -> None:
    provider, desires = Counting(), Desires()
    for commit, names, size, location, secret in turns:
        nodes = {"web": replace(WEB, properties={"size": size})}
        services = [replace(SHOP, name=name, nodes=nodes) for name in sorted(names)]
        site = replace(SITE, clusters={"edge-1": replace(EDGE, location=location)})
        now = wish(provider, *services, commit=commit, site=site)

        assert desires.of(now, digests(secret)) == desire(now, digests(secret))


class Linking(Counting):
    """Makes one of two kinds of every service; the tour refers to the others, and the game to the shop."""

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        name, size = deployment.service.name, deployment.service.nodes["web"].properties["size"]
        others = {"shop": (), "tour": ("shop", "game"), "game": ("shop",)}[name]
        yield Resource(
            address=Address(f"bristol/{name}/web@edge-1.0:memory.{'plain' if size == 1 else 'fixed'}"),
            binding="memory",
            properties={f"of {other}": Reference(f"bristol/{other}/web@edge-1.0", "id") for other in others},
            stands=True,
        )


def outcome(work: Callable[[], Desired]) -> Desired | frozenset[str]:
    """Give what is wanted, or why that cannot be."""
    try:
        return work()
    except DesireError as error:
        return frozenset(error.faults)


SIZES = st.dictionaries(st.sampled_from(["shop", "tour", "game"]), st.sampled_from([1, 2]), min_size=1)


@given(st.lists(SIZES, max_size=6))
def test_what_is_linked_follows_what_it_is_linked_to(turns: list[dict[str, int]]) -> None:
    provider, desires = Linking(), Desires()
    for sizes in turns:
        services = [
            replace(SHOP, name=name, nodes={"web": replace(WEB, properties={"size": size})})
            for name, size in sorted(sizes.items())
        ]
        now = wish(provider, *services)
        kept, anew = (outcome(partial(work, now, digests("old"))) for work in (desires.of, desire))

        assert kept == anew
