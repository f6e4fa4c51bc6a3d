"""Alerts in the running loop: looks at the metrics, hears what others tell, decides and commits.

The loop calls `tick`; everything else follows from it. What is written to the store is the memory, so that a killed
process goes on where it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from providers.base import ProviderError
from providers.registry import connect, load
from reconciler.alerts_act import Desk
from reconciler.alerts_check import Checker, Monitor, monitors_of
from reconciler.alerts_tell import Teller
from reconciler.connections import Connections
from reconciler.intake import Desk as IntakeDesk
from reconciler.intake import Intake, listen_on
from reconciler.intake_messages import Find, Known, known_alerts
from reconciler.project import Place, Reading
from reconciler.secrets import Secrets
from specs.errors import ReconcilerError, SettingsError
from specs.model import Role
from specs.tosca.watches import rules_of
from specs.values import Secret
from state.metrics.lines import read_lines
from state.metrics.moments import nanoseconds
from state.store import Store

logger = logging.getLogger(__name__)

INTAKE_SECRET = "intake"  # noqa: S105 - its name
"""The secret of those who post alerts: `RECONCILER_SECRET_INTAKE`, or `.reconciler/secrets/intake`."""
_REMEMBERED = timedelta(days=30)
"""How long it is remembered what fired."""
_AT_ONCE = 100_000
"""How many alerts of one tick are told of."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What alerts need of the loop."""

    place: Place
    clock: Callable[[], datetime]
    open_store: Callable[[], Store]
    goal: Callable[[], Reading | None]
    """The commit that is applied now."""
    sites: Callable[[], tuple[str, ...]]
    """The sites this loop keeps."""
    identity: Callable[[], str]
    """The repository's identity in owner marks."""
    look_at_git: Callable[[], None]
    """Read the branch at once: there is a new commit of ours."""


@dataclass(slots=True)
class Alerts:
    """Alerts at work."""

    around: Surroundings
    _checker: Checker = field(default_factory=Checker)
    _connections: Connections = field(init=False)
    """Our own: turns close theirs when a site changes."""
    _desk: Desk = field(init=False)
    _teller: Teller = field(init=False)
    _intake: Intake | None = None
    _decider: threading.Thread | None = None
    _heard: threading.Event = field(default_factory=threading.Event)
    _closing: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _connecting: threading.Lock = field(default_factory=threading.Lock)
    _index: tuple[str, Find] = field(default_factory=lambda: ("", {}))

    def __post_init__(self) -> None:
        self._connections = Connections(connect=connect, state_dir=self.around.place.state_dir)
        self._desk = Desk(self.around.place, self.around.clock)
        self._teller = Teller(self._unseal)

    def listen(self, address: str) -> str:
        """Begin to hear alerts at an address; give where. `SettingsError` if there is no secret to know friends by."""
        host, port = listen_on(address)
        self._secret()
        desk = IntakeDesk(
            secret=self._secret,
            find=self._find,
            open_store=self.around.open_store,
            write=self._write_metrics,
            heard=self._heard.set,
            clock=self.around.clock,
        )
        try:
            self._intake = Intake((host, port), desk)
        except OSError as error:
            raise SettingsError(f"nothing can listen on {address}: {error.strerror}; choose another port") from error
        self._intake.start()
        self._decider = threading.Thread(target=self._decide_when_heard, name="decider", daemon=True)
        self._decider.start()
        logger.info("listening for alerts on %s", self._intake.address)
        return self._intake.address

    def tick(self) -> None:
        """Look at every rule that is due, and act on what fired."""
        reading = self.around.goal()
        if reading is None:
            return
        now = self.around.clock()
        with closing(self.around.open_store()) as store:
            fired = 0
            for site in self.around.sites():
                fired += self._check(store, reading, site, now)
            if fired:
                self._tell_of(store, now)
                store.trim_firings(now - _REMEMBERED)
        self.decide()

    def decide(self) -> None:
        """Act on every open firing; when commits were made, read them at once."""
        reading = self.around.goal()
        if reading is None or not self._guard.acquire(blocking=False):
            return  # whoever is at it sees what came meanwhile at the next tick
        try:
            with closing(self.around.open_store()) as store:
                commits = self._desk.work(store, reading)
        except ReconcilerError as error:
            logger.error("alerts wait: %s", error)
            commits = 0
        finally:
            self._guard.release()
        if commits:
            self.around.look_at_git()

    def close(self) -> None:
        """Stop listening and telling."""
        if self._intake is not None:
            self._intake.close()
        if self._decider is not None:
            self._closing = True
            self._heard.set()
            self._decider.join()
        self._teller.close()
        self._connections.close()

    # --- how ---

    def _decide_when_heard(self) -> None:
        """Decide as soon as something was told, while whoever told it is answered already."""
        while not self._closing:
            self._heard.wait()
            self._heard.clear()
            try:
                self.decide()
            except Exception as error:
                logger.error("internal error: %s: %s; run with -v for details", type(error).__name__, error)
                logger.debug("where it came from", exc_info=error)

    def _check(self, store: Store, reading: Reading, site: str, now: datetime) -> int:
        monitors = self._monitors(reading, site)
        if not monitors:
            return 0
        try:
            return self._checker.check(store, site, monitors, reading.commit, now)
        except ReconcilerError as error:
            logger.error("%s: alerts cannot be looked at: %s", site, error)
            return 0

    def _monitors(self, reading: Reading, site: str) -> Mapping[str, Monitor]:
        place = reading.catalogue.sites.get(site)
        if place is None:
            return {}
        try:
            with self._connecting:
                watching = {name: one for name, one in place.bindings.items() if _offers_monitoring(one.plugin)}
                return monitors_of(self._connections.of(replace(place, bindings=watching)))
        except ProviderError as error:
            logger.debug("%s: no monitoring: %s", site, error)
            return {}

    def _tell_of(self, store: Store, now: datetime) -> None:
        """Tell the handlers of what fired in this tick; another thread may have acted on it already."""
        for firing in store.firings(since=now, limit=_AT_ONCE):
            if firing.source == "builtin":
                self._teller.tell(firing)

    def _find(self) -> Find:
        """Index the alerts of the commit that is applied now."""
        reading = self.around.goal()
        if reading is None:
            return {}
        commit, index = self._index
        if commit != reading.commit:
            index = known_alerts(_known(reading, self.around.sites()))
            self._index = (reading.commit, index)
        return index

    def _write_metrics(self, database: str, precision: str, body: bytes) -> None:
        """Keep metrics in the embedded stores of the sites that watch this chain."""
        reading = self.around.goal()
        points = list(read_lines(body.decode("utf-8", "replace"), nanoseconds(self.around.clock()), precision))
        stores = [
            monitor
            for site in self.around.sites()
            for monitor in (self._monitors(reading, site).values() if reading is not None else ())
            if monitor.keeps_metrics
        ]
        if not stores:
            raise SettingsError("no site has an embedded store of metrics; write to its InfluxDB instead")
        for monitor in stores:
            monitor.metrics().write(database, points)

    def _secret(self) -> str:
        return self._unseal(INTAKE_SECRET)

    def _unseal(self, name: str) -> str:
        folder = self.around.place.state_dir / "secrets"
        return Secrets(folder=folder, repository=self.around.identity()).unseal(Secret(name)).text


@cache
def _offers_monitoring(plugin: str) -> bool:
    return Role.MONITORING in load(plugin).roles


def _known(reading: Reading, sites: Iterable[str]) -> Iterable[Known]:
    """Give every alert of the services on these sites."""
    catalogue = reading.catalogue
    places: dict[str, list[str]] = {}
    for site in sites:
        for service in catalogue.services_on(site):
            places.setdefault(service.name, []).append(site)
    for name, its_sites in places.items():
        service = catalogue.services[its_sites[0]][name]
        for rule in rules_of(service, catalogue.alerts):
            yield Known(rule=rule, sites=tuple(its_sites), base=reading.commit)
