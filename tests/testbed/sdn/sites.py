"""Sites with a fabric, as values: a ring of three switches, and fabrics of any size."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from msgspec.structs import replace

from specs.model import Binding, Capacity, Cluster, Link, Node, Policy, Requirement, Service, Site, Switch, Tier
from specs.values import Properties, Secret, Value
from tests.support.chains import FUNCTION, State, Where

AMPLE = Capacity(vcpus=64, memory_mb=64000, disk_gb=1000)


def mac(number: int) -> str:
    """Give the MAC address of a host."""
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def cluster(name: str, number: int = 1) -> Cluster:
    """Give a cluster whose frames go to one MAC address."""
    return Cluster(
        name=name,
        tier=Tier.EDGE,
        location="Bristol",
        capacity=AMPLE,
        binding="hosts",
        properties={"mac": mac(number)},
    )


def access_point(devices: Mapping[str, str], number: int) -> Value:
    """Give an access point with devices, name → address."""
    return {"devices": {name: {"address": address, "mac": mac(number)} for name, address in devices.items()}}


def link(name: str, source: str, target: str, **more: Value) -> Link:
    """Give a cable between ends such as `s1:3` and `edge-1`."""
    ends = [(end.partition(":")[0], int(end.partition(":")[2] or 0)) for end in (source, target)]
    numbers: dict[str, float] = {key: float(str(value)) for key, value in more.items()}
    return Link(
        name=name,
        source=ends[0][0],
        source_port=ends[0][1],
        target=ends[1][0],
        target_port=ends[1][1],
        latency_ms=numbers.get("latency_ms", 1.0),
        bandwidth_mbps=numbers.get("bandwidth_mbps", 1000.0),
        cost=numbers.get("cost", 1.0),
    )


def bindings(settings: Properties) -> dict[str, Binding]:
    """Give a fabric and something that hosts."""
    return {
        "fabric": Binding(name="fabric", plugin="sdn", settings=settings),
        "hosts": Binding(name="hosts", plugin="sandpit"),
    }


def ring(url: str = "http://127.0.0.1:1", controller: str = "ryu", **more: Value) -> Site:
    """Give three switches in a ring: users at `ap-1` of s1, clusters `edge-2` at s2, `edge-3` and `edge-4` at s3."""
    return Site(
        name="bristol",
        clusters={name: cluster(name, number) for name, number in (("edge-2", 2), ("edge-3", 3), ("edge-4", 4))},
        switches={f"s{n}": Switch(name=f"s{n}", properties={"dpid": f"{n:016x}"}) for n in (1, 2, 3)},
        links={
            one.name: one
            for one in (
                link("air", "ap-1", "s1:1"),
                link("rack-2", "edge-2", "s2:1"),
                link("rack-3", "edge-3", "s3:1"),
                link("rack-4", "edge-4", "s3:2"),
                link("north", "s1:3", "s2:3"),
                link("east", "s2:4", "s3:3"),
                link("south", "s1:4", "s3:4", cost=1.5),
            )
        },
        bindings=bindings({"controller": controller, "url": url, **more}),
        properties={"access_points": {"ap-1": access_point({"phone": "fd00::1"}, 1)}},
    )


def function(name: str, *needs: str, **more: Value) -> Node:
    """Give a service function with a name."""
    return Node(
        name=name,
        types=FUNCTION,
        properties={
            "hypervisor": "kvm",
            "image_url": f"https://repo.example.org/{name}.tar.gz",
            "fqdn": [f"{name}.tour.example.org"],
            "env": {"PASSWORD": Secret("PASSWORD", "d1")},
            **more,
        },
        requirements=tuple(Requirement(name="peer", node=need) for need in needs),
    )


def tour(*policies: Policy) -> Service:
    """Give a chain: users reach `web`, which calls `store`."""
    nodes = (function("web", "store"), function("store"))
    return Service(
        name="tour",
        nodes={node.name: node for node in nodes},
        policies={policy.name: policy for policy in policies},
    )


TOUR: Where = {
    "store": [("edge-4", 0, State.CONNECTED)],
    "web": [("edge-2", 0, State.CONNECTED), ("edge-3", 0, State.CONNECTED), ("edge-4", 0, State.BOOTED)],
}


def city(areas: int, switches: int, extra: int, seed: int = 1, places: int = 2) -> Site:
    """Give a city: rings of switches, one for each area, with chords, joined in a ring of rings by two cables each."""
    random = Random(seed)
    used: dict[str, int] = {}

    def port(switch: str) -> str:
        used[switch] = used.get(switch, 0) + 1
        return f"{switch}:{used[switch]}"

    links: list[Link] = []
    names = [[f"a{area}s{number}" for number in range(switches)] for area in range(areas)]
    clusters: dict[str, Cluster] = {}
    for area, own in enumerate(names):
        for number in range(places):
            name = f"c{area}-{number}"
            clusters[name] = cluster(name, len(clusters) + 1)
            links.append(link(f"rack-{name}", name, port(own[number * len(own) // places])))
        pairs = list(zip(own, own[1:] + own[:1], strict=True)) if switches > 2 else [(own[0], own[-1])] * (switches > 1)
        pairs += [(one, other) for one, other in (random.sample(own, 2) for _ in range(extra if switches > 1 else 0))]
        links += [
            link(f"l{area}-{n}", port(one), port(other), cost=random.randint(1, 9), latency_ms=random.randint(1, 9))
            for n, (one, other) in enumerate(pairs)
        ]
    for area in range(areas if areas > 2 else areas - 1):
        far = (area + 1) % areas
        for n in range(2):
            ends = names[area][(n * 3) % switches], names[far][(n * 2) % switches]
            links.append(link(f"x{area}-{n}", port(ends[0]), port(ends[1]), cost=5 + n))
    dpids = {name: number for number, name in enumerate((name for own in names for name in own), 1)}
    return Site(
        name="city",
        clusters=clusters,
        switches={
            name: Switch(name=name, properties={"dpid": f"{dpids[name]:016x}", "area": f"area-{area}"})
            for area, own in enumerate(names)
            for name in own
        },
        links={one.name: one for one in links},
        bindings=bindings({"url": "http://127.0.0.1:1"}),
    )


def limit(mbps: float, *targets: str) -> Policy:
    """Give a policy that limits functions."""
    return Policy(
        name="limit",
        types=("eu.ict-flame.policies.Qos",),
        targets=targets,
        properties={"max_bandwidth_mbps": mbps},
    )


def with_queues(site: Site, target: str = "tcp:127.0.0.1:1") -> Site:
    """Give the site with switches whose ports get queues from a database."""
    switches = {
        name: replace(switch, properties={**switch.properties, "ovsdb": target})
        for name, switch in site.switches.items()
    }
    return replace(site, switches=switches)


def with_detours(site: Site) -> Site:
    """Give the site with switches that go round dark links by themselves."""
    return _set(site, "fast_failover")


def following(site: Site) -> Site:
    """Give the site with devices that are served wherever they are seen."""
    return _set(site, "follow_devices")


def _set(site: Site, name: str) -> Site:
    binding = site.bindings["fabric"]
    settings = {**binding.settings, name: True}
    return replace(site, bindings={**site.bindings, "fabric": replace(binding, settings=settings)})
