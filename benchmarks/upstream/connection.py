"""One client of the upstream: requests in, rendered answers out. Reads no more of a request than it needs to.

By hand and not by a parser, because this process shares its core with the load client: what is spent here is not
asked of the gateway. It knows requests as the gateway and our client write them: with a length, one after another.
"""

import asyncio
import json
import re
from collections import Counter
from dataclasses import asdict
from typing import Any

from benchmarks.upstream import COUNTS, DIRECT, FINISH, GATEWAY, MODELS, Counts, Options
from benchmarks.upstream.answers import NO_LENGTH, NOT_FOUND, Answers, whole
from benchmarks.upstream.slow import SlowStreams

_CHAT = (GATEWAY.encode(), DIRECT.encode())
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LOOKED_INTO = 64 * 1024
"""Bytes of a request that are kept to see whether it wants a stream; of a longer one the rest is only counted."""


class Upstream:
    """What all connections share."""

    def __init__(self, options: Options) -> None:
        self.answers = Answers.of(options)
        self.calls: Counter[bytes] = Counter()
        self.connections = 0
        self.slow = None if options.every is None else SlowStreams(options.every)

    def counts(self) -> bytes:
        events = 0 if self.slow is None else self.slow.events
        return json.dumps(asdict(Counts(self.calls[_CHAT[0]], self.connections, events))).encode()

    def finish(self) -> bytes:
        if self.slow is not None:
            self.slow.finish()
        return b"{}"


class Connection(asyncio.Protocol):
    """No pipelining."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._stream = upstream.answers.stream
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._received = b""
        self._missing = 0
        """Bytes of a long body that are still to come."""
        self._next = 0
        self._is_gateways = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            if self._missing <= 0:
                self._answer(self._received)
            return
        received = self._received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        told = _LENGTH.search(received, 0, head + 2)
        if told is None and received.startswith(b"POST"):
            self._transport.write(NO_LENGTH)
            self._transport.close()
            return
        missing = 0 if told is None else head + 4 + int(told[1]) - len(received)
        if missing <= 0:
            self._answer(received)
        elif len(received) >= _LOOKED_INTO:
            self._missing = missing

    def _answer(self, request: bytes) -> None:
        self._received, self._missing = b"", 0
        path = request.split(b" ", 2)[1]
        upstream = self._upstream
        if path in _CHAT:
            upstream.calls[path] += 1
            if not self._is_gateways and path == _CHAT[0]:
                self._is_gateways = True
                upstream.connections += 1
            if b'"stream": true' in request or b'"stream":true' in request:
                self._begin_stream()
            else:
                self._transport.write(upstream.answers.chat)
        elif path == MODELS.encode():
            self._transport.write(upstream.answers.models)
        elif path in (COUNTS.encode(), FINISH.encode()):
            body = upstream.counts() if path == COUNTS.encode() else upstream.finish()
            self._transport.write(whole(upstream.answers.head, body))
        else:
            self._transport.write(NOT_FOUND)

    def _begin_stream(self) -> None:
        if self._upstream.slow is not None:
            self._upstream.slow.begin(self._transport, self._upstream.answers.stream_head)
        else:
            self._next = 0
            self._send_event()

    def _send_event(self) -> None:
        """One for each turn of the loop: the loop joins what is written within a turn into one packet."""
        if self._transport.is_closing():
            return
        self._transport.write(self._stream[self._next])
        self._next += 1
        if self._next < len(self._stream):
            self._loop.call_soon(self._send_event)
