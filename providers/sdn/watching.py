"""Looks at switches, ports and links all the time, and tells when one of them has come, gone or changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

from providers.base import ProviderError
from providers.sdn.controller import Controller

logger = logging.getLogger(__name__)


class Watcher:
    """A thread that looks again and again until it is closed."""

    def __init__(self, controller: Controller, moved: Callable[[], None], pause: timedelta) -> None:
        self._controller, self._moved, self._pause = controller, moved, pause.total_seconds()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="sdn-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        seen = self._sight()
        while not self._stop.wait(self._pause):
            now = self._sight()
            if now != seen:
                logger.info("the fabric has moved: a switch, a port or a link changed")
                self._moved()
            seen = now

    def _sight(self) -> object:
        """Give what the controller says now, in a form that compares; the words of a failure if it says nothing."""
        try:
            switches = sorted(self._controller.switches())
            return (
                switches,
                [self._ports(dpid) for dpid in switches],
                self._controller.wires(),
                self._controller.devices(),
            )
        except ProviderError as error:
            return type(error).__name__

    def _ports(self, dpid: int) -> object:
        try:
            return self._controller.ports(dpid)
        except ProviderError as error:
            return type(error).__name__
