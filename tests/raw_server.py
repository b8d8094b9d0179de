"""A server on the loopback that sends exactly the bytes its script says, and keeps what arrived.

It frames nothing and repairs nothing, so it can lie the way real servers do. A script is a coroutine that is run for
each connection; what goes wrong in it fails the test.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 10.0
"""Seconds after which something that should have happened will not happen any more."""


class ClientLeftError(Exception):
    """The client closed its line where the script still expected something."""


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    line: str
    fields: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field.lower() == name]


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.requests: list[Request] = []
        self.sent = 0
        self.left = asyncio.Event()
        """The client's end is closed, as far as this end was told."""

    async def request(self) -> Request:
        """The next request, whole. Raises `ClientLeftError` if none comes."""
        head = await self.head()
        length = int(head.all("content-length")[0]) if head.all("content-length") else 0
        request = Request(head.line, head.fields, await self._read(self._reader.readexactly(length)))
        self.requests.append(request)
        return request

    async def head(self) -> Request:
        """The next request's head; its body stays on the line."""
        raw = await self._read(self._reader.readuntil(b"\r\n\r\n"))
        line, *fields = raw[:-4].decode("latin-1").split("\r\n")
        pairs = [(name, value) for name, _, value in (text.partition(": ") for text in fields)]
        return Request(line, pairs, b"")

    async def read(self, size: int) -> bytes:
        return await self._read(self._reader.read(size))

    async def _read(self, reading: Awaitable[bytes]) -> bytes:
        try:
            return await reading
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
            raise ClientLeftError from None

    async def send(self, *pieces: bytes) -> None:
        """Raises ConnectionError if the client is gone."""
        for piece in pieces:
            if self._writer.is_closing():  # uvloop has an error of its own for writing now
                raise ConnectionResetError
            self._writer.write(piece)
            await self._writer.drain()
            self.sent += len(piece)

    async def gone(self) -> bytes:
        """Returns when the client has closed or cut the line; what it still sent."""
        rest = b""
        try:
            while more := await self._reader.read(65536):
                rest += more
        except ConnectionError:
            pass  # cut rather than closed: gone all the same
        self.left.set()
        return rest

    def half_close(self) -> None:
        """No more will be sent; what comes is still read."""
        self._writer.write_eof()

    async def dropped(self) -> None:
        """Cuts what is left of the line, and returns when the event loop has let go of it."""
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):  # how it ended is for the script to look at
            await self._writer.wait_closed()

    def shut(self) -> None:
        """Ends the line below TLS, the way anybody between could: without the goodbye of TLS."""
        with socket.socket(fileno=os.dup(self._writer.get_extra_info("socket").fileno())) as line:
            line.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Cuts the line, so that the client sees an error and not an end."""
        line = self._writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[Any]]


@dataclass
class RawServer:
    """What the test sees of it."""

    host: str
    port: int
    scheme: str
    peers: list[Peer] = field(default_factory=list)

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def secured_url(self) -> str:
        """Where a client finds it that expects TLS, whether it speaks TLS or not."""
        return f"https://{self.authority}"

    @property
    def requests(self) -> list[Request]:
        return [request for peer in self.peers for request in peer.requests]

    async def all_gone(self) -> None:
        """Returns when the client has let go of every connection."""
        await asyncio.wait_for(asyncio.gather(*(peer.left.wait() for peer in self.peers)), PATIENCE)


@contextlib.asynccontextmanager
async def raw_server(
    script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    tasks: list[asyncio.Task[None]] = []

    async def run(peer: Peer, writer: asyncio.StreamWriter) -> None:
        try:
            await script(peer)
        except (ClientLeftError, ConnectionError):
            peer.left.set()
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        server.peers.append(peer)
        tasks.append(asyncio.get_running_loop().create_task(run(peer, writer)))

    listener = await asyncio.start_server(connected, host, 0, ssl=tls, limit=2**20)
    server = RawServer(host, listener.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield server
    finally:
        listener.close()
        await asyncio.sleep(0)  # who was accepted just now becomes a peer
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for peer in server.peers:
            await peer.dropped()
    for end in ends:
        if isinstance(end, Exception):
            raise end


def always(*answers: bytes) -> Script:
    """To the first request on a connection the first answer, and so on; the last one to all others."""

    async def script(peer: Peer) -> None:
        count = 0
        while True:
            await peer.request()
            await peer.send(answers[min(count, len(answers) - 1)])
            count += 1

    return script


async def silent(peer: Peer) -> None:
    """Takes a request and says nothing to it."""
    await peer.request()
    await peer.gone()


def whole(body: bytes, status: str = "200 OK", fields: str = "") -> bytes:
    """An honest answer; `fields` are further header lines, each with its line break."""
    return f"HTTP/1.1 {status}\r\n{fields}content-length: {len(body)}\r\n\r\n".encode() + body


async def until(condition: Callable[[], bool], what: str) -> None:
    """Returns when it holds; fails the test if it never does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.005)
