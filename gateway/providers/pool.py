"""Open connections: which of them are idle, and for how long that may be.

Knows origins as keys only; opens nothing.
"""

import asyncio
import time
from collections import deque

from gateway.providers.http1 import Connection

Key = tuple[str, int, bool]
"""Host, port, and whether TLS is spoken there."""


class Pool:
    """The connections of one transport."""

    def __init__(self) -> None:
        self.lines: set[Connection] = set()
        """Every connection that has a line, idle or not."""
        self._idle: dict[Key, deque[Connection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweeps_at = 0.0

    def opened(self, connection: Connection) -> None:
        """A new one, in use. `lost` must be told of its end."""
        if connection.open:  # else it has ended already
            self.lines.add(connection)

    def lost(self, connection: Connection) -> None:
        self.lines.discard(connection)

    def take(self, key: Key) -> Connection | None:
        """The idle connection that was used last, if any is still good."""
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            if connection.idle_and_open and time.monotonic() < connection.keep_until:
                return connection
            connection.abort()
        return None

    def give_back(self, key: Key, connection: Connection, keep: float) -> None:
        """Idle from now on, for `keep` seconds; closed if it cannot serve another request."""
        if not connection.idle_and_open:
            connection.abort()
            return
        connection.keep_until = time.monotonic() + keep
        self._idle.setdefault(key, deque()).append(connection)
        if self._sweeper is None or connection.keep_until < self._sweeps_at:
            self._sweep_at(connection.keep_until)

    def close(self) -> None:
        """Cuts every line, whatever runs on it."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._idle.clear()
        for connection in list(self.lines):
            connection.abort()

    def _sweep(self) -> None:
        """Closes what was idle too long: nobody may ever ask this origin again."""
        now = time.monotonic()
        for key, idle in list(self._idle.items()):
            kept = deque(connection for connection in idle if connection.idle_and_open and now < connection.keep_until)
            for connection in set(idle).difference(kept):
                connection.abort()
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]
        self._sweeper = None
        if self._idle:
            self._sweep_at(min(connection.keep_until for idle in self._idle.values() for connection in idle))

    def _sweep_at(self, when: float) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweeps_at = when
        self._sweeper = asyncio.get_running_loop().call_later(max(when - time.monotonic(), 0.001), self._sweep)
