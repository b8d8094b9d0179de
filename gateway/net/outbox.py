"""Bytes on their way out, gathered over one turn of the event loop.

A write that wakes a reader on another core costs its writer many times what the bytes cost, and leaves its own code
cold in the caches. So what is written while the ready callbacks run goes out together at their end, line by line. A
turn without rivals is over at once: a single caller waits for nothing.
"""

import asyncio
from collections.abc import Callable

LINES_AT_ONCE = 64
"""Lines that may wait for each other; beyond, the first would wait too long for the last."""
AT_ONCE = 64 * 1024
"""Bytes of one piece that is written without waiting, and without being copied."""


def _soon(flush: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_soon(flush)


class Outbox:
    """What waits to be written; for one event loop's thread."""

    def __init__(self, soon: Callable[[Callable[[], None]], object] = _soon) -> None:
        """`soon` has something done when what is ready now has run."""
        self._soon = soon
        self._waiting: dict[asyncio.WriteTransport, list[bytes | memoryview]] = {}

    def write(self, line: asyncio.WriteTransport, data: bytes | memoryview) -> None:
        """Sends `data`, in order with all that was written to this line before, at the end of this turn at latest."""
        waiting = self._waiting
        parts = waiting.get(line)
        if parts is not None:
            parts.append(data)
            if len(data) >= AT_ONCE:
                self.flush(line)
            return
        if len(data) >= AT_ONCE:
            line.write(data)
            return
        if len(waiting) >= LINES_AT_ONCE:  # looked at before a line is added: its body still goes with its head
            self.flush_all()
            waiting = self._waiting
        waiting[line] = [data]
        if len(waiting) == 1:
            self._soon(self.flush_all)

    def holds(self, line: asyncio.WriteTransport) -> bool:
        """Whether anything waits for this line."""
        return line in self._waiting

    def flush(self, line: asyncio.WriteTransport) -> None:
        """Writes what waits for this line now: before it is closed, say."""
        parts = self._waiting.pop(line, None)
        if parts is not None:
            _send(line, parts)

    def flush_all(self) -> None:
        """Writes all that waits."""
        waiting, self._waiting = self._waiting, {}
        for line, parts in waiting.items():
            _send(line, parts)


def _send(line: asyncio.WriteTransport, parts: list[bytes | memoryview]) -> None:
    if line.is_closing():
        return  # nobody hears it any more
    if len(parts) == 1:
        line.write(parts[0])
    elif sum(map(len, parts)) < AT_ONCE:
        line.write(b"".join(parts))
    else:
        line.writelines(parts)
