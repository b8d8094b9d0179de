"""Slow streams by the thousand: an event each in so many seconds, from one timer, until all of them are to end."""

import asyncio
from time import monotonic_ns
from typing import Any

from benchmarks.upstream.answers import ending, stamped_halves

SLOTS = 200
"""Parts of a round, so that streams that began at different times get their events at different times."""


class SlowStreams:
    """A wheel: each turn of the timer serves the streams of one slot."""

    def __init__(self, every: float) -> None:
        self._step = every / SLOTS
        self._slots: list[dict[Any, int]] = [{} for _ in range(SLOTS)]
        """Words sent so far, by transport."""
        self._now = 0
        self._finishing = False
        self._before, self._after = stamped_halves()
        self.events = 0
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + self._step
        self._loop.call_at(self._due, self._turn)

    def begin(self, transport: Any, head: bytes) -> None:
        """The first event goes with the head, the next one a round later."""
        transport.write(head + self._event())
        self._slots[self._now][transport] = 1

    def finish(self) -> None:
        """Every stream ends when its next event is due."""
        self._finishing = True

    def _turn(self) -> None:
        self._now = (self._now + 1) % SLOTS
        self._due += self._step
        self._loop.call_at(self._due, self._turn)
        slot = self._slots[self._now]
        for transport, words in list(slot.items()):
            if transport.is_closing():
                del slot[transport]
            elif self._finishing:
                transport.write(ending(words))
                del slot[transport]
            else:
                transport.write(self._event())
                slot[transport] = words + 1

    def _event(self) -> bytes:
        self.events += 1
        return b"%s%020d%s" % (self._before, monotonic_ns(), self._after)
