"""The emulated site has rules: capacity, quota, names, use, addresses, delays and marks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.base import Foreign, Health, PermanentError, QuotaExceeded
from providers.sandpit import sabotage
from specs.model import Binding, Capacity, Role
from specs.values import Reference, Secret, Value
from tests.support.sandpits import Pit, mark_of, pit, thing


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Pit]:
    city = pit(tmp_path, capacity=Capacity(vcpus=4, memory_mb=8000, disk_gb=100))
    yield city
    city.close()


# --- capacity and quota ---


def test_a_server_that_does_not_fit_is_refused(city: Pit) -> None:
    city.create(thing("server", "a", vcpus=3))

    with pytest.raises(QuotaExceeded, match=r"edge-1 has 1 vCPU free, bristol/shop/b@edge-1:sandpit\.server needs 2"):
        city.create(thing("server", "b", vcpus=2))
    assert [present.address for present in city.look().present] == ["bristol/shop/a@edge-1:sandpit.server"]


@pytest.mark.parametrize(
    ("kind", "words", "properties"),
    [
        ("server", "8000 MB of memory", {"memory_mb": 8001}),
        ("server", "100 GB of disk", {"disk_gb": 101}),
        ("volume", "100 GB of disk", {"size_gb": 101}),
        ("workload", "4 vCPU", {"vcpus": 1, "replicas": 5}),
    ],
)
def test_every_kind_of_capacity_counts(city: Pit, kind: str, words: str, properties: dict[str, int]) -> None:
    with pytest.raises(QuotaExceeded, match=f"edge-1 has {words} free"):
        city.create(thing(kind, **properties))


def test_each_cluster_has_its_own_capacity(city: Pit) -> None:
    city.create(thing("server", "a", vcpus=4))

    assert city.create(thing("server", "b", "edge-2", vcpus=4)).health is Health.HEALTHY


def test_a_workload_without_replicas_takes_nothing(city: Pit) -> None:
    city.create(thing("server", "a", vcpus=4))

    assert city.create(thing("workload", "b", vcpus=2, replicas=0)).health is Health.HEALTHY


def test_growing_in_place_needs_room(city: Pit) -> None:
    small = city.create(thing("server", "a", vcpus=2))
    city.create(thing("server", "b", vcpus=1))

    assert city.update(thing("server", "a", vcpus=3), small).properties["vcpus"] == 3
    with pytest.raises(QuotaExceeded, match=r"edge-1 has 3 vCPU free, .* needs 4"):
        city.update(thing("server", "a", vcpus=4), small)


def test_deleting_gives_capacity_back(city: Pit) -> None:
    city.provider.delete(city.create(thing("server", "a", vcpus=4)))

    assert city.create(thing("server", "b", vcpus=4)).health is Health.HEALTHY


def test_foreign_objects_take_capacity(city: Pit) -> None:
    city.look()
    sabotage.added(city.provider.world.database, "city", "server", {"cluster": "edge-1", "vcpus": 3})

    with pytest.raises(QuotaExceeded, match="edge-1 has 1 vCPU free"):
        city.create(thing("server", vcpus=2))


def test_what_is_on_no_cluster_takes_nothing(city: Pit) -> None:
    assert city.create(thing("volume", "a", "", size_gb=10**6)).health is Health.HEALTHY
    assert city.create(thing("server", "a", vcpus=4)).health is Health.HEALTHY


def test_quota_counts_objects_of_a_kind(tmp_path: Path) -> None:
    city = pit(tmp_path, settings={"quota": {"network": 1}})
    city.create(thing("network", "a"))

    with pytest.raises(QuotaExceeded, match="quota of 1 networks is used up, bristol/shop/b@edge-1"):
        city.create(thing("network", "b"))
    assert city.create(thing("network", "a")).address == "bristol/shop/a@edge-1:sandpit.network"
    city.close()


# --- names and marks ---


def test_a_name_somebody_else_has_points_to_adopt(city: Pit) -> None:
    city.look()
    made = sabotage.added(city.provider.world.database, "city", "network", {"name": "a", "cluster": "edge-1"})

    with pytest.raises(
        PermanentError, match=f"network a exists as {made['id']} and is not ours; .*reconciler adopt bri"
    ):
        city.create(thing("network", "a"))


def test_the_same_name_elsewhere_is_no_conflict(city: Pit) -> None:
    city.look()
    database = city.provider.world.database
    sabotage.added(database, "city", "network", {"name": "a", "cluster": "edge-2"})
    sabotage.added(database, "city", "port", {"name": "a", "cluster": "edge-1"})
    sabotage.added(database, "other", "network", {"name": "a", "cluster": "edge-1"})

    assert city.create(thing("network", "a")).health is Health.HEALTHY


def test_two_of_ours_may_share_a_name(city: Pit) -> None:
    city.create(thing("network", "a"))

    assert city.create(replace(thing("network", "b"), properties={"name": "a", "cluster": "edge-1"}))


def test_what_lost_its_mark_is_left_alone(city: Pit) -> None:
    present = city.create(thing("network"))
    sabotage.unmarked(city.provider.world.database, present.provider_id)

    with pytest.raises(PermanentError, match="does not carry the mark"):
        city.provider.delete(present)
    with pytest.raises(PermanentError, match="does not carry the mark"):
        city.update(thing("network"), present)


def test_what_is_ours_cannot_be_adopted_as_something_else(city: Pit) -> None:
    present = city.create(thing("network", "a"))
    other = thing("network", "b")

    with pytest.raises(PermanentError, match="is ours already, as bristol/shop/a"):
        city.provider.adopt(other, present.provider_id, mark_of(other))


def test_an_object_of_another_kind_cannot_be_adopted(city: Pit) -> None:
    city.look()
    made = sabotage.added(city.provider.world.database, "city", "network", {})
    wanted = thing("server")

    with pytest.raises(PermanentError, match="bristol has no server"):
        city.provider.adopt(wanted, str(made["id"]), mark_of(wanted))


def test_two_bindings_do_not_see_each_other(tmp_path: Path) -> None:
    one = Binding(name="city", plugin="sandpit", roles=frozenset({Role.COMPUTE}))
    two = Binding(name="zoo", plugin="sandpit", roles=frozenset({Role.COMPUTE}))
    both = pit(tmp_path, one, two)
    both.create(thing("network"))
    zoo = both.connect("zoo")
    both._open.reverse()

    assert zoo is both.provider
    assert both.look(unmanaged=True).present == []
    assert both.look(unmanaged=True).foreign == ()
    both.close()


def test_a_binding_lists_only_kinds_of_its_roles(tmp_path: Path) -> None:
    roles = frozenset({Role.NETWORK})
    city = pit(tmp_path, Binding(name="city", plugin="sandpit", roles=roles))
    city.look()
    database = city.provider.world.database
    from_outside = [sabotage.added(database, "city", kind, {})["id"] for kind in ("path", "server")]
    for item in from_outside:
        wanted = thing(str(item).partition("-")[0])
        city.provider.adopt(wanted, str(item), mark_of(wanted))

    assert [present.provider_id for present in city.look().present] == ["path-1"]
    city.close()


def test_unmanaged_objects_are_listed_with_kind_and_name(city: Pit) -> None:
    city.create(thing("network"))
    sabotage.added(city.provider.world.database, "city", "server", {"name": "rogue"})

    assert city.look(unmanaged=True).foreign == (Foreign("server", "server-2", "rogue"),)


# --- what is made of what ---


def test_nothing_is_made_of_what_is_not_there(city: Pit) -> None:
    with pytest.raises(PermanentError, match="is made of network-7, which bristol does not have"):
        city.create(thing("port", network="network-7"))


def test_ids_of_other_systems_are_taken_as_they_are(city: Pit) -> None:
    assert city.create(thing("software", host="3f2c-41")).health is Health.HEALTHY


@pytest.mark.parametrize(
    ("kind", "user", "property_name"), [("network", "port", "network"), ("volume", "server", "volumes")]
)
def test_what_is_in_use_cannot_go(city: Pit, kind: str, user: str, property_name: str) -> None:
    used = city.create(thing(kind))
    value: Value = [{"volume": used.provider_id}] if kind == "volume" else used.provider_id
    using = city.create(thing(user, "b", **{property_name: value}))

    with pytest.raises(PermanentError, match=f"{used.provider_id} is in use by {using.provider_id}"):
        city.provider.delete(used)
    city.provider.delete(using)
    city.provider.delete(used)
    assert city.look().present == []


def test_an_image_in_use_may_go(city: Pit) -> None:
    image = city.create(thing("image"))
    server = city.create(thing("server", image=image.provider_id))
    city.provider.delete(image)

    assert [(p.provider_id, p.health) for p in city.look().present] == [(server.provider_id, Health.HEALTHY)]


def test_software_dies_with_its_server(city: Pit) -> None:
    server = city.create(thing("server"))
    below = city.create(thing("software", "b", host=server.provider_id))
    city.create(thing("software", "c", host=below.provider_id))
    city.provider.delete(server)

    assert city.look().present == []


def test_a_server_whose_port_is_gone_is_degraded_until_it_has_another(city: Pit) -> None:
    network = city.create(thing("network"))
    port = city.create(thing("port", network=network.provider_id))
    server = city.create(thing("server", ports=[port.provider_id]))
    city.provider.delete(port)
    broken = next(p for p in city.look().present if p.provider_id == server.provider_id)

    assert (broken.health, broken.reason) == (Health.DEGRADED, f"what it is made of is gone: {port.provider_id}")
    assert broken.attributes["state"] == "error"
    assert broken.seen == server.seen

    newer = city.create(thing("port", "b", network=network.provider_id))
    assert city.update(thing("server", ports=[newer.provider_id]), server).health is Health.HEALTHY


def test_what_is_replaced_only_cannot_change_in_place(city: Pit) -> None:
    present = city.create(thing("server", hypervisor="kvm"))

    with pytest.raises(PermanentError, match="hypervisor cannot change in place; replace it"):
        city.update(thing("server", hypervisor="lxd"), present)


def test_properties_that_are_not_wanted_any_more_go(city: Pit) -> None:
    present = city.create(thing("network", dns="8.8.8.8", mtu=9000))
    after = city.update(thing("network"), present)

    assert "dns" not in after.properties
    assert after.properties["cidr"] == present.properties["cidr"]


def test_a_reference_that_was_not_settled_is_refused(city: Pit) -> None:
    with pytest.raises(PermanentError, match="refers to bristol/shop/x, which is not known yet"):
        city.create(thing("port", network=Reference("bristol/shop/x", "id")))


def test_secrets_are_kept_by_digest(city: Pit) -> None:
    present = city.create(thing("software", configuration={"password": Secret("DB", "d1", "s3cret")}))

    assert present.properties["configuration"] == {"password": Secret("DB", "d1")}
    assert b"s3cret" not in b"".join(file.read_bytes() for file in city.folder.iterdir())


# --- addresses and attributes ---


def test_a_network_gives_each_port_an_address_of_its_own(city: Pit) -> None:
    network = city.create(thing("network", cidr="10.1.2.0/24"))
    ports = [city.create(thing("port", name, network=network.provider_id)) for name in "abc"]

    assert [port.attributes["ip_address"] for port in ports] == ["10.1.2.2", "10.1.2.3", "10.1.2.4"]
    assert len({port.attributes["mac_address"] for port in ports}) == 3


def test_an_address_may_be_asked_for_once(city: Pit) -> None:
    network = city.create(thing("network", cidr="10.1.2.0/24"))
    port = city.create(thing("port", "a", network=network.provider_id, ip_address="10.1.2.9"))

    assert port.attributes["private_address"] == "10.1.2.9"
    with pytest.raises(PermanentError, match=r"10\.1\.2\.9 is taken on network a"):
        city.create(thing("port", "b", network=network.provider_id, ip_address="10.1.2.9"))


def test_the_range_of_the_spec_is_kept(city: Pit) -> None:
    network = city.create(
        thing("network", cidr="10.1.2.0/24", start_ip="10.1.2.10", end_ip="10.1.2.12", gateway_ip="10.1.2.10")
    )
    found = [city.create(thing("port", name, network=network.provider_id)).attributes["ip_address"] for name in "ab"]

    assert found == ["10.1.2.11", "10.1.2.12"]
    with pytest.raises(QuotaExceeded, match=r"network a has no free address between 10\.1\.2\.10 and 10\.1\.2\.12"):
        city.create(thing("port", "c", network=network.provider_id))


def test_the_range_of_a_port_is_kept(city: Pit) -> None:
    network = city.create(thing("network", cidr="10.1.2.0/24"))
    limits = {"ip_range_start": "10.1.2.50", "ip_range_end": "10.1.2.50"}

    assert city.create(thing("port", network=network.provider_id, **limits)).attributes["ip_address"] == "10.1.2.50"


def test_an_address_given_back_is_given_again_when_the_range_is_spent(city: Pit) -> None:
    network = city.create(thing("network", cidr="10.1.2.0/29"))
    ports = [city.create(thing("port", name, network=network.provider_id)) for name in "abcde"]
    city.provider.delete(ports[1])

    assert city.create(thing("port", "f", network=network.provider_id)).attributes["ip_address"] == "10.1.2.3"


def test_networks_of_the_sixth_version_work_alike(city: Pit) -> None:
    network = city.create(thing("network", ip_version=6))
    port = city.create(thing("port", network=network.provider_id))

    assert str(network.properties["cidr"]).startswith("fd00:")
    assert str(port.attributes["ip_address"]).endswith("::2")


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"cidr": "10.1.2.0/99"}, "cidr '10.1.2.0/99' is no network"),
        ({"cidr": 7}, "cidr 7 is no network"),
        ({"cidr": "10.1.2.0/24", "start_ip": "x"}, "start_ip 'x' is no address"),
        ({"cidr": "10.1.2.0/24", "end_ip": "10.9.9.9"}, r"end_ip 10\.9\.9\.9 is not in 10\.1\.2\.0/24"),
        ({"cidr": "::/0", "start_ip": "ffff::"}, "start_ip ffff:: is not in ::/0"),
    ],
)
def test_networks_that_make_no_sense_are_refused(city: Pit, properties: dict[str, str], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        city.create(thing("network", **properties))
    assert city.look().present == []


def test_a_server_knows_its_networks_and_ports(city: Pit) -> None:
    network = city.create(thing("network", "lan", cidr="10.1.2.0/24"))
    port = city.create(thing("port", "eth", network=network.provider_id))
    server = city.create(thing("server", ports=[port.provider_id]))

    assert server.attributes["private_address"] == "10.1.2.2"
    assert server.attributes["public_address"] == "198.18.0.1"
    assert server.attributes["networks"] == {
        "lan": {"network_id": "network-1", "network_name": "lan", "addresses": ["10.1.2.2"]}
    }
    assert server.attributes["ports"] == {
        "eth": {
            "port_id": "port-2",
            "port_name": "eth",
            "network_id": "network-1",
            "mac_address": "02:00:00:00:00:02",
            "addresses": ["10.1.2.2"],
        }
    }


def test_addresses_have_every_name_tosca_gives_them(city: Pit) -> None:
    network = city.create(thing("network", cidr="10.1.2.0/24"))
    port = city.create(thing("port", network=network.provider_id))
    server = city.create(thing("server", "b", ports=[port.provider_id]))
    software = city.create(thing("software", "c", host=server.provider_id))

    assert {port.attributes[name] for name in ("ip_address", "address", "private_address")} == {"10.1.2.2"}
    assert {item.attributes["ip_address"] for item in (server, software)} == {"10.1.2.2"}
    assert software.attributes["public_address"] == server.attributes["public_address"]
    assert (server.attributes["tosca_id"], server.attributes["tosca_name"]) == (server.provider_id, "b")
    assert network.attributes["segmentation_id"] == "1"


def test_an_update_keeps_addresses(city: Pit) -> None:
    network = city.create(thing("network"))
    first = city.create(thing("workload", network=network.provider_id, replicas=1))
    second = city.update(thing("workload", network=network.provider_id, replicas=2), first)

    assert second.attributes["private_address"] == first.attributes["private_address"]
    assert second.attributes["public_address"] == first.attributes["public_address"]


# --- time ---


def test_an_object_is_progressing_until_its_time_has_come(tmp_path: Path) -> None:
    city = pit(tmp_path, settings={"delays": {"server": 1.5}})
    made = city.create(thing("server"))
    city.wait(1.4)
    before = city.look().present[0]
    city.wait(0.2)
    after = city.look().present[0]

    assert (made.health, made.reason, made.attributes["state"]) == (Health.PROGRESSING, "ready in 1.5 s", "creating")
    assert before.health is Health.PROGRESSING
    assert (after.health, after.reason, after.attributes["state"]) == (Health.HEALTHY, "", "started")
    assert made.seen == before.seen == after.seen
    city.close()


def test_a_change_takes_its_time_and_a_new_mark_none(tmp_path: Path) -> None:
    city = pit(tmp_path, settings={"delays": {"server": "2 s"}})
    made = city.create(thing("server", vcpus=1))
    city.wait(3)
    remarked = city.provider.update(thing("server", vcpus=1), made, replace(made.mark, digest="other"))
    changed = city.update(thing("server", vcpus=2), made)

    assert remarked.health is Health.HEALTHY
    assert changed.health is Health.PROGRESSING
    city.close()


def test_the_world_outlives_the_process(city: Pit) -> None:
    made = city.create(thing("network"))
    again = city.connect()
    city.provider.close()
    city._open.remove(city.provider)

    assert city.provider is again
    assert [present.provider_id for present in city.look().present] == [made.provider_id]
