"""A repository on a real git server, and the command line as real processes that watch it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from providers.base import ProviderError
from providers.sandpit import faults, sabotage
from providers.sandpit.database import Database
from reconciler.starter import SITE, SPEC, starter_files
from state.opening import open_store
from state.store import Store

ROOT = Path(__file__).parents[2]
SETTINGS = """
defaults: {sync: {auto_apply: true, self_heal: true, prune: true}}
timing: {poll: 0.3s, jitter: 0.1s, drift: 1s, backoff: 0.5s, longest_backoff: 2s}
"""
_PATIENCE_SECONDS = 30


def wait_until(what: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
    """Wait for something to become true; fail if it does not."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Running:
    """A command that runs as a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(how)
        return self.wait()

    def wait(self) -> int:
        """Wait for the exit code."""
        return self.process.wait(_PATIENCE_SECONDS)

    @property
    def said(self) -> str:
        """What it printed so far."""
        return self.log.read_text()


@dataclass(slots=True)
class Platform:
    """A repository on a server, a folder to watch it from, and the world there."""

    url: str
    bare: Path
    folder: Path
    environment: Mapping[str, str]
    processes: list[Running] = field(default_factory=list)

    def start(self, *arguments: str) -> Running:
        """Start a command."""
        log = self.folder / f"log-{len(self.processes)}"
        command = [sys.executable, "-m", "reconciler.cli.main", "-C", str(self.folder), "--repo", self.url, *arguments]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
        self.processes.append(Running(process, log))
        return self.processes[-1]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end."""
        running = self.start(*arguments)
        return running.wait(), running.said

    def push(self, changes: Mapping[str, bytes | None], message: str = "Change", *, sign: Path | None = None) -> None:
        """Push a commit from a work tree elsewhere, with git itself; signed, if there is a key to sign it with."""
        desk = self.folder.with_name("desk")
        if not desk.exists():
            self._git("clone", "--quiet", self.url, str(desk))
        self._git("-C", str(desk), "pull", "--quiet", "--ff-only")
        for path, content in changes.items():
            file = desk / path
            if content is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        self._git("-C", str(desk), "add", "--all")
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={sign}", "-c", "commit.gpgsign=true"] if sign else []
        self._git("-C", str(desk), *signing, "commit", "--quiet", "--message", message)
        self._git("-C", str(desk), "push", "--quiet", "origin", "main")

    def _git(self, *arguments: str) -> None:
        people = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        subprocess.run(["git", *people, *arguments], env=self.environment, check=True, timeout=_PATIENCE_SECONDS)

    # --- what there is ---

    def addresses(self) -> list[str]:
        """Give the address of every object; none while there is no world yet."""
        with suppress(ProviderError), self._world() as world:
            return [str(row["address"]) for row in sabotage.listed(world)]
        return []

    def delete(self, address: str) -> None:
        """Delete an object behind everybody's back."""
        with self._world() as world:
            sabotage.deleted(world, address)

    def spoil(self, call: str, trouble: str, seconds: float = 0.0) -> None:
        """Let calls go wrong."""
        with self._world() as world:
            faults.add(world, faults.Fault(call=call, trouble=faults.Trouble(trouble), seconds=seconds))

    def _world(self) -> closing[Database]:
        return closing(sabotage.open_site(self.folder / ".reconciler", SITE))

    def store(self) -> Store:
        """Open the state store; the caller closes it."""
        return open_store("", self.folder / ".reconciler")


def files(**more: bytes) -> dict[str, bytes]:
    """Give the starter's files with settings for the impatient, and others in their place."""
    slow = b"delays: {image: 300 ms, server: 700 ms, path: 200 ms}"
    site = starter_files()[f"sites/{SITE}.yaml"].replace(slow, b"delays: {server: 200 ms}")
    return {**starter_files(), f"sites/{SITE}.yaml": site, "reconciler.yaml": SETTINGS.encode(), **more}


def edited(before: str, after: str, path: str = SPEC) -> dict[str, bytes | None]:
    """Give a file of the starter with one text in the place of another."""
    content = files()[path]
    assert before.encode() in content
    return {path: content.replace(before.encode(), after.encode())}
