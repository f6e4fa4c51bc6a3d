"""The process of the second judge: `python -m specs.judge.worker`, fed and asked over its pipes.

It imports tosca-parser once and forks a child that reads the templates, one after the other. The
child has no network, no files, bounded memory and time; one that stops answering is killed and the
next template gets a new child. The process ends when its standard input is closed.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import resource
import signal
import sys
from typing import NoReturn

import specs.judge.forgone  # noqa: F401 - has to come before the parser
from specs.judge.channel import ChannelClosed, NoAnswer, packed, receive, seconds_of, send, unpacked
from specs.judge.parser import Parser

MAX_MEMORY = 1 << 29
"""Address space of a child, in bytes."""
_MOST_DESCRIPTORS = 1024
"""More than this process ever has open."""
_PR_SET_PDEATHSIG = 1
_SAMPLE = {
    "tosca_definitions_version": "tosca_simple_yaml_1_3",
    "topology_template": {"node_templates": {"a": {"type": "tosca.nodes.Compute"}, "b": {"type": "unknown"}}},
}
"""Read once at the start, so that a child, which cannot open files, finds everything imported."""


def main() -> None:
    """Answer templates until nobody asks any more."""
    requests, answers = _take_over_standard_streams()
    parser = Parser()
    parser.read(_SAMPLE)
    gc.collect()
    gc.freeze()
    nursery = _Nursery(parser, requests, answers)
    try:
        while True:
            send(answers, nursery.ask(receive(requests)))
    except ChannelClosed:
        nursery.end()


def _take_over_standard_streams() -> tuple[int, int]:
    """Keep the pipes for ourselves; what anybody prints goes nowhere. Errors still go out until this is done."""
    requests, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    return requests, answers


class _Nursery:
    """Keeps a child that reads templates, and replaces it when it is gone."""

    def __init__(self, parser: Parser, requests: int, answers: int) -> None:
        self._parser = parser
        self._requests = requests
        self._answers = answers
        self._child = 0
        self._to_child = self._from_child = -1

    def ask(self, frame: bytes) -> bytes:
        """Have a template read; the answer says so if the child did not survive it."""
        if not self._child:
            self._fork()
        seconds = seconds_of(frame)
        try:
            send(self._to_child, frame)
            return receive(self._from_child, seconds, self._requests)
        except NoAnswer:
            self.end()
            return packed({"silent": f"it took longer than {seconds:g} s"})
        except ChannelClosed:
            return packed({"silent": f"it was stopped ({self.end()})"})

    def end(self) -> str:
        """End the child; says how it ended."""
        if not self._child:
            return ""
        os.close(self._to_child)
        os.close(self._from_child)
        os.kill(self._child, signal.SIGKILL)
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"

    def _fork(self) -> None:
        child_reads, self._to_child = os.pipe()
        self._from_child, child_writes = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            _live(self._parser, child_reads, child_writes)
        os.close(child_reads)
        os.close(child_writes)


def _live(parser: Parser, requests: int, answers: int) -> NoReturn:
    """Be the child: read templates until the parent is gone."""
    try:
        requests, answers = _confine(requests, answers)
        while True:
            frame = receive(requests)
            _allow_seconds(seconds_of(frame))
            send(answers, _read(parser, frame))
    except (ChannelClosed, MemoryError):
        os._exit(1)


def _read(parser: Parser, frame: bytes) -> bytes:
    gc.disable()
    try:
        outcome = parser.read(unpacked(frame))
    finally:
        gc.enable()
    return packed({"complaints": [[item.kind, item.text] for item in outcome.complaints], "crash": outcome.crash})


def _confine(requests: int, answers: int) -> tuple[int, int]:
    """Give up files, sockets, core dumps and memory beyond need, and die with the parent; gives the pipes anew.

    With the five descriptors from 0 taken and no more allowed, nothing can be opened or connected.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    spare = os.dup(requests), os.dup(answers)
    pipes = os.dup2(spare[0], 3), os.dup2(spare[1], 4)
    os.closerange(5, _MOST_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    return pipes


def _allow_seconds(seconds: float) -> None:
    """Allow so much processor time from now; the parent measures what the clock on the wall says."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds) + 1, hard))


if __name__ == "__main__":
    main()
