"""Drives `Held`: streams by the thousand, each event counted and its delay taken, none of it kept.

Prints how they are when all are open, and again for each line that comes in on stdin.
"""

import asyncio
import re
import sys
from array import array
from time import monotonic_ns, perf_counter
from typing import Any

from benchmarks.load import TOLD, Held, Told
from benchmarks.load.line import LAST_CHUNK, request
from benchmarks.load.tally import Tally, times
from benchmarks.shape import MARK, question

_AT_ONCE = 64
"""Streams that are asked for and have not answered yet, at most."""
_SENT = re.compile(rb'"sent_ns": "(\d+)"')
_USAGE = re.compile(rb'"completion_tokens": (\d+)')


class _Stream(asyncio.Protocol):
    """One that is open."""

    def __init__(self, driver: "Driver") -> None:
        self._driver = driver
        self._transport: Any = None
        self._asked = 0.0
        self._words = 0
        self._tail = b""
        self._usage: int | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._asked = perf_counter()
        self._transport.write(self._driver.request)

    def data_received(self, data: bytes) -> None:
        new = (self._tail[1 - len(MARK) :] + data).count(MARK)
        if new and not self._words:
            self._driver.opened()
        elif not self._tail and not data.startswith(b"HTTP/1.1 200 "):
            self._transport.close()
        self._words += new
        self._driver.events += new
        if sent := _SENT.search(data):
            self._driver.delays.append((monotonic_ns() - int(sent[1])) / 1e9)
        if usage := _USAGE.search(data):
            self._usage = int(usage[1])
        self._tail = (self._tail + data)[-len(LAST_CHUNK) :]
        if self._tail == LAST_CHUNK:
            self._ended = True
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._ended and self._usage == self._words:
            self._driver.tally.whole.append(perf_counter() - self._asked)
        else:
            end = "to its end" if self._ended else "cut"
            self._driver.tally.spoilt(f"{self._words} words of {self._usage}, {end}: {self._tail!r}")
        self._driver.closed(answered=bool(self._words))


class Driver:
    """All of them."""

    def __init__(self, job: Held) -> None:
        self._job = job
        self.request = request(job.door, question(stream=True))
        self.tally = Tally()
        self.events = 0
        self.delays: array[float] = array("d")
        self._open = 0
        self._ended = 0
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._all_open = asyncio.Event()
        self._all_ended = asyncio.Event()

    async def run(self) -> Tally:
        begun = perf_counter()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._job.limit):
            for _ in range(self._job.streams):
                await self._room.acquire()
                await loop.create_connection(lambda: _Stream(self), "127.0.0.1", self._job.door.port)
            await self._all_open.wait()
        self._tell()
        while await asyncio.to_thread(sys.stdin.readline):  # until nobody wants to know more
            self._tell()
        async with asyncio.timeout(self._job.limit):
            await self._all_ended.wait()
        self.tally.seconds = perf_counter() - begun
        return self.tally

    def opened(self) -> None:
        self._room.release()
        self._open += 1
        if self._open == self._job.streams:
            self._all_open.set()

    def closed(self, *, answered: bool) -> None:
        self._open -= answered
        self._ended += 1
        if not answered:
            self._room.release()
        if self._ended == self._job.streams:
            self._all_open.set()
            self._all_ended.set()

    def _tell(self) -> None:
        told = Told(self._open, self.events, times(self.delays))
        self.events, self.delays = 0, array("d")
        print(TOLD.dump_json(told).decode(), flush=True)
