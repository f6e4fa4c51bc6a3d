"""Frames on a pipe: a head of fixed size and JSON behind it."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any

_HEAD = struct.Struct(">dI")
"""Seconds that the answer may take, and the length of the JSON."""


class ChannelClosed(Exception):  # noqa: N818 - reads as what happened
    """The other side is gone."""


class NoAnswer(Exception):  # noqa: N818 - reads as what happened
    """The other side took too long."""


def packed(data: Any, seconds: float = 0.0) -> bytes:
    """Make a frame."""
    content = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return _HEAD.pack(seconds, len(content)) + content


def unpacked(frame: bytes) -> Any:
    """Give what a frame carries."""
    return json.loads(frame[_HEAD.size :].decode("utf-8", "surrogatepass"))


def seconds_of(frame: bytes) -> float:
    """Give how long the answer to a frame may take."""
    seconds, _ = _HEAD.unpack_from(frame)
    return float(seconds)


def send(descriptor: int, frame: bytes, seconds: float | None = None) -> None:
    """Write a whole frame; `ChannelClosed` if nobody reads it, `NoAnswer` if it is not taken in time.

    Only a descriptor that does not block can be given up in time.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    rest = memoryview(frame)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            _wait(descriptor, select.POLLOUT, deadline, None)
        except BrokenPipeError as error:
            raise ChannelClosed from error


def receive(descriptor: int, seconds: float | None = None, watched: int | None = None) -> bytes:
    """Read a whole frame.

    `NoAnswer` after so many seconds, `ChannelClosed` when the writer is gone, or when `watched`, another
    descriptor from which nothing is expected meanwhile, is closed.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    head = _read(descriptor, _HEAD.size, deadline, watched)
    _, length = _HEAD.unpack(head)
    return head + _read(descriptor, length, deadline, watched)


def _read(descriptor: int, length: int, deadline: float | None, watched: int | None) -> bytes:
    pieces = []
    while length:
        _wait(descriptor, select.POLLIN, deadline, watched)
        piece = os.read(descriptor, min(length, 1 << 20))
        if not piece:
            raise ChannelClosed
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _wait(descriptor: int, event: int, deadline: float | None, watched: int | None) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if watched is not None:
        poll.register(watched, select.POLLIN)
    left = None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000)
    ready = {found for found, _ in poll.poll(left)}
    if not ready:
        raise NoAnswer
    if descriptor not in ready:
        raise ChannelClosed
