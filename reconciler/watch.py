"""Follows the branch: notices new commits, reads them, and keeps to the last one that was valid and trusted."""

from __future__ import annotations

import logging

from msgspec import Struct, field

from reconciler.lines import count
from reconciler.project import Place, Reading, open_repository, read_tree
from reconciler.settings import Settings
from reconciler.trust import check_trust, trusted_before
from specs.catalogue import Shelf
from specs.errors import ReconcilerError, Severity
from specs.patch import ALERT_TRAILER, trailer
from specs.repository import Repository
from specs.tree import Tree
from specs.worktree import WorkTree
from state.store import Store

logger = logging.getLogger(__name__)

_MOST_SHOWN = 20
"""Diagnostics of an invalid commit that are logged."""


class Watch(Struct):
    """What is known of the branch; used by one thread at a time."""

    place: Place
    good: Reading | None = None
    """The last commit that was valid and trusted."""
    identity: str = ""
    """The repository's identity in owner marks."""
    _repository: Repository | None = None
    _folder: WorkTree | None = None
    _head: str = ""
    _shelf: Shelf = field(default_factory=Shelf)

    @property
    def is_current(self) -> bool:
        """Whether the head of the branch is valid and trusted."""
        return self.good is not None and self.good.commit == self._head

    def look(self, store: Store, *, fetch: bool = True) -> bool:
        """Look for a new commit and read it; tell whether `good` is another one now.

        Without `fetch` only for one that was made here. `RepositoryError` if git cannot be read. A commit that is
        invalid or not trusted is logged, once.
        """
        tree = self._tree(store, fetch)
        if tree.commit == self._head:
            return False
        self._head = tree.commit
        return self._accept(tree, store) or (self.good is None and self._go_back(store))

    def cause(self) -> str:
        """Say why the good commit is applied: `push`, or `alert` and the id of the firing that made it."""
        if self.good is None or self.place.local:
            return "push"
        firing = trailer(self._opened().described(self.good.commit).message, ALERT_TRAILER)
        return f"alert {firing}" if firing else "push"

    def _tree(self, store: Store, fetch: bool) -> Tree:
        if self.place.local:
            self._folder = WorkTree(self.place.directory) if self._folder is None else self._folder.refreshed()
            return self._folder
        if self._repository is None:
            self._repository = open_repository(self.place, store)
        repository = self._repository
        if fetch:
            repository.fetch()
        return repository.tree(repository.resolve(self.place.revision))

    def _opened(self) -> Repository:
        """Give the repository, which was opened by the look; the working tree needs it for its identity only."""
        if self._repository is None:
            self._repository = Repository.open(str(self.place.directory), self.place.state_dir)
        return self._repository

    def _accept(self, tree: Tree, store: Store) -> bool:
        """Read a commit and keep it, if it is any good."""
        name = tree.commit[:12]
        reading = read_tree(tree, store, self._shelf)
        errors = [one for one in reading.diagnostics if one.severity is Severity.ERROR]
        if errors:
            logger.error("%s is invalid, nothing of it is applied: %s", name, count(len(errors), "fault"))
            for diagnostic in errors[:_MOST_SHOWN]:
                logger.error("%s", diagnostic)
            return False
        try:
            signers = check_trust(self.place, reading, self._opened)
            self.identity = reading.settings.id or self._opened().identity()
        except ReconcilerError as error:
            logger.error("%s is not applied: %s", name, error)
            return False
        self.good = reading
        logger.info("%s is the commit to apply%s", name, f", signed by {signers}" if signers else "")
        self._follow(reading.settings)
        return True

    def _go_back(self, store: Store) -> bool:
        """Begin with the last commit that was trusted or applied, where the latest is no good."""
        if self.place.local:
            return False
        repository = self._opened()
        before = trusted_before(self.place, repository, self._head, store)
        return any(self._accept(repository.tree(commit), store) for commit in before)

    def _follow(self, settings: Settings) -> None:
        """Turn to another branch if the settings name one."""
        if not self.place.local and settings.branch not in ("", self._opened().branch):
            self._repository, self._head = None, ""
