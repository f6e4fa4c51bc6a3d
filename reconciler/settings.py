"""Settings that belong in git: `reconciler.yaml`, read once at the start of a turn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct, field

FILE = "reconciler.yaml"
"""Where settings stand in the spec repository."""


class Window(Struct, frozen=True, kw_only=True):
    """When the loop may apply: a cron expression for its start, and how long it lasts."""

    start: str
    """Five cron fields, e.g. `0 22 * * mon-fri`; where day and weekday are both given, both must fit."""
    duration: timedelta
    """How long it stays open, e.g. `4h`."""
    allow: bool = True
    """`false` makes it a window in which nothing is applied."""
    timezone: str = "UTC"
    """Whose clock `start` is read on, e.g. `Europe/London`; summer time counts."""


class Sync(Struct, frozen=True, kw_only=True):
    """What the loop may do on its own; `apply` by hand does what its plan shows."""

    auto_apply: bool = False
    """Do what a new commit changed."""
    self_heal: bool = False
    """Correct what the world changed."""
    prune: bool = False
    """Delete what git no longer mentions; holds for `apply` by hand as well."""
    windows: tuple[Window, ...] = ()
    """When the loop may apply; empty: always."""


class Breaker(Struct, frozen=True, kw_only=True):
    """Stops a plan in which too much would vanish or be deleted."""

    share: float = 0.2
    """Share of a site's resources, 0 to 1."""
    count: int = 10
    """Number of resources; both must be exceeded."""


class Timing(Struct, frozen=True, kw_only=True):
    """How often the loop looks."""

    poll: timedelta = timedelta(seconds=30)
    """Between two looks at git."""
    jitter: timedelta = timedelta(seconds=5)
    """Added at random to every poll."""
    drift: timedelta = timedelta(minutes=5)
    """Between two looks at the world when git is quiet."""
    backoff: timedelta = timedelta(seconds=10)
    """First pause of a site after a failed run; doubles up to `longest_backoff`, and ends with a new commit."""
    longest_backoff: timedelta = timedelta(minutes=10)


class Alerting(Struct, frozen=True, kw_only=True):
    """How far alerts may change specs on their own."""

    mode: str = "commit"
    """What becomes of their changes where a policy says nothing else: `commit`, `propose` or `report`."""
    cooldown: timedelta = timedelta(minutes=1)
    """How long a policy rests after a change, unless it says otherwise itself."""
    commits_per_hour: int = 30
    """How many changes alerts may make to one service in an hour."""
    flaps: int = 4
    """How often alerts may turn the same value back within `flap_window`."""
    flap_window: timedelta = timedelta(minutes=10)
    """How far back that is counted."""


class SiteSettings(Struct, frozen=True, kw_only=True):
    """What holds for one site, or for all sites where a site says nothing of its own."""

    sync: Sync = field(default_factory=Sync)
    services: Mapping[str, Sync] = field(default_factory=dict)
    """By service: other switches than the site's."""
    breaker: Breaker = field(default_factory=Breaker)
    health_deadline: timedelta | None = None
    """How long anything may take to become healthy; empty: as its kind says."""
    parallelism: int = 16
    """Provider calls at once."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything `reconciler.yaml` can say; every field is optional."""

    id: str = ""
    """The repository's identity in owner marks; empty: the id of its first commit."""
    branch: str = ""
    """The branch that is tracked; empty: the one HEAD names."""
    include: tuple[str, ...] = ("**/*.yaml", "**/*.yml")
    """Globs of the documents to read."""
    timing: Timing = field(default_factory=Timing)
    alerts: Alerting = field(default_factory=Alerting)
    defaults: SiteSettings = field(default_factory=SiteSettings)
    sites: Mapping[str, SiteSettings] = field(default_factory=dict)
    allowed_signers: str = ""
    """A file in ssh's allowed_signers format; when set, only commits signed by one of them are applied."""

    def of(self, site: str) -> SiteSettings:
        """Give what holds for a site."""
        return self.sites.get(site, self.defaults)
