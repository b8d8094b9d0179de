"""Every wait for an upstream has an end, whoever lets go lets go at once, and nobody is flooded."""

import asyncio
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.errors import Kind, UpstreamFault
from tests.providers.asking import LOOPS, PATIENT, asked, cancelled_in, client_of, request, rest_of
from tests.providers.corpus import CHUNKED, END
from tests.raw_server import PATIENCE, Peer, RawServer, Script, always, raw_server, silent, until, whole

pytestmark = pytest.mark.anyio


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


SHORT = 0.15


def after(seconds: float, *pieces: bytes) -> Script:
    """An answer whose pieces come this far apart, then nothing."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await asyncio.sleep(seconds)
            await peer.send(piece)
        await peer.gone()

    return script


@pytest.mark.parametrize(
    ("script", "limits", "stream", "said"),
    [
        (silent, {"first_byte_timeout": SHORT}, True, "no first byte within 0.15 s"),
        (silent, {"timeout": SHORT}, True, "no whole answer"),
        (silent, {"timeout": SHORT}, False, "no whole answer"),
        (after(0, b"HTTP/1.1 103 Early Hints\r\n\r\n"), {"first_byte_timeout": SHORT}, True, "no first byte"),
        (after(0, CHUNKED), {"idle_timeout": SHORT}, True, "nothing came for 0.15 s"),
        (after(1.5 * SHORT, CHUNKED), {"idle_timeout": SHORT}, False, "nothing came for 0.15 s"),
        (after(0, CHUNKED, b"1\r\nx\r\n"), {"idle_timeout": SHORT}, False, "nothing came for 0.15 s"),
        (after(0.03, CHUNKED, *[b"1\r\nx\r\n"] * 100), {"timeout": SHORT, "idle_timeout": 5}, True, "no whole answer"),
    ],
    ids=[
        "first byte",
        "silence",
        "whole",
        "only hints",
        "after the head",
        "after a late head",
        "in the body",
        "trickle",
    ],
)
async def test_every_wait_has_an_end(script: Script, limits: dict[str, Any], stream: bool, said: str) -> None:
    async with raw_server(script) as server, client_of(server.url) as transport:
        begun = time.monotonic()
        with pytest.raises(UpstreamFault, match=said) as raised:
            await rest_of(await transport.ask(request(stream=stream), replace(PATIENT, **limits)))
        assert SHORT <= time.monotonic() - begun < SHORT + 5, "and not when some longer limit is over"
        assert (raised.value.kind, raised.value.uncertain) == (Kind.TIMEOUT, True)
        await server.all_gone()


@pytest.mark.parametrize(
    ("script", "limits", "stream"),
    [
        (after(2 * SHORT, whole(b"x")), {"first_byte_timeout": SHORT, "idle_timeout": SHORT}, False),
        (
            after(SHORT, b"HTTP/1.1 103 Early Hints\r\n\r\n", whole(b"x")),
            {"first_byte_timeout": SHORT, "idle_timeout": SHORT},
            False,
        ),
        (after(SHORT, CHUNKED, b"1\r\nx\r\n", END), {"idle_timeout": 4 * SHORT, "first_byte_timeout": 4 * SHORT}, True),
    ],
    ids=["a whole answer thinks as long as it likes", "hints do not start the idle clock", "a slow stream"],
)
async def test_slowness_within_the_limits_is_none(script: Script, limits: dict[str, Any], stream: bool) -> None:
    async with raw_server(script) as server, client_of(server.url) as transport:
        answer = await transport.ask(request(stream=stream), replace(PATIENT, **limits))
        assert await rest_of(answer) == b"x"


async def test_a_request_that_nobody_takes_has_an_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await over.wait()
        await peer.gone()

    over = asyncio.Event()
    async with raw_server(script) as server, client_of(server.url) as transport:
        with pytest.raises(UpstreamFault, match="no whole answer") as raised:
            await transport.ask(request(b"x" * 2**26), replace(PATIENT, timeout=SHORT))
        assert raised.value.uncertain
        over.set()
        await server.all_gone()


@pytest.mark.parametrize("script", [silent, after(0.05, CHUNKED, *[b"1\r\nx\r\n"] * 100)], ids=["silence", "trickle"])
async def test_a_question_of_our_own_does_not_wait_for_ever(script: Script) -> None:
    async with raw_server(script) as server, client_of(server.url) as transport:
        begun = time.monotonic()
        with pytest.raises(UpstreamFault):
            await transport.fetch("p", "models", SHORT)
        assert time.monotonic() - begun < 4
        await server.all_gone()


# --- letting go -------------------------------------------------------------------------------------------------------


async def test_cancelled_while_it_waits_for_the_head() -> None:
    async with raw_server(silent) as server, client_of(server.url) as transport:
        await cancelled_in(asked(transport), lambda: bool(server.requests), server)
        assert not transport._pool.lines


async def test_cancelled_while_it_sends() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        begun.set()
        await cut.wait()
        await peer.gone()

    begun, cut = asyncio.Event(), asyncio.Event()
    async with raw_server(script) as server, client_of(server.url) as transport:
        task = asyncio.ensure_future(transport.ask(request(b"x" * 2**26), PATIENT))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cut.set()
        await server.all_gone()
        assert not transport._pool.lines


async def test_cancelled_while_it_reads() -> None:
    async with raw_server(after(0, CHUNKED, b"1\r\nx\r\n")) as server, client_of(server.url) as transport:
        answer = await transport.ask(request(stream=True), PATIENT)
        assert await answer.read() == b"x"
        reading = asyncio.Event()

        async def read() -> bytes:
            reading.set()
            return await rest_of(answer)

        await cancelled_in(read(), reading.is_set, server)
        assert not transport._pool.lines


async def test_let_go_in_the_middle() -> None:
    async with raw_server(after(0, CHUNKED, b"1\r\nx\r\n")) as server, client_of(server.url) as transport:
        answer = await transport.ask(request(stream=True), PATIENT)
        answer.close()
        answer.close()
        await server.all_gone()
        with pytest.raises(UpstreamFault):
            while await answer.read():
                pass


async def test_a_thousand_cuts_leak_nothing() -> None:
    async with raw_server(silent) as server, client_of(server.url) as transport:
        for _ in range(10):
            tasks = [asyncio.ensure_future(asked(transport)) for _ in range(20)]
            await asyncio.sleep(0)  # some are connecting, some are waiting: any state will do
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await server.all_gone()
        await until(lambda: not transport._pool.lines, "every connection is let go")


async def test_stopping_cuts_everything() -> None:
    async with raw_server(always(whole(b"x"), CHUNKED + b"1\r\nx\r\n")) as server, client_of(server.url) as transport:
        idle, running = await transport.ask(request(), PATIENT), await transport.ask(request(), PATIENT)
        assert await rest_of(idle) == b"x"
        idle = await transport.ask(request(), PATIENT)
        await transport.stop()
        await transport.stop()
        with pytest.raises(UpstreamFault, match="broke off"):
            await rest_of(idle)
        running.close()
        await server.all_gone()
        with pytest.raises(UpstreamFault, match="going down") as raised:
            await asked(transport)
        assert not raised.value.uncertain


# --- backpressure -----------------------------------------------------------------------------------------------------

FLOOD = 100
MEBIBYTE = 2**20


@pytest.mark.timed
async def test_a_flood_that_nobody_reads_is_held_back() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (FLOOD * MEBIBYTE))
        piece = b"x" * MEBIBYTE
        for _ in range(FLOOD):
            await peer.send(piece)
        await peer.gone()

    async with raw_server(script) as server, client_of(server.url) as transport:
        tracemalloc.start()
        answer = await transport.ask(request(), replace(PATIENT, idle_timeout=0.2))
        sent = await _settled(server)
        assert sent < 32 * MEBIBYTE, "the kernel's buffers are full, and the rest stays where it is"
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE, "and it does not stay with us"
        tracemalloc.stop()
        size = 0
        while part := await answer.read():  # longer than the idle limit later: the silence was ours
            size += len(part)
        assert size == FLOOD * MEBIBYTE
        answer.close()
        assert len(transport._pool.lines) == 1


async def _settled(server: RawServer) -> int:
    """How much the server got rid of when nothing has moved for half a second."""
    sent, since = -1, time.monotonic()
    while time.monotonic() - since < 0.5:
        await asyncio.sleep(0.02)
        if server.peers and server.peers[0].sent != sent:
            sent, since = server.peers[0].sent, time.monotonic()
    return sent
