"""Starts Ryu 4.34 on a Python and an eventlet it was not written for, and tames it for tests.

Ryu reads `eventlet.wsgi.ALREADY_HANDLED`, which is gone, and sets TCP_NODELAY on switch connections, which a Unix
socket refuses. Both are put right before Ryu is imported.
"""

# ruff: noqa: E402 -- the order of these imports is what this file is for
from __future__ import annotations

import warnings

warnings.filterwarnings("ignore")

import eventlet

eventlet.monkey_patch()

import socket

import eventlet.wsgi
from eventlet.greenio import GreenSocket

if not hasattr(eventlet.wsgi, "ALREADY_HANDLED"):
    eventlet.wsgi.ALREADY_HANDLED = object()

_plain_init = GreenSocket.__init__


def _init(self, *arguments, **options):  # type: ignore[no-untyped-def] # runs in Ryu's environment, unseen by mypy
    _plain_init(self, *arguments, **options)
    if self.fd.family == socket.AF_UNIX:
        real = self.fd.setsockopt
        self.setsockopt = lambda level, *more: None if level == socket.IPPROTO_TCP else real(level, *more)


GreenSocket.__init__ = _init

from ryu.cmd.manager import main

main()
