"""The load client: so many connections, each of which asks again as soon as it has its answer (a closed loop).

A process of its own (`python -m benchmarks.load`): reads a job as JSON on stdin, prints what it saw as JSON. Every
call that was begun is waited for and counted over the whole time, so that a slow server does not lose what it owes.
"""

import asyncio
import json
import sys
from array import array
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import httptools
import uvloop

from benchmarks.shape import MARK, WORDS, question

PATIENCE = 30.0
"""Seconds that answers may take when no more are asked for."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where to ask, and as whom."""

    port: int
    path: str
    key: str = "none"


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask for `seconds`. `beside`: asked in turn with `door`, one call each, for the difference of the two."""

    door: Door
    stream: bool
    connections: int
    seconds: float
    beside: Door | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds from the first byte sent to the last, or to the first word, of the answer."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What one door gave."""

    answers: int
    """Whole and well: all words, status 200."""
    bad: int
    why: str | None
    """The first bad answer, in words."""
    seconds: float
    whole: Times | None
    first_word: Times | None
    """Of streams."""


@dataclass(slots=True)
class Tally:
    """What one door gave so far."""

    whole: "array[float]" = field(default_factory=lambda: array("d"))
    first_word: "array[float]" = field(default_factory=lambda: array("d"))
    bad: int = 0
    why: str | None = None

    def spoilt(self, why: str) -> None:
        self.bad += 1
        self.why = self.why or why

    def seen(self, seconds: float) -> Seen:
        return Seen(len(self.whole), self.bad, self.why, seconds, _times(self.whole), _times(self.first_word))


def _times(seconds: "array[float]") -> Times | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return Times(ordered[round(last * 0.5)] * 1000, ordered[round(last * 0.99)] * 1000)


class Connection(asyncio.Protocol):
    """One kept connection to a door; one call at a time."""

    def __init__(self, door: Door, tally: Tally, *, stream: bool) -> None:
        body = question(stream=stream)
        self._request = (
            f"POST {door.path} HTTP/1.1\r\nhost: 127.0.0.1:{door.port}\r\nauthorization: Bearer {door.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._tally = tally
        self._stream = stream
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._parts: list[bytes] = []
        self._asked = 0.0
        self._first: float | None = None
        self._answer: asyncio.Future[None] | None = None

    async def ask(self) -> None:
        """Returns when the answer is here and counted. Raises `ConnectionError` if the line is gone."""
        self._answer = asyncio.get_running_loop().create_future()
        self._parts, self._first = [], None
        self._asked = perf_counter()
        self._transport.write(self._request)
        await self._answer

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._tally.spoilt("the line was closed in the middle of an answer")
            self._answer.set_exception(ConnectionError("closed"))

    # what the parser tells

    def on_body(self, part: bytes) -> None:
        if self._first is None and MARK in part:
            self._first = perf_counter()
        self._parts.append(part)

    def on_message_complete(self) -> None:
        now = perf_counter()
        assert self._answer is not None
        body = b"".join(self._parts)
        if self._parser.get_status_code() != 200 or body.count(MARK) != WORDS:
            self._tally.spoilt(f"{self._parser.get_status_code()}: {body[:200]!r}")
        else:
            self._tally.whole.append(now - self._asked)
            if self._stream and self._first is not None:
                self._tally.first_word.append(self._first - self._asked)
        if not self._answer.done():
            self._answer.set_result(None)


async def _connect(door: Door, tally: Tally, *, stream: bool) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(door, tally, stream=stream), "127.0.0.1", door.port)
    return connection


async def _keep_asking(turns: list[Connection], until: float) -> None:
    """Each in turn, until the time is up or a line is lost, which is counted where it happens."""
    try:
        while perf_counter() < until:
            for connection in turns:
                await connection.ask()
    except ConnectionError:
        return


async def drive(job: Job) -> tuple[Seen, Seen | None]:
    """What the door gave, and what the one beside it did."""
    main, beside = Tally(), Tally()
    rows = []
    for _ in range(job.connections):
        turns = [] if job.beside is None else [await _connect(job.beside, beside, stream=job.stream)]
        rows.append([*turns, await _connect(job.door, main, stream=job.stream)])
    begun = perf_counter()
    async with asyncio.timeout(job.seconds + PATIENCE):
        await asyncio.gather(*(_keep_asking(turns, begun + job.seconds) for turns in rows))
    seconds = perf_counter() - begun
    for connection in (connection for turns in rows for connection in turns):
        connection.close()
    return main.seen(seconds), None if job.beside is None else beside.seen(seconds)


def job_text(job: Job) -> str:
    return json.dumps(asdict(job))


def read_seen(text: str) -> tuple[Seen, Seen | None]:
    """What the process printed."""
    main, beside = json.loads(text)
    return _seen(main), None if beside is None else _seen(beside)


def _seen(told: dict[str, Any]) -> Seen:
    times = {name: None if told[name] is None else Times(**told[name]) for name in ("whole", "first_word")}
    return Seen(**{**told, **times})


def _main() -> None:
    told = json.load(sys.stdin)
    beside = None if told["beside"] is None else Door(**told["beside"])
    job = Job(**{**told, "door": Door(**told["door"]), "beside": beside})
    main, other = uvloop.run(drive(job))
    print(json.dumps([asdict(main), None if other is None else asdict(other)]))


if __name__ == "__main__":
    _main()
