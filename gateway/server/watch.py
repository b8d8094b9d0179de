"""The time of all connections on one timer: the clock that they read, the `date` field, and who is overdue.

A timer of its own for each request would cost more than its whole head.
"""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Generic, Protocol, TypeVar

TICK = 0.5
"""Seconds between two looks: how far behind the clock is at most, and how much later than due something is done."""


class Watched(Protocol):
    """Something that is due at some time."""

    due: float
    """The monotonic second to look at it; may be moved at any time."""

    def look(self, now: float) -> None:
        """Do what is due; sets `due` anew."""


T = TypeVar("T", bound=Watched)


class Watch(Generic[T]):
    """Looks at everything that is due. Ticks while there is anything to look at."""

    def __init__(self, tick: float = TICK, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = tick
        self._clock = clock
        self._ticking = False
        self._second = -1
        self.watched: set[T] = set()
        self.now = 0.0
        """Monotonic seconds, as of the last tick."""
        self.date = b""
        """The `date` field as a line."""

    def add(self, watched: T) -> None:
        self.watched.add(watched)
        if not self._ticking:
            self._run()

    def remove(self, watched: T) -> None:
        self.watched.discard(watched)

    def tick(self) -> None:
        """Reads the clock and looks at what is due."""
        now = self.now = self._clock()
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.date = f"date: {formatdate(second, usegmt=True)}".encode()
        for watched in [watched for watched in self.watched if watched.due <= now]:
            watched.look(now)

    def _run(self) -> None:
        self._ticking = bool(self.watched)
        if self._ticking:
            asyncio.get_running_loop().call_later(self._seconds, self._run)
            self.tick()
