"""Opens what a command works on: the repository, one commit of it, the state store and the providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from providers.registry import connect
from reconciler.connections import Connections
from reconciler.look import Ground, Look
from reconciler.secrets import Secrets
from reconciler.settings import Settings
from reconciler.settings_kept import settings_of
from specs.catalogue import Catalogue, Shelf, read_catalogue
from specs.errors import Diagnostic, RepositoryError, SettingsError, Severity, SpecError
from specs.repository import Repository
from specs.tree import Cache, Tree
from specs.worktree import WorkTree
from state.opening import open_store
from state.store import Store

STATE_FOLDER = ".reconciler"
"""Where local state lives, in the spec repository or the working directory."""


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


class Place(Struct, frozen=True, kw_only=True):
    """Where specs, state and world of a command are."""

    directory: Path
    repo: str = ""
    """Address of a repository elsewhere; empty: the directory is one."""
    revision: str = ""
    local: bool = False
    """Read the files as they are instead of a commit."""
    store_url: str = ""

    @property
    def state_dir(self) -> Path:
        """The folder of local state."""
        return self.directory / STATE_FOLDER


class Reading(Struct, frozen=True, kw_only=True):
    """What one commit says, faults included."""

    settings: Settings
    catalogue: Catalogue
    diagnostics: tuple[Diagnostic, ...]

    @property
    def commit(self) -> str:
        """The commit that was read."""
        return self.catalogue.commit

    @property
    def is_valid(self) -> bool:
        """Whether there is no error in it."""
        return all(diagnostic.severity is not Severity.ERROR for diagnostic in self.diagnostics)

    def check(self) -> None:
        """Raise `SpecError` with all errors if there are any."""
        errors = [diagnostic for diagnostic in self.diagnostics if diagnostic.severity is Severity.ERROR]
        if errors:
            raise SpecError(errors)


def read_tree(tree: Tree, cache: Cache, shelf: Shelf | None = None) -> Reading:
    """Read settings and documents of a commit; `shelf` only saves time."""
    settings, found = settings_of(tree, cache)
    top = tuple(glob.removeprefix("**/") for glob in settings.include)  # `**/` also means no folder at all
    catalogue = read_catalogue(tree, cache, (*settings.include, *top), shelf)
    diagnostics = dict.fromkeys(sorted((*found, *catalogue.diagnostics)))
    return Reading(settings=settings, catalogue=catalogue, diagnostics=tuple(diagnostics))


def open_repository(place: Place, cache: Cache) -> Repository:
    """Open the repository on the branch it says is to be followed, with the latest news of the server."""
    location = place.repo or str(place.directory)
    repository = Repository.open(location, place.state_dir)
    if place.repo:
        repository.fetch()
    settings, _ = settings_of(repository.tree(repository.resolve()), cache)
    if settings.branch and settings.branch != repository.branch:
        repository = Repository.open(location, place.state_dir, settings.branch)
    return repository


@dataclass(slots=True)
class Project:
    """Everything opened; each part when it is first asked for."""

    place: Place
    store: Store
    cache: Cache
    clock: Callable[[], datetime] = utc_now
    connections: Connections = field(init=False)
    _repository: Repository | None = None

    def __post_init__(self) -> None:
        self.connections = Connections(connect=connect, state_dir=self.place.state_dir)

    @property
    def repository(self) -> Repository:
        """The spec repository; `RepositoryError` if there is none."""
        if self._repository is None:
            self._repository = open_repository(self.place, self.cache)
        return self._repository

    def tree(self) -> Tree:
        """Give the files that were asked for."""
        if self.place.local:
            return WorkTree(self.place.directory)
        return self.repository.tree(self.repository.resolve(self.place.revision))

    def read(self) -> Reading:
        """Read what was asked for, faults included."""
        return read_tree(self.tree(), self.cache)

    def ground(self, reading: Reading) -> Ground:
        """Give what turns stand on; `SpecError` if the commit is invalid."""
        reading.check()
        identity = self.identity(reading.settings)
        return Ground(
            repository=identity,
            catalogue=reading.catalogue,
            settings=reading.settings,
            connections=self.connections,
            secrets=Secrets(folder=self.place.state_dir / "secrets", repository=identity),
            store=self.store,
            clock=self.clock,
        )

    def identity(self, settings: Settings) -> str:
        """Give the name by which owner marks know this repository."""
        if settings.id:
            return settings.id
        try:
            return self.repository.identity()
        except RepositoryError as error:
            if not self.place.local:
                raise
            raise SettingsError(f"objects cannot be marked as ours: {error}; commit once, or set id") from error

    def sources(self, looks: Iterable[Look]) -> frozenset[str] | None:
        """Give every file that looks stand on, whether it is there or not; None if more than files had a say."""
        found = [snapshot.sources for one in looks for snapshot in one.seen.snapshots.values()]
        if self.place.store_url or self.place.local or any(sources is None for sources in found):
            return None
        of_git = self.repository.sources()
        if of_git is None:
            return None
        secrets = self.place.state_dir / "secrets"
        texts = secrets.iterdir() if secrets.is_dir() else ()
        store = (self.place.state_dir / name for name in ("state.db", "state.db-wal"))
        seen = (path for sources in found for path in sources or ())
        return frozenset(map(str, (*of_git, *store, secrets, *texts, *seen)))


class _Unwritten(Struct, frozen=True):
    """A cache that keeps nothing new."""

    store: Store

    def get_many(self, keys: list[str]) -> Mapping[str, bytes]:
        """Read what is kept of these keys."""
        return self.store.get_many(keys)

    def put(self, values: Mapping[str, bytes]) -> None:
        """Forget them."""


def check_place(place: Place) -> None:
    """Raise before anything is left behind in a folder that is none of ours, or in none at all."""
    if not place.directory.is_dir():
        raise SettingsError(f"there is no folder {place.directory}; check -C")
    if not (place.state_dir.exists() or place.repo or place.local):
        Repository.open(str(place.directory), place.state_dir)


@contextmanager
def opened(place: Place, *, writing: bool = True) -> Iterator[Project]:
    """Open a project, and close it; without `writing` nothing is kept, and no store is made where there is none."""
    check_place(place)
    with ExitStack() as stack:
        state_dir = place.state_dir
        if not writing and not place.store_url and not (state_dir / "state.db").exists():
            state_dir = Path(stack.enter_context(TemporaryDirectory(prefix="reconciler-")))
        store = open_store(place.store_url, state_dir)
        stack.callback(store.close)
        project = Project(place=place, store=store, cache=store if writing else _Unwritten(store))
        stack.callback(project.connections.close)
        yield project
