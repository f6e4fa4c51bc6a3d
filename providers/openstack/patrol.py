"""Waits for servers that change size or look for a host: one list answers all who wait, however many they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic, sleep

from providers.base import TransientError
from providers.openstack.cloud import Json

_PAUSE_SECONDS = 0.5


class Patrol:
    """Looks again and again for as long as somebody waits."""

    def __init__(self, look: Callable[[], list[Json]]) -> None:
        self._look = look
        self._turn = Lock()
        self._began = 0.0
        self._rows: Mapping[str, Json] = {}

    def wait(self, number: str, ready: Callable[[Json | None], bool], seconds: float, doing: str) -> Json | None:
        """Give an object as soon as it is ready, `None` standing for one that is gone."""
        deadline = monotonic() + seconds
        while True:
            row = self._fresh().get(number)
            if ready(row):
                return row
            if monotonic() > deadline:
                raise TransientError(f"cannot {doing}: it takes longer than {seconds:g} s; it will be looked at again")

    def _fresh(self) -> Mapping[str, Json]:
        """Give a list that was begun after this call, by whoever came first."""
        asked = monotonic()
        with self._turn:
            if self._began < asked:
                sleep(max(0.0, self._began + _PAUSE_SECONDS - monotonic()))
                self._began = monotonic()
                self._rows = {str(row["id"]): row for row in self._look()}
            return self._rows
