"""Makes an object that is there already ours: the one thing that puts our mark on what we did not make."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from providers.base import Foreign, Mark, Present, unknown_reason
from reconciler.difference import Later, Recognised
from reconciler.look import Ground, Look, look
from reconciler.resolve import resolve
from specs.errors import ReconcilerError
from specs.model import Address, Resource, parse_address
from specs.values import Properties, digest
from state.store import Item


class AdoptionError(ReconcilerError):
    """The object cannot be adopted; the message says what there is to choose from."""


class Adopted(Struct, frozen=True, kw_only=True):
    """What became ours."""

    address: Address
    provider_id: str
    as_wanted: bool
    """Whether it is as the spec says already; if not, the next plan shows what differs."""


def adopt(ground: Ground, site: str, address: Address, provider_id: str = "") -> Adopted:
    """Adopt the foreign object with an id, or the only one with the wanted name; call under the site's lock."""
    seen = look(ground, site, unmanaged=True)
    resource = seen.desired.resources.get(address)
    if resource is None:
        raise AdoptionError(f"the specs want no {address}; reconciler graph shows what they want")
    if (there := seen.comparison.present.get(address)) is not None:
        raise AdoptionError(f"{address} is ours already: {there.provider_id}")
    found = _choose(seen, resource, provider_id)
    # An empty digest: we have written nothing to it yet, so whatever differs is for the next plan to change.
    mark = Mark(ground.repository, address, "")
    present = seen.providers[resource.binding].adopt(_settled(resource, seen), found.provider_id, mark)
    as_wanted = all(
        isinstance(difference, Recognised)
        for difference in look(ground, site).comparison.differences
        if difference.address == address
    )
    ground.store.remember([_item(ground, resource, present, as_wanted=as_wanted)])
    return Adopted(address=address, provider_id=present.provider_id, as_wanted=as_wanted)


def _choose(seen: Look, resource: Resource, provider_id: str) -> Foreign:
    snapshot = seen.seen.snapshots[resource.binding]
    parts = parse_address(resource.address)
    if (reason := unknown_reason(snapshot, parts.kind, parts.cluster)) is not None:
        raise AdoptionError(f"{resource.address} could not be looked for: {reason}")
    candidates = [foreign for foreign in snapshot.foreign if foreign.kind == parts.kind]
    name = resource.properties.get("name", parts.node)
    chosen = [
        foreign
        for foreign in candidates
        if (foreign.provider_id if provider_id else foreign.name) == (provider_id or name)
    ]
    if len(chosen) == 1:
        return chosen[0]
    what = f"id {provider_id!r}" if provider_id else f"name {name!r}"
    there = ", ".join(f"{foreign.provider_id} ({foreign.name})" for foreign in chosen or candidates) or "none"
    raise AdoptionError(f"{len(chosen) or 'no'} {parts.kind} that is not ours has the {what}; there are: {there}")


def _settled(resource: Resource, seen: Look) -> Resource:
    """Put in what references mean now; what is not known yet is left out."""
    known = {name: resolve(value, seen.comparison.present.get) for name, value in resource.properties.items()}
    return replace(resource, properties={name: value for name, value in known.items() if not isinstance(value, Later)})


def _item(ground: Ground, resource: Resource, present: Present, *, as_wanted: bool) -> Item:
    """Record it as wanted, or else as it is: then the difference counts as a change of the spec, not of the world."""
    there: Properties = {name: present.properties[name] for name in resource.properties if name in present.properties}
    applied = resource.properties if as_wanted else there
    return Item(
        address=resource.address,
        binding=resource.binding,
        provider_id=present.provider_id,
        digest=digest(applied),
        properties=applied,
        requires=tuple(Address(needed) for needed in resource.requires),
        protect=resource.protect,
        seen=present.seen,
        commit=ground.catalogue.commit,
        updated_at=ground.clock(),
    )
