"""Runs whole processes and says what they took, with the children they waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process took."""

    cpu_seconds: float
    """User and system time."""
    wall_seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, and where and in what surroundings it runs."""

    line: Sequence[str]
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is set beside the environment of this process."""


_LAUNCHER = """
import os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
began = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
wall = time.perf_counter() - began
os.write(report, f"{usage.ru_utime + usage.ru_stime} {wall} {usage.ru_maxrss}".encode())
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""
"""Starts and measures a command. A process begins with the peak memory of what starts it; this one is small."""


def surroundings() -> dict[str, str]:
    """Give the environment without the wish not to keep compiled code: nobody runs installed programs like that."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(command: Command) -> tuple[Cost, str]:
    """Run a command to its end and give what it took and what it printed; `SystemExit` if it fails."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as report, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *command.line],
            cwd=command.folder,
            env={**surroundings(), **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=(writing,),
        )
        os.close(writing)
        if process.wait() != 0:
            shown = _text(errors)[-2000:] or _text(output)[-2000:]
            raise SystemExit(f"{' '.join(command.line)} ended with {process.returncode}\n{shown}")
        cpu, wall, peak = map(float, report.read().split())
        return Cost(cpu_seconds=cpu, wall_seconds=wall, peak_mb=peak * 1024 / 1e6), _text(output)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
