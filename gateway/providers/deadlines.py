"""Many time limits on one timer: what a call waits for is mostly there long before its limit.

A timer of its own for each call costs more than all the rest of the watching.
"""

import asyncio
import time
from typing import Protocol

TICK = 0.05
"""Seconds between two looks: how much later than its limit a call may be ended."""


class Watched(Protocol):
    """Something with a time limit."""

    def look(self, now: float) -> float | None:
        """What to do when a limit may be passed; the monotonic second to look again, or null if that is over."""


class Deadlines:
    """Looks at everything whose moment has come."""

    def __init__(self) -> None:
        self._due: dict[Watched, float] = {}
        self._ticking = False

    def watch(self, watched: Watched, due: float) -> None:
        """Look at it at this monotonic second, or up to `TICK` later."""
        self._due[watched] = due
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def forget(self, watched: Watched) -> None:
        """It is over."""
        self._due.pop(watched, None)

    def _tick(self) -> None:
        now = time.monotonic()
        for watched in [watched for watched, due in self._due.items() if due <= now]:
            again = watched.look(now)
            if again is None:
                self._due.pop(watched, None)
            else:
                self._due[watched] = again
        self._ticking = bool(self._due)
        if self._ticking:
            asyncio.get_running_loop().call_later(TICK, self._tick)
