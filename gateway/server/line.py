"""The way out of one connection: bytes that leave together, a client that takes none, and the ways to end.

Knows nothing of requests, nor why anything is written or ended.
"""

import asyncio

from gateway.net.outbox import Outbox

GATHERED = 64 * 1024
"""Bytes that may be written within one turn of the event loop before any of them leaves."""


class Line:
    """One transport, written to by way of the outbox that all share."""

    __slots__ = ("_gathered", "_outbox", "_room", "_sent", "_taken", "_took_at", "choked", "paused", "transport")

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        self.transport = transport
        self._outbox = outbox
        self.choked = False
        """More waits to be sent than should."""
        self._room: asyncio.Event | None = None
        self.paused = False
        """The client is held back."""
        self._sent = self._gathered = 0
        self._taken = -1
        """Bytes that the client had taken at `_took_at`, a monotonic second."""
        self._took_at = 0.0

    # out

    def write(self, data: bytes) -> None:
        """Leaves with all else of this turn, and at once if that is much."""
        size = len(data)
        self._sent += size
        self._gathered += size
        self._outbox.write(self.transport, data)
        if self._gathered > GATHERED:
            self._gathered = 0
            self._outbox.flush(self.transport)

    async def room(self) -> None:
        """Returns when the client has taken enough, or is gone."""
        if self._room is None:
            self._room = asyncio.Event()
        while self.choked:
            self._room.clear()
            await self._room.wait()

    def release(self) -> None:
        """The client has taken enough, or is gone."""
        self.choked = False
        if self._room is not None:
            self._room.set()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client."""
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()

    def stalled(self, now: float, seconds: float) -> bool:
        """Whether bytes have been waiting for so long without one being taken, as far as the looks at it can tell."""
        waiting = self.transport.get_write_buffer_size()
        taken = self._sent - waiting
        if not waiting or taken != self._taken:
            self._taken, self._took_at = taken, now
        return now - self._took_at >= seconds

    # in

    def hold_back(self) -> None:
        """Nothing more is read for now."""
        if not self.paused and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()

    def take_more(self) -> None:
        if self.paused and not self.transport.is_closing():
            self.paused = False
            self.transport.resume_reading()

    # ends

    def abort(self) -> None:
        """At once, whatever is on its way."""
        self.transport.abort()

    def end(self) -> None:
        """After everything is sent nothing more will be; what still comes is read, if the transport can do that."""
        self._outbox.flush(self.transport)
        self.take_more()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """Closes if everything is sent; if not, the transport is to say so by `resume_writing`.

        Closing at once would send the rest too, but deaf and, with TLS, for half a minute at most.
        """
        self._outbox.flush(self.transport)
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits(0)
            if not self.transport.get_write_buffer_size():
                self.transport.close()
