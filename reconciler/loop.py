"""The loop: watches git and the world, and takes a turn on every site whenever one of them may have moved.

The scheduler calls `poll`, which follows the branch, and `tick`, which starts the turns that are due. Turns
of several sites run at once in threads of their own, never two of one site. Work is level-based: a turn looks at
everything again, so an event that is lost costs time and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Event, RLock

from msgspec import Struct, field

from providers.registry import connect
from reconciler.alerts_service import Alerts, Surroundings
from reconciler.choice import Choice
from reconciler.connections import Connections
from reconciler.kept import Kept
from reconciler.look import Ground
from reconciler.loop_turn import Ending, Turn
from reconciler.project import Place, Reading, utc_now
from reconciler.schedule import Backoff, Clockwork
from reconciler.secrets import Secrets
from reconciler.settings import Timing
from reconciler.watch import Watch
from specs.errors import ReconcilerError, RepositoryError
from specs.tosca import collector
from state.opening import open_store
from state.store import Store

logger = logging.getLogger(__name__)

_SITES_AT_ONCE = 32
_LONGEST_TICK = timedelta(seconds=1)
_ALERTS = timedelta(seconds=0.25)
"""Between two looks at which alert rules are due; windows end on whole seconds, and with this on a look."""
_KEPT = 10_000
"""Cached values that are kept at least."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_WELL = frozenset({Ending.QUIET, Ending.DONE})


class _Goal(Struct, frozen=True, kw_only=True):
    """What all sites are brought to: one commit, read."""

    reading: Reading
    identity: str
    sites: tuple[str, ...]
    cause: str
    """Why: `push`, or an alert."""

    @property
    def name(self) -> str:
        """The commit, as it is called in the log."""
        return self.reading.commit[:12]


class _Pace(Struct):
    """When the next turn of a site is due."""

    due: datetime = _EVER
    busy: bool = False
    stirred: bool = False
    """Whether somebody changed something there since its last turn began."""
    commit: str = ""
    """The commit of its last turn that went well."""
    backoff: Backoff = field(default_factory=Backoff)


class Loop:
    """Keeps sites as git says until it is told to stop."""

    def __init__(
        self,
        place: Place,
        only: tuple[str, ...] = (),
        clock: Callable[[], datetime] = utc_now,
        listen: str = "",
    ) -> None:
        self._place = place
        self._only = Choice(sites=only)
        self._clock = clock
        self._watch = Watch(place)
        self._connections = Connections(connect=connect, state_dir=place.state_dir, stirred=self.stir)
        self._kept = Kept()
        self._goal: _Goal | None = None
        self._paces: dict[str, _Pace] = {}
        self._guard = RLock()
        self._following = RLock()
        """Held while git is followed: the clock asks for it, and alerts that have committed."""
        self._stopping = Event()
        self._pool = ThreadPoolExecutor(_SITES_AT_ONCE, thread_name_prefix="site")
        self._clockwork = Clockwork(calls_at_once=4)
        self._timing = Timing()
        self._listen = listen
        self._single = False
        """Whether each site takes one turn and no more."""
        self._alerts = self._make_alerts()

    def run(self) -> None:
        """Work until `stop` is called, then finish what is in flight."""
        if self._listen:
            self._alerts.listen(self._listen)
        self._schedule()
        self._clockwork.start()
        try:
            self._stopping.wait()
        finally:
            self._stopping.set()
            self._clockwork.stop()
            self.close()
        logger.info("stopped")

    def once(self) -> bool:
        """Look after alerts, take one turn on every site, and tell whether all went well."""
        try:
            self._single = True
            self.poll(then_tick=False)
            self.look_after_alerts()
            turns = self.tick()
            well = self._goal is not None and all(turn.result() in _WELL for turn in turns)
            return well and self._watch.is_current
        finally:
            self.close()

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopping.set()

    def stir(self, site: str) -> None:
        """Look at a site soon: somebody has changed something there. The pause after a failed run holds."""
        with self._guard:
            pace = self._paces.get(site)
            if pace is not None:
                pace.stirred = True
                if not pace.busy and pace.backoff == Backoff():
                    pace.due = min(pace.due, self._clock())

    def _make_alerts(self) -> Alerts:
        def reading() -> Reading | None:
            goal = self._goal
            return goal.reading if goal is not None else None

        return Alerts(
            Surroundings(
                place=self._place,
                clock=self._clock,
                open_store=self._open_store,
                goal=reading,
                sites=lambda: self._goal.sites if self._goal is not None else (),
                identity=lambda: self._goal.identity if self._goal is not None else "",
                look_at_git=lambda: self.poll(then_tick=not self._single, fetch=False),
            )
        )

    # --- following git ---

    def poll(self, *, then_tick: bool = True, fetch: bool = True) -> None:
        """Look for a new commit, without `fetch` for one of our own; if there is one, every site is due at once."""
        try:
            with self._following, closing(self._open_store()) as store:
                if self._has_news(store, fetch):
                    self._aim(store)
        except ReconcilerError as error:
            logger.error("%s", error)
        except Exception as error:
            _log_defect(error)
        if then_tick:
            self.tick()

    def _has_news(self, store: Store, fetch: bool) -> bool:
        try:
            return self._watch.look(store, fetch=fetch)
        except RepositoryError as error:
            logger.warning("no news from git: %s", error)
            return False

    def _aim(self, store: Store) -> None:
        """Make the commit that was read the goal, also of turns that try something older."""
        reading = self._watch.good
        if reading is None:
            return
        sites, cause = self._only.choose_sites(reading.catalogue.sites), self._watch.cause()
        with self._guard:
            for gone in sorted(self._paces.keys() - set(sites)):
                logger.warning("%s is no site any more at %s; what is there stays", gone, reading.commit[:12])
            self._goal = _Goal(reading=reading, identity=self._watch.identity, sites=sites, cause=cause)
            self._paces = {site: self._paces.get(site, _Pace()) for site in sites}
            for pace in self._paces.values():
                pace.due, pace.backoff = _EVER, Backoff()
        if reading.settings.timing != self._timing:
            self._timing = reading.settings.timing
            self._schedule()
        store.trim(_KEPT)

    def _schedule(self) -> None:
        timing = self._timing
        self._clockwork.every("poll", timing.poll, self.poll, timing.jitter)
        self._clockwork.on_the_dot("alerts", _ALERTS, self.look_after_alerts)
        self._clockwork.every("tick", min(_LONGEST_TICK, timing.drift / 4, timing.backoff / 2), self._tick)

    def look_after_alerts(self) -> None:
        """Look at the alert rules that are due, and act on what fired."""
        try:
            self._alerts.tick()
        except ReconcilerError as error:
            logger.error("%s", error)
        except Exception as error:
            _log_defect(error)

    # --- taking turns ---

    def _tick(self) -> None:
        self.tick()

    def tick(self) -> list[Future[Ending]]:
        """Start every turn that is due."""
        with self._guard:
            goal = self._goal
            if goal is None or self._stopping.is_set():
                return []
            now = self._clock()
            due = [(site, pace) for site, pace in self._paces.items() if not pace.busy and pace.due <= now]
            for _, pace in due:
                pace.busy, pace.stirred = True, False
            return [self._pool.submit(self._turn, goal, site, pace) for site, pace in due]

    def _turn(self, goal: _Goal, site: str, pace: _Pace) -> Ending:
        """Take a turn in a thread of its own, with a store of its own."""
        ending = Ending.FAILED
        try:
            with closing(self._open_store()) as store:
                turn = Turn(
                    ground=self._ground(goal, store),
                    site=site,
                    cause="drift" if pace.commit == goal.reading.commit else goal.cause,
                    interrupted=lambda: self._better(goal),
                )
                ending = turn.take()
        except ReconcilerError as error:
            logger.error("%s %s: %s", site, goal.name, error)
        except Exception as error:
            _log_defect(error)
        if ending in _WELL and not pace.commit:
            collector.settle()
        self._pause(goal, site, pace, ending)
        return ending

    def _ground(self, goal: _Goal, store: Store) -> Ground:
        return Ground(
            repository=goal.identity,
            catalogue=goal.reading.catalogue,
            settings=goal.reading.settings,
            connections=self._connections,
            secrets=Secrets(folder=self._place.state_dir / "secrets", repository=goal.identity),
            store=store,
            clock=self._clock,
            kept=self._kept,
        )

    def _better(self, goal: _Goal) -> str:
        """Say what a turn should make way for."""
        if self._stopping.is_set():
            return "the loop is stopping"
        newest = self._goal
        return f"{newest.name} is newer" if newest is not None and newest is not goal else ""

    def _pause(self, goal: _Goal, site: str, pace: _Pace, ending: Ending) -> None:
        """Decide when the next turn is due."""
        with self._guard:
            pace.busy = False
            if self._goal is not goal:
                pace.due = _EVER
                return
            match ending:
                case Ending.FAILED | Ending.BLIND:
                    pace.backoff = pace.backoff.after_failure()
                    pause = pace.backoff.pause(self._timing)
                    if ending is Ending.BLIND:
                        pause = min(pause, self._timing.drift)
                    logger.warning("%s %s: next try in %d s", site, goal.name, round(pause.total_seconds()))
                case Ending.LOCKED:
                    pause = self._timing.backoff
                case Ending.INTERRUPTED:
                    pause = timedelta(0)
                case _:
                    pace.backoff, pace.commit = Backoff(), goal.reading.commit
                    pause = self._timing.drift
                    if pace.stirred:  # who works against us is answered, but not without end
                        pause = self._timing.backoff if ending is Ending.DONE else timedelta(0)
            pace.due = self._clock() + pause

    def _open_store(self) -> Store:
        return open_store(self._place.store_url, self._place.state_dir)

    def close(self) -> None:
        """Wait for turns that are still taken, and let go of the providers."""
        self._alerts.close()
        self._pool.shutdown(wait=True)
        self._connections.close()


def _log_defect(error: Exception) -> None:
    logger.error("internal error: %s: %s; run with -v for details", type(error).__name__, error)
    logger.debug("where it came from", exc_info=error)
