"""The bare clone in the state folder: made once, refreshed by fetching, never in a state that blocks the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2

from specs.errors import RepositoryError
from specs.git.address import Address
from specs.git.faults import FAULTS, explained
from specs.git.remote import PATIENT, Remote, TimeLimits

_NAME = "repository.git"
_SCRATCH = "repository-"
_LOCK_SECONDS = 60
_MOST_PACKS = 100
"""Every fetch with news leaves one pack; when there are more they are packed together."""
_PACK_GRACE_SECONDS = 3600
"""How long a pack stays for readers in other processes."""


class Mirror:
    """What is at an address, kept in `<state folder>/repository.git`; only our own files are ever removed."""

    def __init__(self, address: Address, state_dir: Path, limits: TimeLimits = PATIENT) -> None:
        self.address = address
        self._home = state_dir
        self._folder = state_dir / _NAME
        self._limits = limits

    def open(self) -> pygit2.Repository:
        """Open the mirror; clone it first if there is none yet, or one of another address, or a broken one."""
        return self._usable() or self._clone()

    def fetch(self) -> pygit2.Repository:
        """Bring the mirror up to date with the address and open it anew."""
        with self._locked():
            mirror = self._usable()
            if mirror is not None:
                self._unblock()
                self._follow(mirror, Remote(mirror, self._limits).fetch(self.address))
                with explained(f"cannot pack {self._folder}"):
                    self._pack(mirror)
        return self.open()

    def push(self, commit: pygit2.Oid, branch: str) -> None:
        """Move a branch at the address, and here, forward to a commit; `RepositoryError` if it is refused."""
        with self._locked(), explained(f"cannot push from {self._folder}"):
            self._unblock()
            Remote(pygit2.Repository(str(self._folder)), self._limits).push(self.address, commit, branch)

    def _usable(self) -> pygit2.Repository | None:
        try:
            mirror = pygit2.Repository(str(self._folder))
            return mirror if Remote.address_of(mirror) == self.address.url else None
        except FAULTS:  # there is none, or it is broken: it is only a copy, a new one is made
            return None

    def _clone(self) -> pygit2.Repository:
        """Clone under another name and rename, so that a killed clone leaves nothing that looks finished."""
        with self._locked():
            mirror = self._usable()  # another process may have been quicker
            if mirror is not None:
                return mirror
            with explained(f"cannot clone into {self._home}"):
                self._sweep()
                scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self._home))
            try:
                with explained(f"cannot clone into {scratch}"):
                    self._fill(scratch)
                    if self._folder.exists():
                        self._folder.rename(scratch.with_suffix(".old"))
                    scratch.rename(self._folder)
                    return pygit2.Repository(str(self._folder))
            finally:
                self._sweep()

    def _fill(self, scratch: Path) -> None:
        mirror = pygit2.init_repository(str(scratch), bare=True)
        scratch.chmod(0o700)
        Remote.add(mirror, self.address)
        self._follow(mirror, Remote(mirror, self._limits).fetch(self.address))

    def _sweep(self) -> None:
        """Remove what clones left behind; nobody else is cloning, for we hold the lock."""
        for left in self._home.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _follow(self, mirror: pygit2.Repository, head: str) -> None:
        if head and mirror.lookup_reference("HEAD").target != head:
            mirror.set_head(head)

    def _unblock(self) -> None:
        """Remove lock files of a killed process; no living one works here, for we hold the lock."""
        for left in (*self._folder.glob("*.lock"), *self._folder.joinpath("refs").rglob("*.lock")):
            left.unlink(missing_ok=True)

    def _pack(self, mirror: pygit2.Repository) -> None:
        """Put everything into one pack when there are too many that nobody can be reading, and drop those."""
        packs = self._folder / "objects" / "pack"
        old = [pack for pack in packs.glob("*.pack") if time.time() - pack.stat().st_mtime > _PACK_GRACE_SECONDS]
        if len(old) <= _MOST_PACKS:
            return
        with tempfile.TemporaryDirectory(dir=packs.parent) as scratch:
            mirror.pack(scratch)
            new = sorted(Path(scratch).iterdir(), reverse=True)  # the pack before its index, which makes it count
            for file in new:
                file.replace(packs / file.name)
        kept = {file.stem for file in new}
        for pack in old:
            if pack.stem not in kept:
                pack.with_suffix(".idx").unlink(missing_ok=True)
                pack.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes out of the mirror; a killed process loses the lock by itself."""
        with explained(f"cannot lock {self._home}"):
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._home / "repository.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RepositoryError(
                        f"another process has been working on {self._folder} for {_LOCK_SECONDS} seconds; try again"
                    ) from None
                time.sleep(0.05)
