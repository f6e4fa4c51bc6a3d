"""What every provider must do. Each provider's tests subclass `ProviderSuite` and give it a `case`.

A case knows the provider's system from the other side: it looks at objects, spoils calls and puts foreign objects there
without the provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from graphlib import TopologicalSorter
from time import monotonic
from typing import Protocol

import pytest
from msgspec.structs import replace

from providers.base import (
    Health,
    Mark,
    PermanentError,
    Present,
    Provider,
    ProviderError,
    Scope,
    Snapshot,
    TransientError,
    unknown_reason,
)
from reconciler.difference import Later
from reconciler.resolve import resolve
from specs.model import Address, Deployment, Resource, Subject, parse_address, subject
from specs.values import Reference, Secret, Value, encode, expressions, rewrite

REPOSITORY = "0123456789ab"
PASSWORD = "correct-horse-battery-staple"
PATIENCE_SECONDS = 60
"""How long a system may take to remove an object."""


class ProviderCase(Protocol):
    """One provider's system, fresh for one test."""

    deployments: tuple[Deployment, ...]
    """What to expand: every kind the provider has, and a `Secret` somewhere."""

    def connect(self) -> Provider:
        """Build one more provider for the same system."""

    def changed(self, resource: Resource) -> Resource | None:
        """Give the resource with a property changed that can change in place, if its kind has one."""

    def exists(self, provider_id: str) -> bool:
        """Tell whether an object is there, whoever's it is."""

    def add_foreign(self, resource: Resource) -> str:
        """Put an object there which carries no mark and which the resource could adopt; give its id."""

    def unmark(self, provider_id: str) -> None:
        """Take the mark off an object."""

    def time_out(self, verb: str, kind: str) -> None:
        """Make every `list`, `create`, `update` or `delete` of a kind time out, until `mend`."""

    def refuse(self, verb: str, kind: str) -> None:
        """Make every such call fail for good, until `mend`."""

    def lose_answer(self, verb: str, kind: str) -> None:
        """Make the next such call do its work and lose the answer."""

    def cut_short(self, kind: str) -> None:
        """Make lists of a kind come without their last page, until `mend`."""

    def take_down(self) -> None:
        """Make the whole system not answer, until `mend`."""

    def mend(self) -> None:
        """Make everything work again."""


class ProviderSuite:
    """The contract of `providers.base`, as tests."""

    @pytest.fixture
    def provider(self, case: ProviderCase) -> Iterator[Provider]:
        with closing(case.connect()) as provider:
            yield provider

    @pytest.fixture
    def wanted(self, case: ProviderCase, provider: Provider) -> dict[Address, Resource]:
        return linked(expanded(provider, case.deployments))

    # --- expand ---

    def test_expanding_twice_gives_the_same(self, case: ProviderCase, provider: Provider) -> None:
        again = case.connect()

        assert expanded(provider, case.deployments) == expanded(again, case.deployments)
        again.close()

    def test_expanding_needs_no_connection(self, case: ProviderCase) -> None:
        case.take_down()

        assert expanded(case.connect(), case.deployments)

    def test_addresses_are_valid_and_unique(self, case: ProviderCase, provider: Provider) -> None:
        addresses = [resource.address for resource in expanded(provider, case.deployments)]

        assert len(set(addresses)) == len(addresses)
        assert {parse_address(address).provider for address in addresses} == {provider.name}
        assert {parse_address(address).kind for address in addresses} == set(provider.kinds)

    def test_requirements_name_known_things(self, case: ProviderCase, provider: Provider) -> None:
        resources = expanded(provider, case.deployments)
        known = {str(resource.address) for resource in resources} | subjects(case.deployments)

        for resource in resources:
            assert set(resource.requires) <= known
            assert list(resource.requires) == sorted(set(resource.requires))
            assert {reference.target for reference in resource.references} <= known

    def test_requirements_make_no_circle(self, wanted: dict[Address, Resource]) -> None:
        TopologicalSorter({address: resource.requires for address, resource in wanted.items()}).prepare()

    def test_one_resource_stands_for_an_endpoint(self, case: ProviderCase, provider: Provider) -> None:
        standing = [parse_address(r.address).subject for r in expanded(provider, case.deployments) if r.stands]

        assert len(set(standing)) == len(standing)
        assert set(standing) <= subjects(case.deployments)

    def test_kinds_speak_of_known_kinds(self, provider: Provider) -> None:
        for name, kind in provider.kinds.items():
            assert kind.name == name
            assert {*kind.stands_on, *kind.dies_with} <= set(provider.kinds)

    # --- create and observe ---

    def test_what_was_created_is_observed(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        made = build(provider, wanted)
        found = {present.address: present for present in look(provider, wanted).present}

        assert found.keys() == wanted.keys()
        for address, present in found.items():
            assert present.mark == mark_of(wanted[address])
            assert present.seen == made[address].seen
            assert present.provider_id == made[address].provider_id
            assert dict(present.properties) == dict(made[address].properties)

    def test_observed_properties_cover_what_was_wanted(
        self, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)

        for address, present in made.items():
            kind = provider.kinds[wanted[address].kind]
            settled = settle(wanted[address], made).properties
            for name in settled.keys() - kind.ignored:
                assert present.properties[name] == settled[name], f"{name} of {address}"

    def test_attributes_are_those_of_the_kind(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        for address, present in build(provider, wanted).items():
            assert set(present.attributes) <= provider.kinds[wanted[address].kind].attributes

    def test_looking_again_sees_the_same(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        build(provider, wanted)

        assert look(provider, wanted).present == look(provider, wanted).present

    def test_another_connection_sees_the_same(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        build(provider, wanted)

        with closing(case.connect()) as other:
            assert ids(look(other, wanted)) == ids(look(provider, wanted))

    def test_creating_twice_makes_one_object(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        first = build(provider, wanted)
        second = build(provider, wanted)

        assert ids(look(provider, wanted)) == sorted(present.provider_id for present in first.values())
        assert {p.provider_id for p in first.values()} == {p.provider_id for p in second.values()}

    def test_creating_after_a_lost_answer_makes_one_object(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made: dict[Address, Present] = {}
        for resource in in_order(wanted):
            settled = settle(resource, made)
            case.lose_answer("create", resource.kind)
            with pytest.raises(TransientError):
                provider.create(settled, mark_of(resource))
            made[resource.address] = provider.create(settled, mark_of(resource))

        assert ids(look(provider, wanted)) == sorted(present.provider_id for present in made.values())

    def test_a_replacement_may_stand_beside_the_old_object(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)
        early = [resource for resource in wanted.values() if provider.kinds[resource.kind].create_before_delete]
        for resource in early:
            newer = provider.create(settle(resource, made), replace(mark_of(resource), digest="newer"))

            both = [p for p in look(provider, wanted).present if p.address == resource.address]
            assert {p.provider_id for p in both} == {made[resource.address].provider_id, newer.provider_id}
            assert {p.mark.digest for p in both} == {resource.digest, "newer"}

    def test_several_threads_may_work_at_once(self, case: ProviderCase, provider: Provider) -> None:
        wanted = linked(expanded(provider, case.deployments))
        made: dict[Address, Present] = {}
        with ThreadPoolExecutor(8) as pool:
            for rank in ranks(wanted):
                calls = [(settle(resource, made), mark_of(resource)) for resource in rank]
                answers = list(pool.map(lambda call: provider.create(*call), calls * 2))
                made |= {present.address: present for present in answers}

        assert ids(look(provider, wanted)) == sorted(present.provider_id for present in made.values())

    # --- update ---

    def test_updating_changes_the_object_in_place(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)
        for changed in filter(None, (case.changed(resource) for resource in wanted.values())):
            current = made[changed.address]
            settled = settle(changed, made)
            after = provider.update(settled, current, mark_of(changed))
            again = provider.update(settled, after, mark_of(changed))

            assert after.provider_id == current.provider_id
            assert after.seen != current.seen
            assert again.seen == after.seen
            assert after.mark == mark_of(changed)
            assert settled.properties == {name: after.properties[name] for name in settled.properties}

    def test_updating_after_a_lost_answer_succeeds(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)
        changed = next(filter(None, (case.changed(resource) for resource in wanted.values())))
        case.lose_answer("update", changed.kind)
        with pytest.raises(TransientError):
            provider.update(settle(changed, made), made[changed.address], mark_of(changed))
        after = provider.update(settle(changed, made), made[changed.address], mark_of(changed))

        assert after.mark == mark_of(changed)

    def test_updating_what_is_gone_is_an_error(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)
        changed = last(filter(None, (case.changed(resource) for resource in in_order(wanted))))
        take_apart(provider, wanted, made)

        with pytest.raises(ProviderError):
            provider.update(settle(changed, made), made[changed.address], mark_of(changed))

    # --- delete ---

    def test_deleting_in_reverse_leaves_nothing(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        made = build(provider, wanted)
        take_apart(provider, wanted, made)

        assert look(provider, wanted).present == []
        assert not look(provider, wanted).unknown

    def test_deleting_twice_is_fine(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        made = build(provider, wanted)
        take_apart(provider, wanted, made)
        take_apart(provider, wanted, made)

        assert look(provider, wanted).present == []

    def test_deleting_after_a_lost_answer_succeeds(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)
        top = last(in_order(wanted))
        case.lose_answer("delete", top.kind)
        with pytest.raises(TransientError):
            provider.delete(made[top.address])
        provider.delete(made[top.address])

        assert not case.exists(made[top.address].provider_id)

    def test_what_lost_our_mark_is_not_deleted(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)
        for resource in reversed(in_order(wanted)):
            present = made[resource.address]
            case.unmark(present.provider_id)
            with suppress(ProviderError):
                provider.delete(present)

            assert case.exists(present.provider_id)
        assert look(provider, wanted).present == []

    # --- what is not ours ---

    def test_foreign_objects_are_reported_only_when_asked(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted)
        foreign = {case.add_foreign(settle(resource, made)) for resource in wanted.values()}

        assert {item.provider_id for item in look(provider, wanted, unmanaged=True).foreign} >= foreign
        assert look(provider, wanted).foreign == ()
        assert not foreign & {present.provider_id for present in look(provider, wanted, unmanaged=True).present}

    def test_objects_of_another_repository_are_not_ours(
        self, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted, repository="another")

        assert look(provider, wanted).present == []
        seen = {item.provider_id for item in look(provider, wanted, unmanaged=True).foreign}
        assert seen >= {present.provider_id for present in made.values()}

    def test_objects_of_another_repository_are_not_deleted(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made = build(provider, wanted, repository="another")
        for resource in reversed(in_order(wanted)):
            theirs = made[resource.address]
            with suppress(ProviderError):
                provider.delete(replace(theirs, mark=mark_of(resource)))

            assert case.exists(theirs.provider_id)

    def test_adopting_puts_a_mark_on_and_changes_nothing_else(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        made: dict[Address, Present] = {}
        for resource in in_order(wanted):
            foreign = case.add_foreign(settle(resource, made))
            made[resource.address] = provider.adopt(settle(resource, made), foreign, mark_of(resource))

            assert made[resource.address].provider_id == foreign
        found = {present.address: present for present in look(provider, wanted).present}

        assert {a: p.provider_id for a, p in found.items()} == {a: p.provider_id for a, p in made.items()}
        assert all(present.mark == mark_of(wanted[address]) for address, present in found.items())

    def test_adopting_what_is_not_there_is_an_error(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        first = in_order(wanted)[0]

        with pytest.raises(PermanentError):
            provider.adopt(settle(first, {}), "no-such-object", mark_of(first))

    # --- when calls fail ---

    def test_a_list_that_fails_makes_its_kind_unknown(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        build(provider, wanted)
        for kind in provider.kinds:
            for spoil in (case.time_out, case.refuse):
                spoil("list", kind)
                snapshot = look(provider, wanted)
                case.mend()

                assert unseen(snapshot, wanted) <= silent(snapshot, wanted)
                assert kind in {parse_address(address).kind for address in silent(snapshot, wanted)}

    def test_a_list_cut_short_makes_its_kind_unknown(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        build(provider, wanted)
        for kind in provider.kinds:
            case.cut_short(kind)
            snapshot = look(provider, wanted)
            case.mend()

            assert unseen(snapshot, wanted)
            assert unseen(snapshot, wanted) <= silent(snapshot, wanted)

    def test_a_system_that_is_down_makes_everything_unknown(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        build(provider, wanted)
        case.take_down()
        with closing(case.connect()) as fresh:
            snapshot = look(fresh, wanted, unmanaged=True)

        assert snapshot.present == []
        assert snapshot.foreign == ()
        assert silent(snapshot, wanted) == wanted.keys()
        assert list(provider.examine(wanted, snapshot)) == []

    def test_calls_that_time_out_are_transient_and_do_nothing(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        first = in_order(wanted)[0]
        case.time_out("create", first.kind)
        with pytest.raises(TransientError):
            provider.create(settle(first, {}), mark_of(first))
        case.mend()

        assert look(provider, wanted).present == []

    def test_calls_that_are_refused_are_permanent(
        self, case: ProviderCase, provider: Provider, wanted: dict[Address, Resource]
    ) -> None:
        first = in_order(wanted)[0]
        made = provider.create(settle(first, {}), mark_of(first))
        for verb in ("create", "update", "delete"):
            case.refuse(verb, first.kind)

        with pytest.raises(PermanentError):
            provider.create(settle(first, {}), replace(mark_of(first), digest="other"))
        with pytest.raises(PermanentError):
            provider.update(settle(first, {}), made, mark_of(first))
        with pytest.raises(PermanentError):
            provider.delete(made)
        case.mend()
        assert case.exists(made.provider_id)

    # --- secrets ---

    def test_secrets_are_never_given_back(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        secretive = [resource for resource in wanted.values() if secrets_in(resource.properties)]
        build(provider, wanted)
        found = {present.address: present for present in look(provider, wanted).present}

        assert secretive
        for resource in secretive:
            present = found[resource.address]
            texts = [json.dumps(encode(dict(present.properties))), repr(present), repr(dict(present.attributes))]
            assert not any(PASSWORD in text for text in texts)
            assert {s.digest for s in secrets_in(present.properties)} == {
                s.digest for s in secrets_in(resource.properties)
            }

    # --- examine ---

    def test_nothing_is_wrong_with_an_empty_system(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        assert list(provider.examine(wanted, look(provider, wanted))) == []

    def test_nothing_is_wrong_once_all_is_there(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        build(provider, wanted)

        assert list(provider.examine(wanted, look(provider, wanted))) == []


# --- what the tests share --------------------------------------------------------------------------


def expanded(provider: Provider, deployments: Iterable[Deployment]) -> list[Resource]:
    """Give the resources of all deployments and of their sites as the provider gives them."""
    deployments = tuple(deployments)
    sites = {deployment.site.name: deployment.site for deployment in deployments}
    found = [resource for site in sites.values() for resource in provider.foundation(site)]
    for deployment in deployments:
        found += provider.expand(deployment)
    return found


def subjects(deployments: Iterable[Deployment]) -> set[str]:
    """Name every endpoint and every node."""
    endpoints = [endpoint for deployment in deployments for endpoint in deployment.endpoints]
    nodes = {subject(endpoint.site, endpoint.service, endpoint.node) for endpoint in endpoints}
    return {endpoint.subject for endpoint in endpoints} | nodes


def linked(resources: Iterable[Resource]) -> dict[Address, Resource]:
    """Put addresses in the place of subjects: the first that stands for an endpoint or a node."""
    resources = list(resources)
    standing: dict[str, Address] = {}
    for resource in sorted(resources, key=lambda resource: resource.address, reverse=True):
        if resource.stands:
            parts = parse_address(resource.address)
            standing[parts.subject] = resource.address
            standing[Subject(subject(parts.site, parts.service, parts.node))] = resource.address

    def settle(item: object) -> Value:
        assert isinstance(item, Reference)
        return replace(item, target=standing.get(item.target, item.target))

    found: dict[Address, Resource] = {}
    for resource in sorted(resources, key=lambda resource: resource.address):
        properties = {
            name: rewrite(value, lambda item: item if isinstance(item, Secret) else settle(item))
            for name, value in resource.properties.items()
        }
        named = [*resource.requires, *(reference.target for reference in resource.references)]
        requires = {standing.get(name, name) for name in named}
        known = sorted(name for name in requires if ":" in name and name != resource.address)
        found[resource.address] = replace(resource, properties=properties, requires=tuple(known))
    return found


def ranks(wanted: Mapping[Address, Resource]) -> Iterator[list[Resource]]:
    """Give resources in groups, each of which requires only groups before it."""
    sorter = TopologicalSorter({address: resource.requires for address, resource in wanted.items()})
    sorter.prepare()
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        yield [wanted[Address(address)] for address in ready]
        sorter.done(*ready)


def in_order(wanted: Mapping[Address, Resource]) -> list[Resource]:
    """Give what others require first."""
    return [resource for rank in ranks(wanted) for resource in rank]


def settle(resource: Resource, made: Mapping[Address, Present]) -> Resource:
    """Put in what references and secrets mean, as an apply does."""
    settled: dict[str, Value] = {}
    for name, value in resource.properties.items():
        found = resolve(value, made.get, lambda secret: secret.unsealed(PASSWORD))
        assert not isinstance(found, Later), f"{name} of {resource.address} refers to what is not there: {value}"
        settled[name] = found
    return replace(resource, properties=settled)


def mark_of(resource: Resource, repository: str = REPOSITORY) -> Mark:
    """Give the mark an apply writes."""
    return Mark(repository, resource.address, resource.digest)


def build(
    provider: Provider, wanted: Mapping[Address, Resource], repository: str = REPOSITORY
) -> dict[Address, Present]:
    """Create everything, what others require first."""
    made: dict[Address, Present] = {}
    for resource in in_order(wanted):
        made[resource.address] = provider.create(settle(resource, made), mark_of(resource, repository))
        assert made[resource.address].health in (Health.HEALTHY, Health.PROGRESSING)
    return made


def take_apart(provider: Provider, wanted: Mapping[Address, Resource], made: Mapping[Address, Present]) -> None:
    """Delete everything, what requires others first; wait for what the system still works on."""
    for resource in reversed(in_order(wanted)):
        if provider.delete(made[resource.address]) is not None:
            wait_until_gone(provider, wanted, made[resource.address])


def wait_until_gone(provider: Provider, wanted: Mapping[Address, Resource], present: Present) -> None:
    """Look until an object is gone."""
    deadline = monotonic() + PATIENCE_SECONDS
    while present.provider_id in ids(look(provider, wanted)):
        assert monotonic() < deadline, f"{present.provider_id} did not go"


def look(provider: Provider, wanted: Mapping[Address, Resource], *, unmanaged: bool = False) -> Snapshot:
    """Observe as the repository of the tests."""
    site = parse_address(next(iter(wanted))).site
    return provider.observe(Scope(repository=REPOSITORY, site=site, wanted=wanted, unmanaged=unmanaged))


def ids(snapshot: Snapshot) -> list[str]:
    """Give the ids of all present objects."""
    return sorted(present.provider_id for present in snapshot.present)


def unseen(snapshot: Snapshot, wanted: Mapping[Address, Resource]) -> set[Address]:
    """Give the addresses nothing is present for."""
    return wanted.keys() - {present.address for present in snapshot.present}


def silent(snapshot: Snapshot, wanted: Mapping[Address, Resource]) -> set[Address]:
    """Give the addresses nothing may be concluded about."""
    parts = {address: parse_address(address) for address in wanted}
    return {a for a, part in parts.items() if unknown_reason(snapshot, part.kind, part.cluster) is not None}


def secrets_in(value: Value) -> list[Secret]:
    """Give every secret inside a value."""
    return [item for item in expressions(value) if isinstance(item, Secret)]


def last(resources: Iterable[Resource]) -> Resource:
    """Give the last one."""
    *_, found = resources
    return found
