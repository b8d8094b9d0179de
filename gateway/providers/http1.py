"""One HTTP/1.1 connection to an upstream: bytes out, an answer in, on llhttp (httptools).

Why not a client library: measured on one core, the well-kept ones cost two to three times as much for a call
(`benchmarks/choice.md`). Framing is llhttp's job in its strict mode; this file owns the life of the connection:
what may be reused, what was cut short, when to stop reading. It knows no provider, no pool and no price.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn, cast

import httptools

from gateway.core.errors import UpstreamFault
from gateway.net.outbox import Outbox
from gateway.ports import Headers

MAX_HEAD = 256 * 1024
"""Bytes of header fields in one answer; more is an error."""
MAX_BODILESS = 2 * MAX_HEAD
"""Bytes in a row that bring nothing of a body: a field without end, trailers or interim answers without number."""
HIGH_WATER = 256 * 1024
"""Bytes waiting to be read, beyond which the upstream is held back."""

_NOTED = frozenset(("content-length", "transfer-encoding", "keep-alive"))
_VERSIONS = frozenset(("1.0", "1.1"))
_TIMEOUT = re.compile(rb"(?i:timeout)\s*=\s*(\d{1,9})")


class Connection(asyncio.Protocol):
    """One connection and the exchange that runs on it, if any. `lost` is told when its line is gone."""

    def __init__(self, lost: "Callable[[Connection], None]", outbox: Outbox) -> None:
        self._lost = lost
        self._outbox = outbox
        self.transport: asyncio.Transport | None = None
        self.exchange: Exchange | None = None
        self.reusable = True
        self.keep_until = 0.0
        """Monotonic seconds after which an idle connection is not used again."""
        self.server_keeps: float | None = None
        """`Keep-Alive: timeout=` of the last answer that had one, seconds."""
        self.held_back = False
        """Nobody reads the answer fast enough, so nothing more is taken off the line."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.abort()  # bytes that nobody asked for: the framing cannot be trusted any more
            return
        exchange.last_byte = time.monotonic()
        before = exchange.buffered
        try:
            exchange.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._broken(f"the upstream's answer is not valid HTTP: {error}")
            return
        if exchange.buffered > before:
            exchange.bodiless = 0
        else:
            exchange.bodiless += len(data)
            if exchange.bodiless > MAX_BODILESS:
                self._broken("the upstream sends header fields without end")

    def eof_received(self) -> bool:
        if self.exchange is not None:
            self.exchange.line_ended()
        self.abort()  # closing would wait until a request that nobody reads is sent whole
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)
        self.reusable = False
        if self.exchange is not None:
            self.exchange.line_lost()
            self._part()

    # the exchange

    def send(self, head: bytes, *body: bytes | memoryview) -> "Exchange":
        """Sends one request, its body in pieces; its answer is read from the exchange.

        Raises `UpstreamFault` if the line is gone.
        """
        if self.transport is None or self.transport.is_closing():
            raise UpstreamFault("the connection to the upstream is closed", uncertain=False)
        exchange = self.exchange = Exchange(self)
        self._outbox.write(self.transport, head)
        for piece in body:
            if piece:
                self._outbox.write(self.transport, piece)
        return exchange

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    @property
    def idle_and_open(self) -> bool:
        """Whether another request may be sent here."""
        line = self.transport
        return self.reusable and self.exchange is None and line is not None and not line.is_closing()

    def finished(self) -> None:
        """The exchange has its whole answer; the connection may serve another."""
        self._part()
        self.resume()  # an idle connection must hear that it is closed
        line = self.transport
        if line is not None and (line.get_write_buffer_size() or self._outbox.holds(line)):
            self.reusable = False  # answered before the request was sent whole: the rest would stand before the next

    def pause(self) -> None:
        if not self.held_back and self.transport is not None and not self.transport.is_closing():
            self.held_back = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.held_back and self.transport is not None and not self.transport.is_closing():
            self.held_back = False
            if self.exchange is not None:
                self.exchange.last_byte = time.monotonic()  # the silence was ours
            self.transport.resume_reading()

    def abort(self) -> None:
        self.reusable = False
        if self.transport is not None:
            self.transport.abort()

    def _part(self) -> None:
        if self.exchange is not None:
            del self.exchange.parser  # it points back at the exchange: no circle is left to the garbage collector
            self.exchange = None

    def _broken(self, why: str) -> None:
        if self.exchange is not None:
            self.exchange.fail(UpstreamFault(why, uncertain=True))
        self.abort()


class Exchange:
    """One request's answer as it comes. Called by llhttp; read by the transport."""

    __deletable__ = ("parser",)  # said for the compiler
    __slots__ = (
        "_chunks",
        "_connection",
        "_framed",
        "_head_bytes",
        "_waiter",
        "bodiless",
        "buffered",
        "complete",
        "fault",
        "head_done",
        "headers",
        "last_byte",
        "parser",
        "status",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._head_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._framed = False
        self.buffered = 0
        """Bytes of the body that wait to be read."""
        self.bodiless = 0
        """Bytes that came since the last one of the body."""
        self.headers: Headers = []
        self.status = 0
        self.head_done = False
        self.complete = False
        """The whole answer has come, though some of it may wait to be read."""
        self.fault: UpstreamFault | None = None
        self.last_byte = time.monotonic()
        self.parser = httptools.HttpResponseParser(self)

    # called by llhttp

    def on_message_begin(self) -> None:
        if self.complete:  # a second answer to one request: it must not touch the first
            raise httptools.HttpParserError("more came than the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:
            return  # a trailer: says nothing that anybody here reads
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD:
            self._refuse(f"the upstream's header fields are longer than {MAX_HEAD} bytes")
        field = name.decode("latin-1").lower()
        if field in _NOTED:
            self._note(field, value)
        self.headers.append((field, value.decode("latin-1")))

    def _note(self, field: str, value: bytes) -> None:
        """The fields that say where the body ends, and how long the connection will be there."""
        if field == "keep-alive":
            if stated := _TIMEOUT.search(value):
                self._connection.server_keeps = float(stated[1])
            return
        if field == "transfer-encoding" and (self._framed or value.lower() != b"chunked"):
            self._refuse("the upstream's answer has a transfer encoding that was not asked for")
        self._framed = True

    def on_headers_complete(self) -> None:
        status, version = self.parser.get_status_code(), self.parser.get_http_version()
        if version not in _VERSIONS or not 100 <= status < 600 or status == 101:
            self._refuse(f"the upstream's answer is not valid HTTP: status {status} of HTTP/{version}")
        if status < 200:  # 100 Continue, 103 Early Hints: not the answer yet
            self.headers = []
            self._framed = False
            return
        if version == "1.0" or (status in (204, 304) and self._framed):  # the two sides may not agree where it ends
            self._connection.reusable = False
        self.status = status
        self.head_done = True
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self.buffered += len(body)
        if self.buffered > HIGH_WATER:
            self._connection.pause()
        self._wake()

    def on_message_complete(self) -> None:
        if self.head_done:
            if not self.parser.should_keep_alive():  # known in this callback only
                self._connection.reusable = False
            self.complete = True
            self._wake()

    def _refuse(self, why: str) -> NoReturn:
        self.fault = UpstreamFault(why, uncertain=True)
        raise httptools.HttpParserError(why)

    # called by the connection

    def line_ended(self) -> None:
        """The upstream has sent all that it will send."""
        if self.head_done and not self._framed and self.fault is None:
            self.complete = True  # as HTTP/1.0 does it: the closed line is the end
        self.line_lost()

    def line_lost(self) -> None:
        if self.head_done:
            self.fail(UpstreamFault("the upstream broke off its answer", uncertain=True))
        else:
            self.fail(UpstreamFault("the upstream closed the connection without an answer", uncertain=True))

    def fail(self, fault: UpstreamFault) -> None:
        """Ends the exchange, unless it has ended: the first reason is the true one."""
        if not self.complete and self.fault is None:
            self.fault = fault
        self._wake()

    # called by the reader

    async def head(self) -> None:
        """Returns when status and headers are there."""
        while not self.head_done:
            if self.fault is not None:
                raise self.fault
            await self._wait()

    async def read(self) -> bytes:
        """All bytes that have come, at least one; `b""` at the proper end."""
        while not self._chunks:
            if self.complete:
                return b""
            if self.fault is not None:
                raise self.fault
            await self._wait()
        chunks = self._chunks
        data = chunks.popleft() if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.buffered = 0
        if self._connection.held_back:
            self._connection.resume()
        return data

    async def _wait(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
