"""The protocol every provider speaks, its values and its errors.

A plugin is a class named in the entry-point group `reconciler.providers`, built as
`plugin(context)`. It is checked by `tests/contract`. A provider knows resources and observations; it
knows nothing of plans, policies or git, never sleeps to retry and never decides what happens next.

    ProviderError(ReconcilerError)
    ├── TransientError   try again, after `retry_after` if given
    └── PermanentError   a person or a new commit must change something first
        └── QuotaExceeded
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from msgspec import Struct, field

from specs.errors import ReconcilerError, Severity
from specs.model import Address, Binding, Deployment, Resource, Role, Site
from specs.shares import ByService
from specs.values import Properties


class ProviderError(ReconcilerError):
    """A provider could not do what it was asked."""


class TransientError(ProviderError):
    """The same call may succeed later; `retry_after` is what the service asked for, if it did."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(ProviderError):
    """The same call will fail again until a person or a commit changes something."""


class QuotaExceeded(PermanentError):  # noqa: N818 — the word of DESIGN 7
    """A quota or a capacity is used up; the message names it, what is used and what was wanted.

    Tried again only when the same plan has removed something meanwhile.
    """


class Health(StrEnum):
    """How something that exists is doing, in the words of Argo CD and Flux."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


class Mark(Struct, frozen=True, gc=False):
    """The owner mark an object carries: whose it is, which one, and what we last wrote to it."""

    repository: str
    address: Address
    digest: str


class Present(Struct, frozen=True, kw_only=True, gc=False):
    """An object as seen.

    `properties` speak the vocabulary of the resource's kind and may hold more than the spec mentions.
    `seen` is a digest over properties and attributes: equal digests, equal object.
    """

    provider_id: str
    mark: Mark
    properties: Properties
    attributes: Properties = field(default_factory=dict)
    """What is known only after creation: `private_address`, `id`…"""
    health: Health = Health.HEALTHY
    reason: str = ""
    """Why it is not healthy, in words for an operator."""
    no_room: bool = False
    """Degraded because the system is full: `create`, called once more, tries to find it a place again."""
    seen: str

    @property
    def address(self) -> Address:
        """The address its mark names."""
        return self.mark.address


class Absent(Struct, frozen=True):
    """The system answered, and the object is not there."""


class Unknown(Struct, frozen=True):
    """The system did not answer for it; nothing may be concluded."""

    reason: str


Observed = Present | Absent | Unknown


class Foreign(Struct, frozen=True):
    """An object without our mark: never touched, reported on request, adopted when asked."""

    kind: str
    provider_id: str
    name: str


class Finding(Struct, frozen=True):
    """Something worth saying at plan time; an error blocks its address (or the whole binding if empty)."""

    severity: Severity
    message: str
    address: Address | None = None


class Scope(Struct, frozen=True, kw_only=True):
    """What to look at: everything that carries our mark on this site, and the wanted resources."""

    repository: str
    site: str
    wanted: Mapping[Address, Resource]
    """What the spec wants of this binding: names to look for, kinds to list."""
    unmanaged: bool = False
    """Also report foreign objects."""


class Snapshot(Struct, frozen=True, kw_only=True, dict=True):
    """What one binding answered.

    An address with no object in `present` is `Absent`, unless its kind (or cluster) stands in
    `unknown`: then it is `Unknown`. Two objects may carry one address for the time of a
    create-before-delete replacement; both are listed.
    """

    present: Sequence[Present] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Kind, `kind@cluster`, `@cluster` or `*` → why it could not be seen."""
    foreign: Sequence[Foreign] = ()
    findings: Sequence[Finding] = ()
    sources: Sequence[Path] | None = None
    """The files all this was read from, if nothing else has a say in it, not even time: as long as they stand still,
    the next look would show the same, and nobody needs to look."""

    @cached_property
    def by_address(self) -> ByService[Address, Present]:
        """One object for every address; of two that share one, the later."""
        return ByService.of((present.mark.address, present) for present in self.present)


class Kind(Struct, frozen=True, kw_only=True):
    """How resources of one kind behave."""

    name: str
    description: str
    replaced_by: frozenset[str] = frozenset()
    """Properties that cannot change in place: top-level names."""
    ignored: frozenset[str] = frozenset()
    """Properties that are written but never compared: the service does not give them back."""
    sensitive: frozenset[str] = frozenset()
    """Properties shown as `(sensitive)`."""
    attributes: frozenset[str] = frozenset()
    """Attributes known only after creation."""
    create_before_delete: bool = False
    stands_on: tuple[str, ...] = ()
    """Kinds it usually requires: the order of deletes when the record of requirements is lost."""
    dies_with: frozenset[str] = frozenset()
    """Required kinds that take it with them when they are replaced."""
    deadline: timedelta = timedelta(minutes=10)
    """How long it may take to become healthy."""


class Context(Struct, frozen=True, kw_only=True):
    """What a plugin is built with. Building connects to nothing; the first look does."""

    binding: Binding
    site: Site
    state_dir: Path
    """A folder for local state of embedded providers (`.reconciler/` of the repository)."""
    stir: Callable[[], None] | None = None
    """Set where somebody waits for news: a provider that can watch its system then does, answers looks from what it
    keeps, and calls this, from any thread, when somebody else has changed something. It only says: look again."""


class Provider(Protocol):
    """One binding at work. Calls may come from several threads at once, within the binding's budget."""

    name: ClassVar[str]
    """The plugin's name, the `<provider>` of addresses."""
    roles: ClassVar[frozenset[Role]]
    """What it can do for a site."""
    kinds: ClassVar[Mapping[str, Kind]]

    def foundation(self, site: Site) -> Iterable[Resource]:
        """Give the resources the site itself needs, with `-` as their service. Pure, no connection."""

    def expand(self, deployment: Deployment) -> Iterable[Resource]:
        """Turn the endpoints this binding serves into resources. Pure, no connection.

        Compute serves endpoints whose `binding` is its own; network and monitoring serve all
        endpoints of the site. `ProviderError` for what this provider can never do.
        """

    def observe(self, scope: Scope) -> Snapshot:
        """List what is there, in as few calls as the system allows.

        Never raises for an API that fails: what could not be seen goes to `Snapshot.unknown`.
        """

    def examine(self, wanted: Mapping[Address, Resource], snapshot: Snapshot) -> Iterable[Finding]:
        """Say what will not work before anything is tried: quota, missing extension, name taken."""

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make the object, mark included, and say what is there now.

        Properties arrive with references and secrets resolved (`Secret.text` is set). Idempotent:
        first looks for an object with the same address and digest and returns it.
        """

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Change the object in place until it is as the resource says; idempotent."""

    def delete(self, current: Present) -> Present | None:
        """Remove the object; gone already is success. Never removes what lost our mark.

        Gives what is left while the system still works on it, `None` once it is gone.
        """

    def adopt(self, resource: Resource, provider_id: str, mark: Mark) -> Present:
        """Put our mark on a foreign object; changes nothing else."""

    def close(self) -> None:
        """Let go of connections."""


class ConfigurationEvent(Struct, frozen=True, kw_only=True):
    """What an apply changed about one endpoint or node."""

    site: str
    sfc: str
    sfci: str
    function: str
    """The node."""
    endpoint: str
    """Its subject: `bristol/vr-tour/storage@edge-1.0`."""
    cluster: str = ""
    location: str = ""
    state: str
    """The lifecycle state it is in now, `unplaced` when it is gone."""
    action: str
    """`create`, `update`, `delete`…"""
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    run: str = ""
    commit: str = ""
    cause: str = ""
    """Why: `push`, `drift`, or `alert` and the id of the firing."""


@runtime_checkable
class Chronicler(Protocol):
    """What a provider may offer beside its protocol: to keep a record of what applies have changed."""

    def record(self, events: Sequence[ConfigurationEvent]) -> None:
        """Write events down; the same event twice is one. `TransientError` if that is not possible now."""


def unknown_reason(snapshot: Snapshot, kind: str, cluster: str) -> str | None:
    """Tell why nothing can be said about a kind on a cluster, or `None` when absence is real."""
    if not snapshot.unknown:
        return None
    for key in ("*", f"@{cluster}", kind, f"{kind}@{cluster}"):
        if key in snapshot.unknown:
            return snapshot.unknown[key]
    return None


def roles_of(binding: Binding, site: Site, offered: frozenset[Role]) -> frozenset[Role]:
    """Tell which roles a binding plays: those it names, or what its plugin offers and no other binding claims.

    Compute may be played by many. Of several bindings of one plugin that name no role, the first by name plays the
    others. `PermanentError` for a role the plugin does not offer.
    """
    if missing := binding.roles - offered:
        raise PermanentError(
            f"binding {binding.name} of {site.name}: {binding.plugin} cannot do {', '.join(sorted(missing))};"
            f" it offers {', '.join(sorted(offered))}"
        )
    if binding.roles:
        return binding.roles
    taken = {role for other in site.bindings.values() if other.name != binding.name for role in other.roles}
    twins = [other.name for other in site.bindings.values() if other.plugin == binding.plugin and not other.roles]
    if min(twins, default=binding.name) < binding.name:
        taken |= offered
    return offered - (taken - {Role.COMPUTE})
