"""The OpenStack provider keeps the contract of every provider, on a real control plane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec.structs import replace

from providers.base import Context, Finding, Health, Kind, Mark, PermanentError, Present, Provider, Scope, Snapshot
from providers.openstack.provider import OpenStack
from specs.model import Address, Deployment, Resource, Role, Site, parse_address
from specs.values import Value
from tests.contract.provider_suite import (
    ProviderCase,
    ProviderSuite,
    build,
    in_order,
    look,
    mark_of,
    settle,
)
from tests.support.openstack_city import contract, site
from tests.testbed.openstack.cloud import Cloud
from tests.testbed.openstack.gate import Gate, Trouble
from tests.testbed.openstack.operator import Operator

pytestmark = pytest.mark.timeout(300)

CHANGES: dict[str, tuple[str, Value]] = {
    "network": ("name", "renamed"),
    "security_group": ("rules", [{"direction": "egress", "ethertype": "IPv4"}]),
    "qos_policy": ("rules", [{"type": "bandwidth_limit", "direction": "egress", "max_kbps": 7000}]),
    "port": ("name", "renamed"),
    "server": ("name", "renamed"),
}
NAMED = frozenset({"keypair", "server_group"})
"""Kinds whose mark is their name, which nobody can change."""
ABSENT = frozenset({"volume", "stack"})
"""Kinds of services this cloud does not have; see the unit tests of their hands."""


EXCLUSIVE = frozenset({"flow_classifier", "port_pair", "port_pair_group", "port_chain"})
"""Kinds of which no second one may be there for the same traffic and ports."""
LEAVES_ALL_AS_BUILT = frozenset(
    {
        "test_what_was_created_is_observed",
        "test_observed_properties_cover_what_was_wanted",
        "test_attributes_are_those_of_the_kind",
        "test_looking_again_sees_the_same",
        "test_another_connection_sees_the_same",
        "test_creating_twice_makes_one_object",
        "test_a_list_that_fails_makes_its_kind_unknown",
        "test_a_list_cut_short_makes_its_kind_unknown",
        "test_a_system_that_is_down_makes_everything_unknown",
        "test_secrets_are_never_given_back",
        "test_nothing_is_wrong_once_all_is_there",
        "test_a_look_asks_once_for_each_kind",
    }
)
"""Tests that build everything and leave it: the next of them finds it, which saves ten seconds each."""


def beside(resource: Resource) -> Resource:
    """Give a resource that can be there twice."""
    claimed = ("ports", "port", "interfaces")
    properties = {name: value for name, value in resource.properties.items() if name not in claimed}
    if "cidr" in properties:
        properties["cidr"] = "10.77.0.0/24"
    return replace(resource, properties=properties)


class Settled:
    """The provider, as an apply sees it: looks again until what was made is ready."""

    name: ClassVar[str] = OpenStack.name
    roles: ClassVar[frozenset[Role]] = OpenStack.roles
    kinds: ClassVar[Mapping[str, Kind]] = {
        name: replace(kind, stands_on=tuple(one for one in kind.stands_on if one not in ABSENT))
        for name, kind in OpenStack.kinds.items()
        if name not in ABSENT
    }

    def __init__(self, provider: OpenStack) -> None:
        self._provider = provider

    def foundation(self, site: Site) -> Iterable[Resource]:
        return self._provider.foundation(site)

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        return self._provider.expand(deployment)

    def observe(self, scope: Scope) -> Snapshot:
        return self._provider.observe(scope)

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        return self._provider.examine(wanted, snapshot)

    def create(self, resource: Resource, mark: Mark) -> Present:
        return self._ready(resource, self._provider.create(resource, mark))

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        return self._ready(resource, self._provider.update(resource, current, mark))

    def delete(self, current: Present) -> Present | None:
        return self._provider.delete(current)

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        return self._provider.adopt(resource, provider_id, mark)

    def close(self) -> None:
        self._provider.close()

    def _ready(self, resource: Resource, made: Present) -> Present:
        wanted = {resource.address: resource}
        scope = Scope(repository=made.mark.repository, site=parse_address(resource.address).site, wanted=wanted)
        found = [made]

        def ready() -> bool:
            if found[0].health is Health.PROGRESSING:
                seen = self._provider.observe(scope).present
                found[:1] = [one for one in seen if one.provider_id == made.provider_id][:1] or found
            return found[0].health is not Health.PROGRESSING

        Operator.wait(ready, f"{made.address} is ready")
        return found[0]


class OpenStackCase:
    """The project of the administrator, reached through a gate that can be spoiled."""

    def __init__(self, gate: Gate, admin: Operator, place: Site, deployment: Deployment, folder: Path) -> None:
        self.gate = gate
        self.admin = admin
        self.site = place
        self.deployments: tuple[Deployment, ...] = (deployment,)
        self.folder = folder

    def connect(self) -> Provider:
        context = Context(binding=self.site.bindings["city"], site=self.site, state_dir=self.folder)
        return Settled(OpenStack(context))

    def changed(self, resource: Resource) -> Resource | None:
        if resource.kind not in CHANGES:
            return None
        name, value = CHANGES[resource.kind]
        return replace(resource, properties={**resource.properties, name: value})

    def exists(self, provider_id: str) -> bool:
        return self.admin.exists(provider_id)

    def add_foreign(self, resource: Resource) -> str:
        """Let the provider make it for somebody else, then take the mark off."""
        properties = {key: value for key, value in resource.properties.items() if key != "ip_address"}
        theirs = replace(resource, properties=properties)
        provider = self.connect()
        made = provider.create(theirs, replace(mark_of(resource), repository="theirs"))
        provider.close()
        self.admin.unmark(made.provider_id)
        return self.admin.renamed.get(made.provider_id, made.provider_id)

    def unmark(self, provider_id: str) -> None:
        self.admin.unmark(provider_id)

    def time_out(self, verb: str, kind: str) -> None:
        self.gate.spoil(verb, kind, Trouble.TIME_OUT)

    def refuse(self, verb: str, kind: str) -> None:
        self.gate.spoil(verb, kind, Trouble.REFUSE)

    def lose_answer(self, verb: str, kind: str) -> None:
        self.gate.spoil(verb, kind, Trouble.LOSE, times=1)

    def cut_short(self, kind: str) -> None:
        self.gate.spoil("list", kind, Trouble.CUT)

    def take_down(self) -> None:
        self.gate.take_down()

    def mend(self) -> None:
        self.gate.mend()


@pytest.fixture
def gate(cloud: Cloud) -> Iterator[Gate]:
    names = ("identity", "compute", "network", "image", "placement")
    with Gate({name: cloud.url(name) for name in names}).running() as gate:
        yield gate


@pytest.fixture(scope="module")
def left() -> set[str]:
    """Whether something is left of the tests before."""
    return {"built"}


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left(admin: Operator) -> Iterator[None]:
    yield
    admin.sweep()
    assert admin.left() == []


class TestOpenStack(ProviderSuite):
    """All of the contract; what the cloud cannot show is said where it is left out."""

    @pytest.fixture
    def case(
        self,
        gate: Gate,
        admin: Operator,
        images: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        left: set[str],
        request: pytest.FixtureRequest,
    ) -> Iterator[ProviderCase]:
        gate.write_clouds(tmp_path / "clouds.yaml", "admin")
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
        monkeypatch.setenv("RECONCILER_IMAGES", str(images))
        place = site("gate")
        keeps = request.node.originalname in LEAVES_ALL_AS_BUILT
        if not keeps and "built" in left:
            admin.sweep()
            left.clear()
        yield OpenStackCase(gate, admin, place, contract("file:tiny.raw", place), tmp_path)
        gate.mend()
        if any(call.startswith("POST") and "/auth/" not in call for call in gate.calls):
            left.add("built")
        if not keeps and "built" in left:
            admin.sweep()
            left.clear()

    def test_a_look_asks_once_for_each_kind(
        self, case: ProviderCase, gate: Gate, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        build(provider, wanted)
        look(provider, wanted)  # learns once what does not change
        gate.calls.clear()
        look(provider, wanted)

        assert len(gate.calls) == len(Settled.kinds)
        assert len({call.partition("?")[0] for call in gate.calls}) == len(gate.calls)

    def test_foreign_objects_are_reported_only_when_asked(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        """As in the contract, with foreign objects that do not claim what belongs to ours."""
        made = build(provider, wanted)
        others = [beside(settle(resource, made)) for resource in wanted.values() if resource.kind not in EXCLUSIVE]
        foreign = {case.add_foreign(other) for other in others}

        assert {item.provider_id for item in look(provider, wanted, unmanaged=True).foreign} >= foreign
        assert look(provider, wanted).foreign == ()
        assert not foreign & {present.provider_id for present in look(provider, wanted, unmanaged=True).present}

    def test_adopting_puts_a_mark_on_and_changes_nothing_else(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made: dict[Address, Present] = {}
        for resource in in_order(wanted):
            settled = settle(resource, made)
            if resource.kind in NAMED:
                made[resource.address] = provider.create(settled, mark_of(resource))
                continue
            foreign = case.add_foreign(settled)
            made[resource.address] = provider.adopt(settled, foreign, mark_of(resource))

            assert made[resource.address].provider_id == foreign
        found = {present.address: present for present in look(provider, wanted).present}

        assert {a: p.provider_id for a, p in found.items()} == {a: p.provider_id for a, p in made.items()}
        assert all(present.mark == mark_of(wanted[address]) for address, present in found.items())

    def test_what_has_nothing_but_a_name_cannot_be_adopted(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        for resource in (one for one in wanted.values() if one.kind in NAMED):
            foreign = case.add_foreign(settle(resource, {}))

            with pytest.raises(PermanentError, match="its name, which cannot change"):
                provider.adopt(settle(resource, {}), foreign, mark_of(resource))
