"""Runs whole processes and says what they took, with the children they waited for."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
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


def measure(command: Command) -> tuple[Cost, str]:
    """Run a command to its end and give what it took and what it printed; `SystemExit` if it fails."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command.line,
            cwd=command.folder,
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            shown = _text(errors)[-2000:] or _text(output)[-2000:]
            raise SystemExit(f"{' '.join(command.line)} ended with {process.returncode}\n{shown}")
        return _cost(usage, wall), _text(output)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _cost(usage: resource.struct_rusage, wall: float) -> Cost:
    return Cost(cpu_seconds=usage.ru_utime + usage.ru_stime, wall_seconds=wall, peak_mb=usage.ru_maxrss * 1024 / 1e6)
