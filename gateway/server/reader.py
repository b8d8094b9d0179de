"""What comes in on one connection, as requests: llhttp in its strict mode, and the limits of what is taken.

Knows neither what becomes of a request nor any time.
"""

import logging
from collections import deque
from typing import Any, NoReturn

import httptools

from gateway.server.exchange import Connection, Exchange
from gateway.server.head import Field, Refused, Scope, check_size, scope_of, without_upgrade
from gateway.server.limits import CHUNK_OVERHEAD, FREE_OVERHEAD, MAX_HEAD, MAX_TARGET

SLICE = 8 * 1024
"""Bytes that are parsed at once where requests may begin: as many may be read ahead while another request runs."""

logger = logging.getLogger(__name__)


class Reader:
    """Turns bytes into exchanges, one after the other. Called by the connection and by llhttp."""

    __deletable__ = ("_parser", "_feed", "_connection")  # said for the compiler
    __slots__ = (
        "_connection",
        "_feed",
        "_fields",
        "_head_bytes",
        "_overhead",
        "_parser",
        "_scope",
        "_target",
        "_upgrade",
        "deaf",
        "held",
        "incoming",
        "ready",
    )

    def __init__(self, connection: Connection, scope: Scope) -> None:
        """`scope`: what the scopes of all its requests have in common."""
        self._connection = connection
        self._scope = scope
        self.ready: deque[Exchange] = deque()
        """Requests whose head is whole and whose turn has not come."""
        self.incoming: Exchange | None = None
        """The request whose body is coming; it may be ready, running, or answered already."""
        self.deaf = False
        """What comes is thrown away: nothing can follow, or nothing that can be understood."""
        self.held = bytearray()
        """What came while a whole request had to be answered first."""
        self._target = b""
        self._fields: list[Field] = []
        self._upgrade: bytes | None = None
        """A head that asks for another protocol, as it reads if it did not."""
        self._head_bytes = 0
        """Read since the last whole head, in slices that ended outside a body."""
        self._overhead = 0
        """Read of a chunked body, whatever it was."""
        self._parse_anew()

    def read(self, data: bytes, busy: bool) -> None:
        """Takes what came. `busy`: a request runs, so that the next one waits. Raises `Refused`."""
        if len(data) <= SLICE and (self.incoming is not None or not busy):
            self._parse(data)
        else:
            self._read_on(memoryview(data), busy)

    def close(self) -> None:
        """Nothing comes any more. Undoes the circles, for the sake of the garbage collector."""
        self.deaf = True
        self.ready.clear()
        self.incoming = None
        del self._parser, self._feed, self._connection

    def _read_on(self, data: memoryview, busy: bool) -> None:
        """Slice by slice, up to the end of a request that has to be answered first."""
        at = 0
        while at < len(data) and not self.deaf:
            incoming, size = self.incoming, SLICE
            if incoming is None:
                if busy or self.ready:
                    self.held += data[at:]
                    return
            elif not incoming.chunked:
                size = max(SLICE, incoming.to_come())
            self._parse(data[at : at + size])
            at += size

    def _parse(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade as end:
            self._pass_over_upgrade(memoryview(data)[end.args[0] :])
        except httptools.HttpParserError as error:
            if not self.deaf:  # else it came after a request that said it was the last one
                self._refuse(error)
        if self.incoming is None:
            self._head_bytes += min(len(data), SLICE)  # a longer piece is the rest of a body, and little behind it
            if self._head_bytes > MAX_HEAD + SLICE:
                raise Refused(431, f"the request's head is longer than {MAX_HEAD} bytes")
        elif self.incoming.chunked:
            self._overhead += len(data)
            if self._overhead > FREE_OVERHEAD + CHUNK_OVERHEAD * self.incoming.received:
                raise Refused(400, "the request's chunks have too much beside their data")

    def _parse_anew(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._feed: Any = self._parser.feed_data

    def _pass_over_upgrade(self, rest: memoryview) -> None:
        """llhttp would leave the line to the other protocol, and the body of the request with it."""
        head, self._upgrade = self._upgrade, None
        assert head is not None  # CONNECT has been refused
        self._parse_anew()
        self._parse(head)
        if rest and not self.deaf:
            self._parse(rest)

    def _refuse(self, error: httptools.HttpParserError) -> NoReturn:
        cause = error.__context__
        if isinstance(cause, Refused):
            raise cause from None
        if isinstance(error, httptools.HttpParserCallbackError):
            logger.error("a request could not be read", exc_info=cause)
            raise Refused(500, "the request could not be read") from None
        raise Refused(400, f"the request is not valid HTTP: {error}") from None

    # called by llhttp

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > MAX_TARGET:
            check_size(self._target, self._fields)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        target, self._target = self._target, b""
        fields, self._fields = self._fields, []
        if self._head_bytes > SLICE:
            check_size(target, fields)
        self._head_bytes = self._overhead = 0
        named = dict(fields)
        method, keep = parser.get_method(), parser.should_keep_alive()
        # Only HTTP/1.1 is kept alive by saying nothing; asking the parser is dear.
        silent = keep and b"connection" not in named and b"proxy-connection" not in named
        version = "1.1" if silent else parser.get_http_version()
        if b"upgrade" in named and method != b"CONNECT" and parser.should_upgrade():
            self._upgrade = without_upgrade(method, version, target, fields)
            return
        scope = scope_of(self._scope, method, version, target, fields, named)
        exchange = self.incoming = Exchange(self._connection, scope, named, keep)
        self.ready.append(exchange)

    def on_body(self, data: bytes) -> None:
        if self.incoming is not None:
            self.incoming.feed(data)

    def on_message_complete(self) -> None:
        incoming = self.incoming
        if self._fields:  # a trailer: says nothing that anybody here reads
            self._fields = []
        if incoming is not None:
            self.incoming = None
            self.deaf = incoming.close
            incoming.end()
