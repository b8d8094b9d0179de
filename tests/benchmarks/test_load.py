"""The load client and the upstream: whole answers are counted, whatever else comes is counted as bad."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import pytest
import uvloop

from benchmarks.client import client
from benchmarks.failed import Failed
from benchmarks.load import Door, Held, Loop, Pairs
from benchmarks.load.__main__ import drive
from benchmarks.load.line import varied_requests
from benchmarks.load.tally import Tally
from benchmarks.relay import relay
from benchmarks.shape import ALIASES, MARK, WORDS, whole_answer
from benchmarks.stage import upstream
from benchmarks.upstream import DIRECT, MODELS, Options

BODY = whole_answer()
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def driven(job: Loop | Pairs) -> list[Tally]:
    return uvloop.run(drive(job))


@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_answers_whole_and_the_client_sees_it(stream: bool) -> None:
    with upstream(None) as port:
        seen = driven(Loop(Door(port, DIRECT), 2, stream=stream, seconds=0.05))[0].seen()
    assert seen.answers > 2
    assert seen.bad == 0
    assert seen.whole is not None
    assert seen.whole.p50 <= seen.whole.p99
    assert (seen.first_word is not None) == stream


@pytest.mark.parametrize("connections", [1, 3, 20])
def test_so_many_calls_are_so_many(connections: int) -> None:
    with upstream(None) as port:
        tally = driven(Loop(Door(port, DIRECT), connections, calls=10))[0]
    assert (len(tally.whole), tally.bad) == (10, 0)


def test_a_pace_is_kept() -> None:
    with upstream(None) as port:
        tally = driven(Loop(Door(port, DIRECT), 4, seconds=0.3, pace=100))[0]
    assert 1 <= len(tally.whole) <= 31
    assert tally.seconds >= 0.3


def test_varied_calls_are_all_answered() -> None:
    requests = varied_requests(Door(1, DIRECT), stream=False)
    assert len(set(requests)) == len(requests)
    assert all(any(f'"{alias}"'.encode() in request for request in requests) for alias in ALIASES)
    with upstream(None) as port:
        tally = driven(Loop(Door(port, DIRECT), 4, calls=50, varied=True))[0]
    assert (len(tally.whole), tally.bad) == (50, 0)


@pytest.mark.parametrize(("prompt", "image"), [(0, 0), (60_000, 0), (300_000, 0), (0, 3_000_000)])
def test_pairs_ask_both_doors_as_often_with_bodies_of_any_length(prompt: int, image: int) -> None:
    with upstream(None) as port:
        door = Door(port, DIRECT)
        ours, beside = driven(Pairs(door, door, 0.02, prompt=prompt, image=image))
    assert ours.bad == beside.bad == 0
    assert len(ours.whole) == len(beside.whole) >= 1


def test_a_pair_rests_before_each_of_its_calls() -> None:
    with upstream(None) as port, relay(port, None) as relayed:
        begun = perf_counter()
        ours, beside = driven(Pairs(Door(relayed, DIRECT), Door(port, DIRECT), 0.01, stream=True, rest=0.1))
    assert perf_counter() - begun >= 0.1
    assert (len(ours.first_word), len(beside.first_word), ours.bad, beside.bad) == (1, 1, 0, 0)


@pytest.mark.parametrize("path", [MODELS, "/nowhere"])
def test_an_answer_without_the_words_is_counted_as_bad(path: str) -> None:
    with upstream(None) as port:
        ours, beside = driven(Pairs(Door(port, path), Door(port, DIRECT), 0.01))
    assert len(ours.whole) == 0
    assert ours.bad == len(beside.whole) > 0
    assert ours.why is not None
    assert "200" in ours.why or "404" in ours.why


@asynccontextmanager
async def answering(*parts: bytes, close: bool = False) -> AsyncIterator[int]:
    """A server that answers each request with these writes, and the end of the line if asked to."""
    ended = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100_000):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
            if close:
                break
        writer.close()
        ended.set()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await ended.wait()


def asked(*parts: bytes, close: bool = False) -> Tally:
    async def ask() -> Tally:
        async with answering(*parts, close=close) as port:
            return (await drive(Loop(Door(port, DIRECT), 1, calls=2)))[0]

    return uvloop.run(ask())


@pytest.mark.parametrize("cut", [1, 20, 45, len(GOOD) - 1])
@pytest.mark.parametrize("answer", [GOOD, CHUNKED])
def test_an_answer_is_whole_however_it_is_cut_up(answer: bytes, cut: int) -> None:
    tally = asked(answer[:cut], answer[cut:])
    assert (len(tally.whole), tally.bad, tally.why) == (2, 0, None)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD.replace(b"200 OK", b"500 Oh"),
        GOOD.replace(MARK, b"xyz", 1),
        GOOD + b"HTTP/1.1 431 Too Large\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["status", "word", "more"],
)
def test_an_answer_that_is_not_well_is_bad(answer: bytes) -> None:
    tally = asked(answer)
    assert (len(tally.whole), tally.bad) == (0, 2)


def test_a_line_that_is_closed_too_early_is_bad_and_ends_the_asking() -> None:
    tally = asked(GOOD[:-10], close=True)
    assert (len(tally.whole), tally.bad) == (0, 1)
    assert tally.why is not None
    assert "closed" in tally.why


def test_open_streams_get_an_event_each_until_they_are_told_to_end() -> None:
    with upstream(None, Options(every=0.05)) as port, client(Held(Door(port, DIRECT), 30), None) as asking:
        assert asking.told().open == 30
        events = 0
        while events < 90:
            told = asking.ask()
            events += told.events
            assert told.open == 30
        uvloop.run(finish(port))
        seen = asking.seen()[0]
    assert (seen.answers, seen.bad, seen.why) == (30, 0, None)


async def finish(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /finish HTTP/1.1\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


def test_streams_that_do_not_open_are_bad() -> None:
    with upstream(None, Options(every=0.05)) as port, client(Held(Door(port, "/nowhere"), 3), None) as asking:
        assert asking.told().open == 0
        seen = asking.seen()[0]
    assert (seen.answers, seen.bad) == (0, 3)


def test_a_client_that_cannot_work_is_a_failure() -> None:
    with client(Loop(Door(1, DIRECT), 1, calls=1), None) as asking, pytest.raises(Failed, match="load client"):
        asking.seen()


def test_the_shape_holds_what_it_says() -> None:
    assert BODY.count(MARK) == WORDS
