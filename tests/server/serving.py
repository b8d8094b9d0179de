"""A server on a real socket, and its clients' ends."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.server.connection import Connection
from gateway.server.exchange import Application, Receive, Send
from gateway.server.limits import Limits
from gateway.server.listener import listen
from gateway.server.server import Server
from gateway.server.watch import Watch
from tests.server.talk import answer

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""For the name `localhost`, good for a hundred years, with its key: of use to these tests alone."""
PATIENCE = 10.0
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def hello(scope: Any, receive: Receive, send: Send) -> None:
    await answer(send, b"ok")


class Serving:
    """A running server, as its clients see it."""

    def __init__(self, server: Server, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.server = server
        self.listener = listener
        self.address: tuple[str, int] = listener.getsockname()
        self._tls = tls
        self._writers: list[asyncio.StreamWriter] = []
        self.task: asyncio.Task[None] | None = None

    async def connect(self, **more: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._tls is not None:
            more = {"ssl": self._tls, "server_hostname": "localhost", **more}
        reader, writer = await asyncio.open_connection(*self.address, **more)
        self._writers.append(writer)
        return reader, writer

    async def exchange(self, raw: bytes) -> bytes:
        """What comes on a connection of its own, to its end."""
        reader, writer = await self.connect()
        writer.write(raw)
        return await asyncio.wait_for(reader.read(), PATIENCE)

    async def ended(self) -> None:
        assert self.task is not None
        await asyncio.wait_for(self.task, PATIENCE)

    async def let_go(self) -> None:
        """Cuts what is left of the clients' ends."""
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):  # how it ended is for the tests to look at
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    application: Application, limits: Limits | None = None, *, tls: bool = False, on_signals: bool = False
) -> AsyncIterator[Serving]:
    certificate = CERTIFICATE if tls else None
    watch: Watch[Connection] = Watch(tick=0.01)
    server = Server(application, certificate, certificate, on_signals=on_signals, limits=limits, watch=watch)
    listener, started = listen("127.0.0.1", 0), asyncio.Event()
    trust = ssl.create_default_context(cafile=str(CERTIFICATE)) if tls else None
    running = Serving(server, listener, trust)
    running.task = asyncio.ensure_future(server.run_on(listener, started.set))
    await asyncio.wait_for(started.wait(), PATIENCE)
    try:
        yield running
    finally:
        server.stop(at_once=True)
        await running.ended()
        await running.let_go()
