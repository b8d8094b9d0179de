"""One kept connection, one call at a time: a request out, a whole answer in, and how long it took.

By hand and not by a parser: what this costs bounds how much can be asked of the gateway. Whoever reads wrongly here
counts a good answer as bad, never the other way round: an answer is good if it has status 200 and every word.
"""

import asyncio
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

from benchmarks.load import Door
from benchmarks.load.tally import Tally
from benchmarks.shape import ALIASES, MARK, WORDS, question

LAST_CHUNK = b"\r\n0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_VARIANTS = 1000


class Line(asyncio.Protocol):
    """Tells its owner when an answer is here, or will never be; both are counted by then."""

    def __init__(self, tally: Tally, then: "Callable[[Line], None]", *, stream: bool) -> None:
        self.lost = False
        self._tally = tally
        self._then = then
        self._stream = stream
        self._transport: Any = None
        self._received = bytearray()
        self._body = 0
        """Where it begins; 0 until the whole head is here."""
        self._end: int | None = None
        """Where it ends; None of a chunked one."""
        self._asked = 0.0
        self._first = 0.0
        self._waiting = False

    def ask(self, request: bytes) -> None:
        """The owner is told later, also of a line that is gone by now."""
        self._received.clear()
        self._body, self._first, self._waiting = 0, 0.0, True
        self._asked = perf_counter()
        if self.lost:
            asyncio.get_running_loop().call_soon(self.connection_lost, None)
        else:
            self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._waiting:
            self._waiting = False
            self._tally.spoilt("the line was closed before the answer had ended")
            self._then(self)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._body and not self._read_head():
            return
        if self._stream and not self._first and received.find(MARK, self._body) >= 0:
            self._first = perf_counter()
        if len(received) >= self._end if self._end is not None else received.endswith(LAST_CHUNK):
            self._count(perf_counter())
            self._waiting = False
            self._then(self)

    def _read_head(self) -> bool:
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return False
        self._body = head + 4
        told = _LENGTH.search(self._received, 0, head + 2)
        self._end = None if told is None else self._body + int(told[1])
        return True

    def _count(self, now: float) -> None:
        received = self._received
        words = received.count(MARK, self._body)
        if words != WORDS or not received.startswith(b"HTTP/1.1 200 ") or len(received) != (self._end or len(received)):
            self._tally.spoilt(f"{words} words, {bytes(received[9:400])!r}")
            return
        self._tally.whole.append(now - self._asked)
        if self._first:
            self._tally.first_word.append(self._first - self._asked)


async def connect(door: Door, tally: Tally, then: Callable[[Line], None], *, stream: bool) -> Line:
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(lambda: Line(tally, then, stream=stream), "127.0.0.1", door.port)
    return line


def request(door: Door, body: bytes, fields: str = "") -> bytes:
    return (
        f"POST {door.path} HTTP/1.1\r\nhost: 127.0.0.1:{door.port}\r\nauthorization: Bearer {door.key}\r\n{fields}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def varied_requests(door: Door, *, stream: bool) -> list[bytes]:
    """A day's worth of names: each with an alias of some, a session of a thousand and a tag of fifty."""
    bodies = [question(stream=stream, model=alias) for alias in ALIASES]
    return [
        request(
            door,
            bodies[number % len(bodies)],
            f"x-tollkeeper-session: session-{number}\r\nx-tollkeeper-tags: feature=search-{number % 50}\r\n",
        )
        for number in range(_VARIANTS)
    ]
