"""A client's end of one connection to the server, in memory: what it sends, what it hears, and time as it pleases."""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.net.outbox import Outbox
from gateway.server.connection import Connection
from gateway.server.exchange import Application, Receive, Send, Service
from gateway.server.limits import Limits
from gateway.server.watch import Watch


@dataclass(frozen=True)
class Taken:
    """A request that reached the application whole."""

    method: str
    target: str
    body: bytes = b""
    fields: tuple[tuple[bytes, bytes], ...] = field(default=(), compare=False)


class Recorder:
    """An application that answers every whole request with 200, and keeps it."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.begun = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.begun += 1
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        target = (scope["raw_path"] + query).decode()
        self.taken.append(Taken(scope["method"], target, body, tuple(scope["headers"])))
        await answer(send, b"ok")


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    """A whole answer."""
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class MemoryLine(asyncio.Transport):
    """A transport that keeps what is written to it, and what its protocol asks of it."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 4000), "sslcontext": tls or None})
        self.tls = tls
        self.written = b""
        self.unsent = 0
        """Bytes that the client has not taken yet."""
        self.high_water = 64 * 1024
        self._reading = True
        self.ended = self.closed = self.aborted = False
        """How the protocol ended it: nothing more is written; gently; at once."""

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        assert not self.ended, "written after the end"
        assert not self.is_closing(), "written to a closed line"
        self.written += bytes(data)

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        for data in list_of_data:
            self.write(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self.high_water = high

    def can_write_eof(self) -> bool:
        return not self.tls

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def is_reading(self) -> bool:
        return self._reading

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Talk:
    """One client and its connection. To be made within a running event loop."""

    def __init__(self, application: Application | None = None, limits: Limits | None = None, *, tls: bool = False):
        self.recorder = Recorder()
        self.clock = Clock()
        watch: Watch[Connection] = Watch(tick=3600, clock=self.clock)
        loop = asyncio.get_running_loop()
        self.service = Service(application or self.recorder, limits or Limits(), loop, watch, Outbox(loop.call_soon))
        self.line = MemoryLine(tls=tls)
        self.connection = Connection(self.service)
        self.connection.connection_made(self.line)

    async def says(self, *pieces: bytes) -> None:
        """Sends, one piece after the other, as long as the line is there; returns when everything has come to rest."""
        for piece in filter(None, pieces):  # a transport never hands over nothing
            if self.line.is_closing():
                break
            self.connection.data_received(piece)
            await self.rest()

    async def rest(self) -> None:
        """Lets everything run that can."""
        for _ in range(6):
            await asyncio.sleep(0)

    async def waits(self, seconds: float) -> None:
        """Lets time pass, in the server's steps."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(self.clock.now + 0.5, until)
            self.service.watch.tick()
            await self.rest()

    async def takes(self) -> None:
        """Takes everything that waited for it."""
        self.line.unsent = 0
        self.connection.resume_writing()
        await self.rest()

    async def ends(self) -> None:
        """Sends the end of the line, and loses it."""
        if not self.line.is_closing():
            self.connection.eof_received()
            self.line.close()
        self.connection.connection_lost(None)
        await self.rest()

    def hears(self) -> bytes:
        """What came since the last time, without the fields that are always the same."""
        said, self.line.written = self.line.written, b""
        return re.sub(rb"date: [^\r]{29}\r\n", b"", said)

    def statuses(self) -> list[int]:
        """Of the final answers that came since the last time."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", self.hears())]

    @property
    def open(self) -> bool:
        """Whether another request may be sent."""
        return not (self.line.ended or self.line.is_closing())


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it holds; fails the test if it does not come to that."""
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0)


async def heard(*pieces: bytes) -> tuple[list[Taken], list[int], bool]:
    """What becomes of these bytes: requests that were taken, statuses of the answers, and whether it is kept alive."""
    talk = Talk()
    await talk.says(*pieces)
    result = talk.recorder.taken, talk.statuses(), talk.open
    await talk.ends()
    return result
