"""The second judge: tosca-parser, asked about merged templates in a process of its own.

It is slow, not fit for threads, changes global state, may hang or fall over, so it is never
imported here. No answer is a warning, never silence. What it cannot read of legal TOSCA is taken
out before (`specs.judge.dialect`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from specs.judge.channel import ChannelClosed, NoAnswer, packed, receive, send, unpacked
from specs.judge.verdict import Verdict, silence, verdicts

Template: TypeAlias = Mapping[str, Any]
"""A TOSCA document as plain data, imports resolved and every type in it that is not built in."""

SECONDS = 10.0
"""How long a template of up to a thousand nodes may take."""
_NODES_PER_SHARE = 1000
_MOST_SHARES = 6.0
"""Larger templates get more time, but no more than so many times `SECONDS`."""
_GRACE_SECONDS = 30.0
"""How much longer the process around the reader may take, its start included."""
_FAREWELL_SECONDS = 1.0
"""How long the process may take to end by itself."""
_MOST_FAILURES = 3
"""How many processes in a row may fail before the judge gives up on a batch."""
COMMAND = (sys.executable, "-m", "specs.judge.worker")
"""What starts the process."""
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
_ROOT = Path(__file__).parents[2]


def judge(template: Template) -> tuple[Verdict, ...]:
    """Ask about one template; empty if there is nothing to say against it."""
    return judge_many([template])[0]


def judge_many(templates: Iterable[Template]) -> tuple[tuple[Verdict, ...], ...]:
    """Ask about many templates; the answers are in their order, and no template changes another's answer."""
    return _shared().judge_many(templates)


def start() -> None:
    """Start the process if it does not run yet, so that it gets ready while other things are done."""
    _shared().start()


@cache
def _shared() -> Judge:
    shared = Judge()
    atexit.register(shared.close)
    return shared


class Judge:
    """Holds the process; starts it when it is needed. Safe to share between threads."""

    def __init__(self, seconds: float = SECONDS, command: Sequence[str] = COMMAND) -> None:
        self._seconds = seconds
        self._command = command
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._failures = 0
        self._last_words = ""

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The id of the process; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        with self._lock, contextlib.suppress(OSError):
            self._running()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def judge_many(self, templates: Iterable[Template]) -> tuple[tuple[Verdict, ...], ...]:
        """See the function of this name."""
        with self._lock:
            self._failures = 0
            return tuple(self._judge(template) for template in templates)

    def _judge(self, template: Template) -> tuple[Verdict, ...]:
        shares = min(max(1.0, _node_count(template) / _NODES_PER_SHARE), _MOST_SHARES)
        answer = self._ask(packed(template, self._seconds * shares), self._seconds * shares + _GRACE_SECONDS)
        found = verdicts([(kind, text) for kind, text in answer.get("complaints", ())], template)
        if found:
            return found
        if crash := answer.get("crash"):
            return (silence(f"it ended with {crash}"),)
        return (silence(answer["silent"]),) if "silent" in answer else ()

    def _ask(self, frame: bytes, seconds: float) -> Mapping[str, Any]:
        if self._failures >= _MOST_FAILURES:
            return {"silent": f"its process cannot run ({self._last_words})"}
        try:
            answer = self._running().ask(frame, seconds)
        except (ChannelClosed, NoAnswer, OSError) as error:
            self._failures += 1
            self._last_words = self._end() or str(error) or "it says nothing"
            return {"silent": f"its process {'hangs' if isinstance(error, NoAnswer) else 'ended'}"}
        except BaseException:
            self._end()  # an answer that nobody waits for must not be taken for the next one
            raise
        self._failures = 0
        return answer

    def _running(self) -> _Process:
        if self._process is None:
            self._process = _Process(self._command)
        return self._process

    def _end(self) -> str:
        process, self._process = self._process, None
        return process.end() if process else ""


class _Process:
    """The running process of the judge and the pipes to it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=_ROOT,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {"PYTHONHASHSEED": "0"},
                start_new_session=True,  # Ctrl-C at the terminal is not meant for it
            )
        except OSError:
            self._errors.close()
            raise
        assert self._popen.stdin is not None  # noqa: S101 - asked for above
        assert self._popen.stdout is not None  # noqa: S101 - asked for above
        self._pipes = (self._popen.stdin, self._popen.stdout)
        os.set_blocking(self._popen.stdin.fileno(), False)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._popen.pid

    def ask(self, frame: bytes, seconds: float) -> Mapping[str, Any]:
        """Give the answer to a frame."""
        to_process, from_process = self._pipes
        send(to_process.fileno(), frame, seconds)
        answer: Mapping[str, Any] = unpacked(receive(from_process.fileno(), seconds))
        return answer

    def end(self) -> str:
        """End the process; gives the last line it wrote to its standard error."""
        for pipe in self._pipes:
            pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_FAREWELL_SECONDS)
        self._popen.kill()
        self._popen.wait()
        with self._errors as errors:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


def _node_count(template: Template) -> int:
    topology = template.get("topology_template")
    nodes = topology.get("node_templates") if isinstance(topology, dict) else None
    return len(nodes) if isinstance(nodes, dict) else 0
