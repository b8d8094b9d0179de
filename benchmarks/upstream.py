"""The upstream that costs next to nothing: rendered answers over HTTP/1.1 on a loopback port, and a count of calls.

A process of its own (`python -m benchmarks.upstream`): prints its port, ends with its parent's pipe. Calls to
`/v1/…` are the gateway's, calls to `/direct/…` the load client's own, so that the former can be compared with rows.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import httptools
import uvloop

from benchmarks.shape import MODEL, events, whole_answer

GATEWAY = "/v1/chat/completions"
DIRECT = "/direct/chat/completions"
MODELS = "/v1/models"
COUNTS = "/counts"

_HEAD = b"HTTP/1.1 200 OK\r\nx-request-id: req-1\r\n"


def _whole(body: bytes) -> bytes:
    return b"%scontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (_HEAD, len(body), body)


def _pieces() -> list[bytes]:
    """A streamed answer, one write for each event, as tokens come from a provider."""
    pieces = [b"%x\r\n%s\r\n" % (len(event), event) for event in events()]
    pieces[0] = _HEAD + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + pieces[0]
    pieces[-1] += b"0\r\n\r\n"
    return pieces


_WHOLE = _whole(whole_answer())
_STREAM = _pieces()
_MODELS = _whole(json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client; no pipelining."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._path = ""
        self._body = b""
        self._next = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    # what the parser tells

    def on_message_begin(self) -> None:
        self._path, self._body = "", b""

    def on_url(self, part: bytes) -> None:
        self._path += part.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        if self._path in (GATEWAY, DIRECT):
            self._counts[self._path] += 1
            if b'"stream": true' in self._body or b'"stream":true' in self._body:
                self._next = 0
                self._send_event()
            else:
                self._transport.write(_WHOLE)
        elif self._path == MODELS:
            self._transport.write(_MODELS)
        elif self._path == COUNTS:
            self._transport.write(_whole(json.dumps(self._counts).encode()))
        else:
            self._transport.write(_NOT_FOUND)

    def _send_event(self) -> None:
        """One for each turn of the loop: the loop joins what is written within a turn into one packet."""
        if self._transport.is_closing():
            return
        self._transport.write(_STREAM[self._next])
        self._next += 1
        if self._next < len(_STREAM):
            self._loop.call_soon(self._send_event)


async def _serve() -> None:
    counts: Counter[str] = Counter({GATEWAY: 0, DIRECT: 0})
    server = await asyncio.get_running_loop().create_server(lambda: Connection(counts), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the one who started us lets go, however that comes about


if __name__ == "__main__":
    uvloop.run(_serve())
