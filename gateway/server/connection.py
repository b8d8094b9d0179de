"""One client's connection: one request after the other, and what is due in every state of it.

Owns the life of the connection: which request runs, when the client is held back, how the line ends. Does not know how
requests are read, nor what an application is told.
"""

import asyncio
from math import inf
from typing import cast

from gateway.server.answer import refusal
from gateway.server.exchange import Exchange, Service
from gateway.server.head import Refused, scope_of_line
from gateway.server.limits import MAX_DRAINED, MAX_PIPELINED
from gateway.server.line import Line
from gateway.server.reader import Reader

# The states of a connection, and what happens when one lasts too long.
IDLE = 0
"""Nothing runs, nothing has come: it is closed."""
HEAD = 1
"""A head has begun: 408."""
SERVING = 2
"""A request runs: 408 if its body stalls; looked at now and then if not."""
DRAINING = 3
"""Answered, and the rest of its body is thrown away: closed."""
LINGERING = 4
"""All is said, the client may still be sending: cut."""
CLOSING = 5
"""Closed as soon as all is sent: cut."""


class Connection(asyncio.Protocol):
    """Made for each client that comes; in the service's watch as long as its line is there."""

    __slots__ = ("_current", "_drained", "_fed", "_phase", "_reader", "_refusal", "due", "line", "service")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.due = inf
        self._phase = IDLE
        self._current: Exchange | None = None
        """The request that is being answered."""
        self._refusal: Refused | None = None
        """What is said when it, and those that are ready, are answered."""
        self._drained = 0
        self._fed = 0.0
        """The monotonic second of the last byte of a body, or when it began to be missed."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        line = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        peer, name, secure = map(line.get_extra_info, ("peername", "sockname", "sslcontext"))
        self.line = Line(line, self.service.outbox)
        client, server = (tuple(place[:2]) if place else None for place in (peer, name))
        self._reader = Reader(self, scope_of_line("https" if secure else "http", client, server))
        self.service.watch.add(self)
        self._idle()
        if self.service.stopping:
            self._close()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader.deaf:
            return
        try:
            reader.read(data, self._current is not None)
        except Refused as refused:
            self._refuse(refused)
        if self._current is None:
            if reader.ready:
                self._start(reader.ready.popleft())
            else:
                self._nothing_to_do(len(data))
        elif reader.incoming is not None:
            self._fed = self.service.watch.now
        elif len(reader.held) > MAX_PIPELINED:
            self.line.hold_back()

    def eof_received(self) -> bool:
        if self._phase == SERVING:
            self._leave()
            self.line.abort()
        return False  # what is on its way still leaves

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.watch.remove(self)
        self._reader.close()
        self._leave()
        self.line.release()

    def pause_writing(self) -> None:
        self.line.choked = True

    def resume_writing(self) -> None:
        self.line.release()
        if self._phase == CLOSING:
            self.line.close()

    # one request after the other

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self._phase = SERVING
        service = self.service
        service.running.add(exchange)
        exchange.task = asyncio.Task(exchange.run(), loop=service.loop, name="request")

    def _nothing_to_do(self, size: int) -> None:
        """What came was part of a head, or of a body that nobody wants."""
        watch, limits = self.service.watch, self.service.limits
        if self._phase == IDLE:
            self._phase = HEAD
            self.due = watch.now + limits.head
        elif self._phase == DRAINING:
            self._drained += size
            if self._reader.incoming is None:
                self._idle()
            elif self._drained > MAX_DRAINED:
                self._linger()

    def answered(self, exchange: Exchange) -> None:
        """Its answer is complete."""
        self._current = None
        reader, service = self._reader, self.service
        unread = reader.incoming is exchange
        if exchange.close or service.stopping:
            if unread:
                self._linger()
            else:
                self._close()
        elif unread:
            self._phase = DRAINING
            self._drained = 0
            self.due = service.watch.now + service.limits.drain
            self.line.take_more()
        elif reader.ready:
            self._start(reader.ready.popleft())
        elif self._refusal is not None:
            self._say(self._refusal)
        else:
            self._idle()

    def _idle(self) -> None:
        self._phase = IDLE
        service, reader = self.service, self._reader
        self.due = service.watch.now + service.limits.idle
        if self.line.paused:
            self.line.take_more()
        if reader.held:
            held, reader.held = reader.held, bytearray()
            self.data_received(bytes(held))

    # ends

    def stop(self) -> None:
        """The server stops: what runs may end, nothing new begins."""
        if self._phase in (IDLE, HEAD, CLOSING):
            self._close()

    def cut(self, exchange: Exchange) -> None:
        """Its answer will not be whole: the end of the line says so."""
        if exchange is self._current:
            self._leave()
            self.line.abort()

    def failed(self, exchange: Exchange) -> None:
        """Its application ended without an answer."""
        if exchange is self._current:
            self._leave()
            self._say(Refused(500, "the server failed at this request"))

    def _leave(self) -> None:
        """Nobody waits for an answer any more."""
        self._reader.deaf = True
        current, self._current = self._current, None
        if current is not None:
            current.leave()

    def _refuse(self, refused: Refused) -> None:
        """What came cannot be served: nothing of it reaches the application, and nothing after it is read."""
        reader = self._reader
        reader.deaf = True
        incoming, reader.incoming = reader.incoming, None
        if incoming is not None and incoming.answered:
            self._linger()
            return
        if incoming is not None and incoming is self._current:
            self._leave()
            if incoming.started:
                self.line.abort()
                return
        elif incoming is not None:
            reader.ready.pop()
        if self._current is not None or reader.ready:
            self._refusal = refused
        else:
            self._say(refused)

    def _say(self, refused: Refused) -> None:
        self.line.write(refusal(refused.status, refused.message, self.service.watch.date))
        self._linger()

    def _linger(self) -> None:
        """Closes, but lets a client that is still sending hear what was said: a closed line would be reset."""
        self._phase = LINGERING
        self._reader.deaf = True
        self.due = self.service.watch.now + self.service.limits.linger
        self.line.end()

    def _close(self) -> None:
        """Closes when everything is sent."""
        self._phase = CLOSING
        self._reader.deaf = True
        limits = self.service.limits
        self.due = self.service.watch.now + (limits.last_words if self.service.stopping else limits.look)
        self.line.close()

    # time

    def hungry(self) -> None:
        """The application waits for bytes of a body."""
        self._fed = self.service.watch.now
        self.due = min(self.due, self._fed + self.service.limits.body)

    def look(self, now: float) -> None:
        """Does what is due in this state, or says when to look again."""
        limits, phase = self.service.limits, self._phase
        if self.line.stalled(now, limits.stall):
            self._leave()
            self.line.abort()
        elif phase == SERVING:
            self._look_at_current(now)
        elif phase == HEAD:
            self._refuse(Refused(408, "the request took too long to come"))
        elif phase == DRAINING:
            self._linger()
        elif self.line.unsent:  # the client is still taking an answer: its time begins when it has it
            self.due = now + (limits.last_words if self.service.stopping else limits.linger)
        elif phase == IDLE:
            self._close()
        else:
            self.line.abort()

    def _look_at_current(self, now: float) -> None:
        limits, current = self.service.limits, self._current
        self.due = now + limits.look
        if current is not None and current.hungry:
            if now >= self._fed + limits.body:
                self._refuse(Refused(408, "the request's body stopped coming"))
            else:
                self.due = min(self.due, self._fed + limits.body)
