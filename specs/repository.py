"""The spec repository: commits read and written by object id, on this machine or behind an address.

A local repository is read and written in place. One behind an address is cloned bare into the state
folder, fetched when asked, and written by pushing, never by force. Nothing here checks anything out,
except that the work tree of a local repository follows the branch it shows when that is written to.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NoReturn

import pygit2
from msgspec import Struct
from pygit2.enums import RepositoryOpenFlag, SortMode

from specs.errors import RepositoryError
from specs.git import checkout
from specs.git.address import Address, locate
from specs.git.edit import check_changes, edited
from specs.git.faults import FAULTS, UNSAFE, explained, printable, reason
from specs.git.mirror import Mirror
from specs.git.signature import signed, verified
from specs.git.tree import CommitTree, Folders

_ATTEMPTS_THERE = 5
_ATTEMPTS_HERE = 50
"""How often a commit is made anew because somebody else was quicker: a push costs more than a local one."""
_LOCK_SECONDS = 0.2
"""How long to wait for another git that is moving the branch."""
_LATEST = 253_402_300_799
"""The last second of the year 9999."""


class Author(Struct, frozen=True):
    """Who makes a commit."""

    name: str
    email: str


class Commit(Struct, frozen=True, kw_only=True):
    """One commit of the history, its text made fit to print."""

    id: str
    author: str
    email: str
    when: datetime
    """When it was committed, in UTC."""
    subject: str
    message: str = ""
    """All of it."""


class Repository:
    """The spec repository and the branch of it that is followed; one thread at a time may use it."""

    def __init__(self, git: pygit2.Repository, *, shown: str, branch: str = "", mirror: Mirror | None = None) -> None:
        self._git = git
        self._shown = shown
        self._branch = branch
        self._mirror = mirror
        self._folders = Folders(git)
        self._root = ("", "")
        self._seen = self._head()

    @classmethod
    def open(cls, location: str, state_dir: Path, branch: str = "") -> Repository:
        """Open a path in place, or the clone of an address, which is made in `state_dir` at the first time.

        `branch` is the one to follow; without it, the one that is checked out, or the default one of the
        server. The network is used for nothing but that first clone. `RepositoryError` says what is wrong.
        """
        if branch and not pygit2.reference_is_valid_name(f"refs/heads/{branch}"):
            raise RepositoryError(f"{branch!a} cannot be the name of a branch; correct it")
        place = locate(location)
        if isinstance(place, Address):
            mirror = Mirror(place, state_dir)
            return cls(mirror.open(), shown=str(place), branch=branch, mirror=mirror)
        return cls(_open_folder(place), shown=str(place), branch=branch)

    @classmethod
    def create(cls, folder: Path) -> Repository:
        """Make a new repository, without a commit, on branch `main`; files in the folder stay as they are."""
        if folder.joinpath(".git").exists():
            raise RepositoryError(f"{folder} is a git repository already")
        with explained(f"cannot make a git repository in {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            pygit2.init_repository(str(folder), initial_head="main")
        return cls(_open_folder(folder.absolute()), shown=str(folder))

    # --- reading --------------------------------------------------------------------------------------

    @property
    def branch(self) -> str:
        """The branch that is followed; empty when a commit is checked out and no branch was named."""
        return self._tracked().removeprefix("refs/heads/")

    def sources(self) -> tuple[Path, ...] | None:
        """Give the files that say which commit is followed, there or not; None if that is not for files here to say."""
        folder = Path(self._git.path)
        if self._mirror is not None or (folder / "commondir").exists():
            return None
        shown = self._git.lookup_reference("HEAD").target  # where the settings stand that name the followed branch
        names = {"HEAD", "config", "packed-refs", "shallow", self._tracked(), str(shown)}
        return tuple(folder / name for name in sorted(names) if name)

    def fetch(self) -> bool:
        """Look for news; tell whether the followed branch moved since the last look, whoever moved it.

        Only a repository behind an address uses the network; one that is on this machine is just looked at.
        """
        if self._mirror is not None:
            self._update(self._mirror)
        before, self._seen = self._seen, self._head()
        return before != self._seen

    def resolve(self, revision: str = "") -> str:
        """Give the full object id of a commit, without a revision that of the followed branch.

        `RepositoryError` if there is no such commit; a revision is anything git understands.
        """
        if revision:
            return str(self._commit(revision).id)
        return self._head() or self._fail_headless()

    def tree(self, commit: str) -> CommitTree:
        """Give the files of a commit; nothing is read before they are asked for."""
        return CommitTree(self._commit(commit), self._folders)

    def history(self, limit: int) -> tuple[Commit, ...]:
        """Give the latest commits of the followed branch, the newest first."""
        head = self.resolve()
        with explained(f"cannot read the history of {self._shown}"):
            return tuple(_described(commit) for commit in islice(self._git.walk(head, SortMode.NONE), limit))

    def described(self, revision: str) -> Commit:
        """Tell about one commit."""
        return _described(self._commit(revision))

    def identity(self) -> str:
        """Give what this repository is known by for ever: the first 12 digits of the id of its first commit.

        That is where the first parents of the followed branch end. `RepositoryError` for a shallow clone.
        """
        if self._git.is_shallow:
            raise RepositoryError(
                f"{self._shown} is a shallow clone, so its first commit is unknown; run git fetch --unshallow, or set "
                "id in reconciler.yaml"
            )
        head = self.resolve()
        known, root = self._root
        with explained(f"cannot read the history of {self._shown}"):
            commit = self._git[head].peel(pygit2.Commit)
            while str(commit.id) != known and commit.parent_ids:
                commit = self._git[commit.parent_ids[0]].peel(pygit2.Commit)
        self._root = (head, root if str(commit.id) == known else str(commit.id))
        return self._root[1][:12]

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether one commit is part of the history of another; a commit is part of its own."""
        first, second = self._commit(older).id, self._commit(newer).id
        with explained(f"cannot read the history of {self._shown}"):
            return first == second or self._git.descendant_of(second, first)

    @property
    def signs(self) -> bool:
        """Whether git's configuration wants commits signed with an ssh key."""
        return self._setting("commit.gpgsign") == "true" and self._setting("gpg.format") == "ssh"

    def verify_signature(self, commit: str, allowed_signers: Path) -> str:
        """Give the name under which the allowed signers file knows who signed a commit.

        `RepositoryError` if it is not signed, signed by somebody else, or the signature is not of this commit.
        """
        found = self._commit(commit)
        signature, payload = found.gpg_signature
        return verified(f"commit {str(found.id)[:12]}", signature, payload, allowed_signers)

    # --- writing --------------------------------------------------------------------------------------

    def author(self) -> Author:
        """Give who commits made here are by: as git's environment and configuration say, or this user and machine."""
        name = os.environ.get("GIT_AUTHOR_NAME") or self._setting("user.name")
        email = os.environ.get("GIT_AUTHOR_EMAIL") or self._setting("user.email")
        return Author(name or _user(), email or f"{_user()}@{os.uname().nodename}")

    def write(self, changes: Mapping[str, bytes | None], message: str, author: Author, *, onto: str) -> str:
        """Commit changed files (bytes) and removed ones (`None`) to the followed branch; return the commit's id.

        `onto` is the commit the changes were made from; empty for the first commit of all. If the branch has
        moved on since, they are taken over as long as nobody else changed the same files. Changes that change
        nothing make no commit: the head is returned. An address is pushed to, never by force.
        """
        check_changes(changes)
        base = self._commit(onto).tree if onto else None

        def make(head: pygit2.Commit | None) -> pygit2.Oid:
            tree = head.tree if head is not None else None
            lost = [path for path in sorted(changes) if _entry(base, path) != _entry(tree, path)]
            if lost:
                raise RepositoryError(
                    f"{', '.join(lost)} changed on {self.branch} since {onto[:12] or 'it was empty'}; look again and "
                    "make the change anew"
                )
            return edited(self._git, tree, changes)

        return self._advance(make, message, author)

    def propose(self, branch: str, changes: Mapping[str, bytes | None], message: str, author: Author) -> str:
        """Commit changes to a branch beside the followed one, for review; return the commit's id.

        The branch begins at the head of the followed one, and again there once it was merged. A proposal that is
        still open and holds these files already is returned; if it holds others of these files, a commit is added.
        """
        check_changes(changes)
        if not pygit2.reference_is_valid_name(f"refs/heads/{branch}"):
            raise RepositoryError(f"{branch!a} cannot be the name of a branch; correct it")
        start = self._commit(self.resolve())
        other = Repository(self._git, shown=self._shown, branch=branch, mirror=self._mirror)
        return other._advance(
            lambda head: edited(self._git, (head or start).tree, changes), message, author, start=start
        )

    def revert(self, commit: str, author: Author) -> str:
        """Undo one commit of the followed branch by a new one on top of it; return the new commit's id.

        Of a merge, everything it brought in is undone. `RepositoryError` if later commits changed the same lines.
        """
        undone = self._commit(commit)
        if not self.is_ancestor(str(undone.id), self.resolve()):
            raise RepositoryError(f"commit {str(undone.id)[:12]} is not on branch {self.branch} of {self._shown}")

        def make(head: pygit2.Commit | None) -> pygit2.Oid:
            return self._without(undone, head or undone)

        return self._advance(make, _revert_message(undone), author)

    # --- how ------------------------------------------------------------------------------------------

    def _setting(self, name: str) -> str:
        with explained(f"cannot read the configuration of {self._shown}"):
            *_, value = ["", *self._git.config.get_multivar(name)]  # of several the last one counts, as in git
            return value or ""

    def _tracked(self) -> str:
        if self._branch:
            return f"refs/heads/{self._branch}"
        with explained(f"cannot read {self._shown}"):
            target = self._git.lookup_reference("HEAD").target
        return target if isinstance(target, str) else ""

    def _head(self) -> str:
        """Give the id of the head of the followed branch; empty as long as there is no commit."""
        name = self._tracked() or "HEAD"
        with explained(f"cannot read {name} of {self._shown}"):
            try:
                return str(self._git.lookup_reference(name).resolve().target)
            except pygit2.NotFoundError:
                return ""

    def _fail_headless(self) -> NoReturn:
        with explained(f"cannot read the branches of {self._shown}"):
            branches = sorted(self._git.branches.local)
        if branches:
            raise RepositoryError(f"{self._shown} has no branch {self.branch}; it has: {', '.join(branches)}")
        raise RepositoryError(f"{self._shown} has no commit yet; make the first one on branch {self.branch}")

    def _commit(self, revision: str) -> pygit2.Commit:
        try:
            return self._git.revparse_single(revision).peel(pygit2.Commit)
        except KeyError as error:
            advice = "name a commit, a tag or a branch"
            raise RepositoryError(f"{self._shown} has no commit {revision!a}; {advice}") from error
        except FAULTS as error:
            raise RepositoryError(f"{self._shown} has no commit {revision!a}: {reason(error)}") from error

    def _update(self, mirror: Mirror) -> None:
        self._git = mirror.fetch()
        self._folders.turn_to(self._git)

    def _advance(
        self,
        make: Callable[[pygit2.Commit | None], pygit2.Oid],
        message: str,
        author: Author,
        start: pygit2.Commit | None = None,
    ) -> str:
        """Put a commit on top of the followed branch; start again from the new head if somebody was quicker.

        It goes on top of `start` instead where the branch is not there yet, or holds nothing that `start` does not.
        """
        branch = self._tracked()
        if not branch:
            raise RepositoryError(f"{self._shown} has no branch checked out; name the one to write to")
        signature = _signature(author)
        attempts = _ATTEMPTS_HERE if self._mirror is None else _ATTEMPTS_THERE
        for _ in range(attempts):
            head = self._commit(found) if (found := self._head()) else None
            with explained(f"cannot write to {self._shown}"):
                behind = start is not None and (head is None or self.is_ancestor(str(head.id), str(start.id)))
                below = start if behind else head
                tree = make(below)
                if below is not None and tree == below.tree_id:
                    return str(below.id)
                new = self._made(signature, _tidy(message), tree, below)
            if self._move(branch, head, self._git[new].peel(pygit2.Commit)):
                return str(new)
        raise RepositoryError(f"{self.branch} of {self._shown} moved {attempts} times while it was written; try again")

    def _made(
        self, signature: pygit2.Signature, message: str, tree: pygit2.Oid, below: pygit2.Commit | None
    ) -> pygit2.Oid:
        """Make a commit, signed where git's configuration wants commits signed with an ssh key."""
        parents = [below.id] if below is not None else []
        if not self.signs:
            return self._git.create_commit(None, signature, signature, message, tree, list(parents))
        text = str(self._git.create_commit_string(signature, signature, message, tree, list(parents)))
        made = signed(text.encode("utf-8", "surrogateescape"), self._setting("user.signingkey"))
        return self._git.create_commit_with_signature(text, made, "gpgsig")

    def _move(self, branch: str, head: pygit2.Commit | None, new: pygit2.Commit) -> bool:
        """Move the branch from one commit to the next; false if somebody else moved it first."""
        if self._mirror is not None:
            return self._push(self._mirror, branch, head, new)
        if not checkout.follows(self._git, branch):
            return self._set(branch, head, new)
        old = head.tree if head is not None else self._git[self._git.TreeBuilder().write()].peel(pygit2.Tree)
        with checkout.alone(self._git):
            if self._head() != (str(head.id) if head is not None else ""):
                return False  # another one of us moved branch and files: these files are not ours to bring back
            checkout.bring(self._git, old, new.tree)
            moved = False
            try:
                moved = self._set(branch, head, new)
            finally:
                if not moved:
                    checkout.bring_back(self._git, old, new.tree)
        return moved

    def _set(self, branch: str, head: pygit2.Commit | None, new: pygit2.Commit) -> bool:
        """Let the branch point to `new` if it still points to `head`; wait a moment while another git locks it."""
        before = str(head.id) if head is not None else ""
        deadline = time.monotonic() + _LOCK_SECONDS
        with explained(f"cannot move {branch} of {self._shown}"):
            while self._head() == before:
                try:
                    if head is None:
                        self._git.references.create(branch, new.id)
                    else:
                        reference = self._git.lookup_reference(branch).resolve()
                        reference.set_target(new.id, f"commit: {printable(new.message)}")
                except FAULTS as error:
                    if self._head() == before and ("lock" not in str(error) or time.monotonic() > deadline):
                        raise
                    time.sleep(0.005)
                else:
                    return True
        return False

    def _push(self, mirror: Mirror, branch: str, head: pygit2.Commit | None, new: pygit2.Commit) -> bool:
        try:
            mirror.push(new.id, branch)
        except RepositoryError:
            self._update(mirror)  # the answer may have been lost, or somebody else was quicker
            now = self._head()
            if now and self.is_ancestor(str(new.id), now):
                return True
            if now == (str(head.id) if head is not None else ""):
                raise
            return False
        return True

    def _without(self, undone: pygit2.Commit, head: pygit2.Commit) -> pygit2.Oid:
        parent = undone.parents[0].tree_id if undone.parent_ids else self._git.TreeBuilder().write()
        merged = self._git.merge_trees(undone.tree_id, head.tree_id, parent)
        short = str(undone.id)[:12]
        if merged.conflicts is not None:
            sides = (side for conflict in merged.conflicts for side in conflict if side is not None)
            paths = ", ".join(sorted({side.path for side in sides}))
            raise RepositoryError(
                f"commit {short} cannot be undone: later commits changed the same lines of {paths}; change them by hand"
            )
        tree = merged.write_tree(self._git)
        if tree == head.tree_id:
            raise RepositoryError(f"nothing of commit {short} is left to undo")
        return tree


def _user() -> str:
    try:
        return getpass.getuser()
    except KeyError:  # a container may run as a number without a name
        return f"user-{os.getuid()}"


def _open_folder(folder: Path) -> pygit2.Repository:
    try:
        return pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)
    except FAULTS as error:
        if not folder.is_dir():
            raise RepositoryError(f"there is no folder {folder}; check the path") from error
        above = next((str(parent) for parent in folder.parents if parent.joinpath(".git").exists()), "")
        hint = f"; the repository around it is {above}" if above else ""
        raise RepositoryError(f"{folder} cannot be used as a git repository: {reason(error)}{hint}") from error


def _described(commit: pygit2.Commit) -> Commit:
    lines = commit.raw_message.decode("utf-8", "replace").strip().splitlines()
    return Commit(
        id=str(commit.id),
        author=printable(commit.author.raw_name.decode("utf-8", "replace")),
        email=printable(commit.author.raw_email.decode("utf-8", "replace")),
        when=datetime.fromtimestamp(min(max(commit.commit_time, 0), _LATEST), UTC),
        subject=printable(lines[0]) if lines else "",
        message="\n".join(map(printable, lines)),
    )


def _revert_message(undone: pygit2.Commit) -> str:
    what = f"This reverts commit {undone.id}"
    if len(undone.parent_ids) > 1:
        what += f", reversing\nchanges made to {undone.parent_ids[0]}"
    return f'Revert "{_described(undone).subject}"\n\n{what}.'


def _tidy(message: str) -> str:
    """End with one line break; NUL, which would cut the message, is replaced."""
    text = message.replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    if not text:
        raise RepositoryError("a commit needs a message that says why")
    return f"{text}\n"


def _signature(author: Author) -> pygit2.Signature:
    if UNSAFE.search(author.name + author.email):
        raise RepositoryError(f"{author.name!a} <{author.email!a}> cannot be the author of a commit; correct it")
    with explained(f"{author.name} <{author.email}> cannot be the author of a commit"):
        return pygit2.Signature(author.name, author.email)


def _entry(tree: pygit2.Tree | None, path: str) -> tuple[pygit2.Oid, int] | None:
    """Give what a tree holds at a path: its object and mode."""
    if tree is None or path not in tree:
        return None
    entry = tree / path
    return entry.id, int(entry.filemode)
