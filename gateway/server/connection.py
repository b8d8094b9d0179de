"""One client's connection: one request after the other, and what is due in every state of it.

Framing is llhttp's work in its strict mode. This file owns the life of the connection: which request runs, which wait,
when reading stops, how the line ends. It does not know what an application is told, nor what a head says.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import cast

import httptools

from gateway.net.outbox import Outbox
from gateway.server.answer import refusal
from gateway.server.exchange import Application, Exchange
from gateway.server.head import ASGI, Field, Refused, Scope, check_size, understood, without_upgrade
from gateway.server.limits import (
    CHUNK_OVERHEAD,
    FREE_OVERHEAD,
    MAX_DRAINED,
    MAX_HEAD,
    MAX_PIPELINED,
    MAX_TARGET,
    Limits,
)
from gateway.server.line import Line
from gateway.server.watch import Watch

SLICE = 8 * 1024
"""Bytes that are parsed at once where requests may begin: so many may be parsed while another one runs."""

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

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Service:
    """What the connections of one server share."""

    application: Application
    limits: Limits
    loop: asyncio.AbstractEventLoop
    watch: "Watch[Connection]"
    outbox: Outbox = field(default_factory=Outbox)
    running: set[Exchange] = field(default_factory=set)
    """Those whose application has not returned."""
    stopping: bool = False


class Connection(asyncio.Protocol):
    """Made for each client that comes; in the service's watch as long as its line is there."""

    __slots__ = (
        "_current",
        "_deaf",
        "_drained",
        "_fed",
        "_fields",
        "_fresh",
        "_head_bytes",
        "_held",
        "_incoming",
        "_overhead",
        "_parser",
        "_phase",
        "_queue",
        "_refusal",
        "_scope",
        "_target",
        "_upgrade",
        "due",
        "line",
        "service",
    )

    def __init__(self, service: Service) -> None:
        self.service = service
        self.due = inf
        self._phase = IDLE
        self._current: Exchange | None = None
        """The request that is being answered."""
        self._fresh = False
        """Its application has not been asked yet."""
        self._incoming: Exchange | None = None
        """The request whose body is coming: the current one, one that waits, or one that is answered already."""
        self._queue: deque[Exchange] = deque()
        """Further requests that came in one slice with it ..."""
        self._held = bytearray()
        """... and what came beyond, as it came."""
        self._refusal: tuple[int, str] | None = None
        """What is said after all of these."""
        self._deaf = False
        """What comes is thrown away."""
        self._target = b""
        self._fields: list[Field] = []
        self._upgrade: bytes | None = None
        """A head that asks for another protocol, as it reads if it did not."""
        self._head_bytes = 0
        """Of the head that is coming, beyond its first slice."""
        self._overhead = self._drained = 0
        self._fed = 0.0
        """The monotonic second of the last byte of a body, or when it began to be missed."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        line = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        peer, name = line.get_extra_info("peername"), line.get_extra_info("sockname")
        self._scope: Scope = {
            "type": "http",
            "asgi": ASGI,
            "scheme": "http" if line.get_extra_info("sslcontext") is None else "https",
            "client": tuple(peer[:2]) if peer else None,
            "server": tuple(name[:2]) if name else None,
            "root_path": "",
        }
        self.line = Line(line, self.service.outbox)
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self.service.watch.add(self)
        self._idle()
        if self.service.stopping:
            self._close()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._full():
            self._hold(data)
        else:
            self._take(data)

    def eof_received(self) -> bool:
        if self._phase == SERVING:
            self._leave()
            self.line.abort()
        return False  # what is on its way still leaves

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.watch.remove(self)
        self._deaf = True
        self._parser = None  # it points back: no circle is left to the garbage collector
        self._leave()
        self.line.release()

    def pause_writing(self) -> None:
        self.line.choked = True

    def resume_writing(self) -> None:
        self.line.release()
        if self._phase == CLOSING:
            self.line.close()

    # bytes in

    def _full(self) -> bool:
        """Whether a whole request runs: what comes is for later."""
        return bool(self._queue) or (self._current is not None and self._incoming is None)

    def _hold(self, data: bytes | memoryview) -> None:
        self._held += data
        if len(self._held) > MAX_PIPELINED:
            self.line.hold_back()

    def _take(self, data: bytes | bytearray) -> None:
        """Parses what has come, up to the first request that has to wait; begins the one that has not."""
        if len(data) <= SLICE:
            self._parse(data)
        else:
            self._parse_in_slices(memoryview(data))
        if self._fresh:
            self._start()
        elif self._phase == DRAINING and self._incoming is None:
            self._idle()

    def _parse_in_slices(self, data: memoryview) -> None:
        at = 0
        while at < len(data) and not self._deaf:
            if self._full():
                self._hold(data[at:])
                break
            incoming, size = self._incoming, SLICE
            if incoming is not None and incoming.length is not None:
                size = max(SLICE, incoming.length - incoming.received)
            self._parse(data[at : at + size])
            at += size

    def _parse(self, data: bytes | bytearray | memoryview) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as end:
            head, self._upgrade = self._upgrade, None
            assert head is not None
            self._parse(head)
            if not self._deaf and end.args[0] < len(data):
                self._parse(data[end.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._misunderstood(error)
            return
        incoming = self._incoming
        if incoming is not None:
            self._in_body(incoming, len(data))
        elif self._current is None:
            self._in_head(len(data))

    def _in_head(self, size: int) -> None:
        if self._phase == IDLE:
            self._phase = HEAD
            self.due = self.service.watch.now + self.service.limits.head
            self._head_bytes = 0
        elif self._phase == HEAD:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD:
                self._refuse(431, f"the request's head is longer than {MAX_HEAD} bytes")

    def _in_body(self, incoming: Exchange, size: int) -> None:
        self._fed = self.service.watch.now
        if incoming.length is None:
            self._overhead += size
            if self._overhead > FREE_OVERHEAD + CHUNK_OVERHEAD * incoming.received:
                self._refuse(400, "the request's chunks have too much beside their data")
                return
        if self._phase == DRAINING:
            self._drained += size
            if self._drained > MAX_DRAINED:
                self._linger()

    def _misunderstood(self, error: httptools.HttpParserError) -> None:
        if self._deaf:
            return  # after a request that said it was the last one
        cause = error.__context__
        if isinstance(cause, Refused):
            self._refuse(cause.status, cause.message)
        elif isinstance(error, httptools.HttpParserCallbackError):
            logger.error("a request could not be read", exc_info=cause)
            self._refuse(500, "the request could not be read")
        else:
            self._refuse(400, f"the request is not valid HTTP: {error}")

    # called by llhttp

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > MAX_TARGET:
            check_size(self._target, self._fields)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._incoming is None:  # else a trailer: says nothing that anybody here reads
            self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        target, self._target = self._target, b""
        fields, self._fields = self._fields, []
        method, version = parser.get_method(), parser.get_http_version()
        if self._phase == HEAD:
            check_size(target, fields)
        named = dict(fields)
        if b"upgrade" in named and method != b"CONNECT" and parser.should_upgrade():
            self._upgrade = without_upgrade(method, version, target, fields)
            return
        head = understood(self._scope, method, version, target, fields, named)
        exchange = self._incoming = Exchange(self, head, parser.should_keep_alive())
        self._overhead = 0
        if self._current is None:
            self._current = exchange
            self._fresh = True
        else:
            self._queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        if self._incoming is not None:
            self._incoming.feed(data)

    def on_message_complete(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            self._deaf = incoming.close
            incoming.end()

    # one request after the other

    def _start(self) -> None:
        self._fresh = False
        self._phase = SERVING
        service, exchange = self.service, self._current
        assert exchange is not None
        self.due = service.watch.now + service.limits.look
        service.running.add(exchange)
        exchange.task = service.loop.create_task(exchange.run())

    def answered(self, exchange: Exchange) -> None:
        """Its answer is complete."""
        service = self.service
        self._current = None
        close = exchange.close or service.stopping
        if self._incoming is not exchange:
            if close:
                self._close()
            else:
                self._go_on()
        elif close:
            self._linger()
        else:
            self._phase = DRAINING
            self._drained = 0
            self.due = service.watch.now + service.limits.drain
            self.line.take_more()

    def _go_on(self) -> None:
        """What is next, after a whole request with a whole answer."""
        if self._queue:
            self._current = self._queue.popleft()
            self._fresh = True
        elif self._refusal is not None:
            self._say(*self._refusal)
            return
        else:
            self._idle()
        if self._held and not self._full():
            data, self._held = self._held, bytearray()
            self._take(data)
        elif self._fresh:
            self._start()
        if len(self._held) <= MAX_PIPELINED:
            self.line.take_more()

    def _idle(self) -> None:
        self._phase = IDLE
        self.due = self.service.watch.now + self.service.limits.idle

    def last(self, exchange: Exchange) -> bool:
        """Whether no request can follow this one, though its client would send one."""
        length = exchange.length
        return self.service.stopping or (
            self._incoming is exchange and length is not None and length - exchange.received > MAX_DRAINED
        )

    # ends

    def stop(self) -> None:
        """The server stops: what runs may end, nothing new begins."""
        if self._phase in (IDLE, HEAD, CLOSING):
            self._close()

    def cut(self, exchange: Exchange) -> None:
        """Its answer will not be whole: the end of the line says so."""
        if exchange is self._current:
            self._deaf = True
            self.line.abort()

    def failed(self, exchange: Exchange) -> None:
        """Its application ended without an answer."""
        if exchange is self._current:
            self._leave()
            self._say(500, "the server failed at this request")

    def _leave(self) -> None:
        """Nobody waits for the answers any more."""
        current, self._current = self._current, None
        if current is not None:
            current.leave()
        self._queue.clear()

    def _refuse(self, status: int, message: str) -> None:
        """What came cannot be served: nothing of it reaches the application, and nothing after it is heard."""
        self._deaf = True
        incoming, self._incoming = self._incoming, None
        if incoming is None or incoming.answered:
            pass
        elif incoming is not self._current:
            self._queue.pop()
        else:
            self._current, self._fresh = None, False
            incoming.leave()
            if incoming.started:
                self.line.abort()
                return
        if self._current is not None:
            self._refusal = status, message
        elif incoming is not None and incoming.answered:
            self._linger()
        else:
            self._say(status, message)

    def _say(self, status: int, message: str) -> None:
        self.line.write(refusal(status, message, self.service.watch.date))
        self._linger()

    def _linger(self) -> None:
        """Closes, but lets a client that is still sending hear what was said: a closed line would be reset."""
        self._phase = LINGERING
        self._deaf = True
        self.due = self.service.watch.now + self.service.limits.linger
        self.line.end()

    def _close(self) -> None:
        """Closes when everything is sent."""
        self._phase = CLOSING
        self._deaf = True
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
            self._refuse(408, "the request took too long to come")
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
                self._refuse(408, "the request's body stopped coming")
            else:
                self.due = min(self.due, self._fed + limits.body)
