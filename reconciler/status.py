"""Whether sites and services are as git says and how they do: two words for each, from one look. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from providers.base import Finding, Health, Present
from reconciler.difference import Difference, Gone, Recognised, Unseen
from reconciler.records import Records
from specs.desired import Desired
from specs.model import Address, parse_address
from state.store import Suspension

SITE = "-"
"""The service under which the site's own resources go."""

_FROM_BEST = (
    Health.HEALTHY,
    Health.SUSPENDED,
    Health.PROGRESSING,
    Health.MISSING,
    Health.DEGRADED,
    Health.UNKNOWN,
)


class Sync(StrEnum):
    """Whether the world is as git says."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"


_SYNC_FROM_BEST = (Sync.SYNCED, Sync.OUT_OF_SYNC, Sync.UNKNOWN)


class ServiceStatus(Struct, frozen=True, kw_only=True):
    """One service on one site."""

    name: str
    sync: Sync
    health: Health
    resources: int
    different: int = 0
    reasons: tuple[str, ...] = ()
    """Why it is not healthy, in the words of the providers."""
    suspension: Suspension | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing needs to be said about it."""
        return self.sync is Sync.SYNCED and self.health is Health.HEALTHY


class SiteStatus(Struct, frozen=True, kw_only=True):
    """One site, with everything on it."""

    name: str
    commit: str
    sync: Sync
    health: Health
    services: tuple[ServiceStatus, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What the providers remark: a cable that is missing, a quota that will not do."""
    records: Records
    """Its own runs, lock and suspensions."""
    problem: str = ""
    """Why it could not be looked at."""

    @property
    def is_well(self) -> bool:
        """Whether nothing needs to be said about it."""
        return self.sync is Sync.SYNCED and self.health is Health.HEALTHY

    def with_services(self, services: tuple[ServiceStatus, ...]) -> SiteStatus:
        """Give the status of the site with these services: as bad as the worst of them."""
        return replace(
            self,
            sync=max((service.sync for service in services), key=_SYNC_FROM_BEST.index, default=Sync.SYNCED),
            health=worst(service.health for service in services),
            services=services,
        )


def site_status(
    desired: Desired,
    services: Iterable[str],
    differences: Iterable[Difference],
    present: Mapping[Address, Present],
    records: Records,
    findings: Iterable[Finding] = (),
) -> SiteStatus:
    """Sum up one look at a site; `services` are those git wants there."""
    differences = tuple(differences)
    unseen = {difference.address for difference in differences if isinstance(difference, Unseen)}
    tallies: dict[str, _Tally] = {name: _Tally() for name in services}
    for address in desired.resources:
        there = present.get(address)
        missing = Health.UNKNOWN if address in unseen else Health.MISSING
        tallies.setdefault(parse_address(address).service, _Tally()).add(there, missing)
    for difference in differences:
        tallies.setdefault(parse_address(difference.address).service, _Tally()).differ(difference)
    found = tuple(
        ServiceStatus(
            name=name,
            sync=tally.sync,
            health=tally.health,
            resources=tally.resources,
            different=tally.different,
            reasons=tuple(tally.reasons),
            suspension=records.suspension(desired.site, name),
        )
        for name, tally in sorted(tallies.items())
    )
    whole = SiteStatus(
        name=desired.site,
        commit=desired.commit,
        sync=Sync.SYNCED,
        health=Health.HEALTHY,
        findings=tuple(findings),
        records=records.of(desired.site),
    )
    return whole.with_services(found)


def blind_status(site: str, commit: str, problem: str, records: Records) -> SiteStatus:
    """Say that a site could not be looked at, and why."""
    return SiteStatus(
        name=site,
        commit=commit,
        sync=Sync.UNKNOWN,
        health=Health.UNKNOWN,
        records=records.of(site),
        problem=problem,
    )


def worst(healths: Iterable[Health]) -> Health:
    """Give the health of a whole: that of its worst part, healthy if it has none."""
    return max(healths, key=_FROM_BEST.index, default=Health.HEALTHY)


class _Tally(Struct):
    """What is counted for one service."""

    resources: int = 0
    different: int = 0
    sync: Sync = Sync.SYNCED
    health: Health = Health.HEALTHY
    reasons: list[str] = field(default_factory=list)

    def add(self, there: Present | None, missing: Health) -> None:
        """Count one wanted resource."""
        self.resources += 1
        self.health = worst((self.health, missing if there is None else there.health))
        if there is not None and there.health is not Health.HEALTHY:
            self.reasons.append(f"{there.address}: {there.reason or there.health}")

    def differ(self, difference: Difference) -> None:
        """Count one difference; what is only a matter of records is none."""
        if isinstance(difference, Recognised | Gone):
            return
        self.different += 1
        if isinstance(difference, Unseen):
            self.sync = Sync.UNKNOWN
        elif self.sync is Sync.SYNCED:
            self.sync = Sync.OUT_OF_SYNC
