"""The way to a provider over real sockets: what is sent, which connection is used again, where an answer ends."""

import asyncio
import gc
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.providers.http1 import Exchange
from gateway.providers.proxies import no_proxy
from gateway.providers.transport import MAX_FETCHED, Address, HttpAnswer, HttpTransport
from tests.providers.asking import LOOPS, PATIENT, asked, client_of, request, rest_of
from tests.providers.corpus import CHUNKED, END
from tests.raw_server import PATIENCE, Peer, always, raw_server, silent, until, whole

pytestmark = pytest.mark.anyio


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


# --- what is sent -----------------------------------------------------------------------------------------------------


async def test_a_request_arrives_as_it_was_given() -> None:
    async with raw_server(always(whole(b"hello", fields="x-one: 1\r\nX-One: 2\r\n"))) as server:
        async with client_of(server.url) as transport:
            answer = await transport.ask(request(b'{"a": 1}', headers=[("x-a", "1"), ("x-a", "ä")]), PATIENT)
            assert (answer.status, answer.headers) == (200, [("x-one", "1"), ("x-one", "2"), ("content-length", "5")])
            assert await rest_of(answer) == b"hello"
        arrived = server.requests[0]
        assert arrived.line == "POST /v1/chat/completions HTTP/1.1"
        assert arrived.body == b'{"a": 1}'
        assert arrived.fields == [
            ("host", f"127.0.0.1:{server.port}"),
            ("x-a", "1"),
            ("x-a", "ä"),
            ("authorization", "Bearer configured"),
            ("x-tollkeeper-hop", "1"),
            ("content-length", "8"),
        ]


async def test_a_field_with_a_line_break_never_reaches_the_line() -> None:
    async with raw_server(silent) as server, client_of(server.url) as transport:
        with pytest.raises(Fault) as raised:
            await transport.ask(request(headers=[("x", "a\r\nauthorization: Bearer stolen")]), PATIENT)
        assert raised.value.kind is Kind.INVALID
        assert server.peers == []


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """Known fault 80: the way out is configured, not told by an upstream."""
    async with raw_server(always(whole(b"", "307 Elsewhere", "location: http://169.254.169.254/\r\n"))) as server:
        async with client_of(server.url) as transport:
            answer = await transport.ask(request(), PATIENT)
            assert answer.status == 307
            assert await rest_of(answer) == b""
        assert len(server.requests) == 1


async def test_small_writes_go_out_at_once_and_a_dead_machine_is_noticed() -> None:
    async with raw_server(always(whole(b""))) as server, client_of(server.url) as transport:
        await asked(transport)
        (line,) = transport._pool.lines
        assert line.transport is not None
        upstream = line.transport.get_extra_info("socket")
        assert upstream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert upstream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert upstream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


# --- which connection -------------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again() -> None:
    async with raw_server(always(whole(b"one"), CHUNKED + b"3\r\ntwo\r\n" + END, whole(b"three"))) as server:
        async with client_of(server.url) as transport:
            first = await transport.ask(request(), PATIENT)
            assert first.connect_ms is not None
            assert await rest_of(first) == b"one"
            second = await transport.ask(request(), PATIENT)
            assert second.connect_ms is None
            assert await rest_of(second) == b"two"
            assert await asked(transport) == b"three"
        assert len(server.peers) == 1


async def test_calls_at_the_same_time_have_a_connection_each() -> None:
    both = asyncio.Barrier(2)

    async def script(peer: Peer) -> None:
        await peer.request()
        await both.wait()
        await peer.send(whole(b"x"))
        await peer.gone()

    async with raw_server(script) as server, client_of(server.url) as transport:
        one, two = await asyncio.gather(asked(transport), asked(transport))
        assert one == two == b"x"
        assert len(server.peers) == 2


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"x", fields="connection: close\r\n"),
        whole(b"x", fields="keep-alive: timeout=1\r\n"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx",
        whole(b"x") + b"more",
        whole(b"x") + whole(b"y"),
    ],
    ids=["close", "kept for no time", "HTTP/1.0", "more than its length", "a second answer"],
)
async def test_some_connections_are_used_once(answer: bytes) -> None:
    async with raw_server(always(answer)) as server, client_of(server.url) as transport:
        assert await asked(transport) == b"x"
        await server.all_gone()
        assert await asked(transport) == b"x"
        assert [len(peer.requests) for peer in server.peers] == [1, 1]


@pytest.mark.timed
async def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    """Before the server does it, and though nobody asks again."""
    kept = whole(b"x", fields="keep-alive: timeout=2\r\n")
    async with raw_server(always(kept)) as server, client_of(server.url) as transport:
        begun, _ = time.monotonic(), await asked(transport)
        await server.all_gone()
        assert 0.9 < time.monotonic() - begun < 2


async def test_a_server_may_close_an_idle_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(whole(b"x"))

    async with raw_server(script) as server, client_of(server.url) as transport:
        for _ in range(3):
            assert await asked(transport) == b"x"
            await until(lambda: not transport._pool.lines, "the closed connection is forgotten")
        assert [len(peer.requests) for peer in server.peers] == [1, 1, 1]


@pytest.mark.parametrize("how", ["close", "reset", "close before reading"])
async def test_a_connection_that_closes_under_a_request_is_not_asked_again_elsewhere(how: str) -> None:
    """Known fault 40: the second request may have been billed, so it is the caller's to decide."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(whole(b"x"))
        if how == "close before reading":
            await peer.read(1)
        else:
            await peer.request()
        if how == "reset":
            peer.reset()

    async with raw_server(script) as server, client_of(server.url) as transport:
        assert await asked(transport) == b"x"
        with pytest.raises(UpstreamFault, match="without an answer") as raised:
            await asked(transport)
        assert raised.value.uncertain
        assert len(server.peers) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_server_that_takes_connections_and_no_requests(how: str) -> None:
    """At any moment, so several times. Only what was surely not sent is certain."""

    async def script(peer: Peer) -> None:
        if how == "reset":
            peer.reset()

    async with raw_server(script) as server, client_of(server.url) as transport:
        for _ in range(20):
            with pytest.raises(UpstreamFault) as raised:
                await asked(transport)
            assert raised.value.uncertain == ("without an answer" in raised.value.message)
        await until(lambda: not transport._pool.lines, "every connection is let go")


async def test_a_connection_that_carried_a_stream_rests_before_it_is_used_again() -> None:
    """llama.cpp says that it keeps the line, and closes it a moment after each stream."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"1\r\nx\r\n" + END)
        await peer.gone() if len(server.peers) > 3 else await asyncio.sleep(0.01)

    async with raw_server(script) as server, client_of(server.url) as transport:
        for _ in range(4):
            assert await rest_of(await transport.ask(request(stream=True), PATIENT)) == b"x"
        assert len(server.peers) == 4
        key = ("127.0.0.1", server.port, False)
        await until(lambda: transport._pool.take(key) is not None, "one that was not closed is used again")


async def test_bytes_on_an_idle_connection_are_nobodys_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(whole(b"x"))
        await idle.wait()
        await peer.send(whole(b"not asked for", "408 Request Timeout"))
        await peer.gone()

    idle = asyncio.Event()
    async with raw_server(script) as server, client_of(server.url) as transport:
        assert await asked(transport) == b"x"
        idle.set()
        await server.all_gone()
        assert await asked(transport) == b"x"
        assert len(server.peers) == 2


async def test_an_answer_before_the_request_was_sent_whole() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(whole(b"no", "413 Too Large"))
        await heard.wait()  # the rest of the body is not read
        await peer.gone()

    heard = asyncio.Event()
    async with raw_server(script) as server, client_of(server.url) as transport:
        answer = await transport.ask(request(b"x" * 2**26), PATIENT)
        assert answer.status == 413
        assert await rest_of(answer) == b"no"
        assert not transport._pool.take(("127.0.0.1", server.port, False)), "the rest of one would stand before another"
        heard.set()
        await server.all_gone()


async def test_an_answer_to_the_end_of_the_line_before_the_request_was_sent_whole() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\n\r\nno")
        peer.half_close()
        await heard.wait()
        await peer.gone()

    heard = asyncio.Event()
    async with raw_server(script) as server, client_of(server.url) as transport:
        answer = await transport.ask(request(b"x" * 2**26), PATIENT)
        assert await rest_of(answer) == b"no"
        heard.set()
        await server.all_gone()


# --- the end of an answer ---------------------------------------------------------------------------------------------


async def test_a_closed_line_ends_an_answer_of_http_1_0() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", b"data: 1\n\n", b"data: 2\n\n")

    async with raw_server(script) as server, client_of(server.url) as transport:
        assert await asked(transport) == b"data: 1\n\ndata: 2\n\n"
        await until(lambda: not transport._pool.lines, "the connection is let go")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\n",
        CHUNKED + b"9\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\nzz",
    ],
    ids=["length", "between chunks", "in a chunk", "bad chunk"],
)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_answer_that_is_not_whole_is_a_fault_and_not_an_end(answer: bytes, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await read.wait()
        if how == "reset":
            peer.reset()

    read = asyncio.Event()
    async with raw_server(script) as server, client_of(server.url) as transport:
        answered = await transport.ask(request(), PATIENT)
        assert await answered.read() == b"half"
        read.set()
        with pytest.raises(UpstreamFault) as raised:
            await answered.read()
        assert raised.value.uncertain
        answered.close()
        await until(lambda: not transport._pool.lines, "the connection is let go")
        assert len(server.peers) == 1


async def test_a_cut_line_is_not_the_end_of_an_answer_without_length() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nhalf")
        await read.wait()
        peer.reset()

    read = asyncio.Event()
    async with raw_server(script) as server, client_of(server.url) as transport:
        answered = await transport.ask(request(), PATIENT)
        assert await answered.read() == b"half"
        read.set()
        with pytest.raises(UpstreamFault, match="broke off"):
            await rest_of(answered)


async def test_closing_twice_gives_back_once() -> None:
    async with raw_server(always(whole(b"x"))) as server, client_of(server.url) as transport:
        answer = await transport.ask(request(), PATIENT)
        assert await rest_of(answer) == b"x"
        answer.close()
        answer.close()
        assert await answer.read() == b"", "the end stays the end"
        one, two = await asyncio.gather(asked(transport), asked(transport))
        assert one == two == b"x"
        assert len(server.peers) == 2, "nobody shares a connection with anybody"


async def test_an_answer_that_is_whole_may_be_let_go_unread() -> None:
    async with raw_server(always(whole(b"x"))) as server, client_of(server.url) as transport:
        for _ in range(3):
            (await transport.ask(request(), PATIENT)).close()
        assert len(server.peers) == 1


async def test_nothing_remembers_an_answer_that_was_let_go() -> None:  # its time limits least of all
    gc.collect()  # what other tests have left
    async with raw_server(always(whole(b"x"))) as server, client_of(server.url) as transport:
        assert [await asked(transport) for _ in range(5)] == [b"x"] * 5
        assert not [thing for thing in gc.get_objects() if type(thing) in (Exchange, HttpAnswer)]


# --- questions of our own ---------------------------------------------------------------------------------------------


async def test_a_question_of_our_own() -> None:
    async with raw_server(always(whole(b"[]"), whole(b"no", "404 Not Found"))) as server:
        async with client_of(server.url) as transport:
            assert await transport.fetch("p", "models", 5) == (200, b"[]")
            assert await transport.fetch("p", "models", 5) == (404, b"no")
        arrived = server.requests[0]
        assert arrived.line == "GET /v1/models HTTP/1.1"
        assert arrived.fields == [
            ("host", f"127.0.0.1:{server.port}"),
            ("accept", "application/json"),
            ("authorization", "Bearer configured"),
            ("x-tollkeeper-hop", "1"),
        ]


async def test_a_question_of_our_own_does_not_read_for_ever() -> None:
    async with raw_server(always(whole(b"x" * (MAX_FETCHED + 1)))) as server, client_of(server.url) as transport:
        with pytest.raises(UpstreamFault, match="more than 8 MiB"):
            await transport.fetch("p", "models", PATIENCE)


async def test_a_server_that_is_not_there(free_port: Callable[[], int]) -> None:
    door = f"127.0.0.1:{free_port()}"
    async with client_of(f"http://{door}") as transport:
        with pytest.raises(UpstreamFault, match=f"no connection to {door}: ") as raised:
            await asked(transport)
        assert (raised.value.kind, raised.value.uncertain) == (Kind.UPSTREAM, False)


async def test_a_name_that_no_host_can_have() -> None:
    async with client_of(f"http://{'a' * 64}.test") as transport:
        with pytest.raises(UpstreamFault, match="no connection to") as raised:
            await asked(transport)
        assert not raised.value.uncertain


def can_listen(host: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("host", [host for host in ("127.0.0.1", "::1") if can_listen(host)])
async def test_every_address_of_this_machine(host: str) -> None:
    async with raw_server(always(whole(b"x")), host=host) as server, client_of(server.url) as transport:
        assert await asked(transport) == b"x"
        assert server.requests[0].all("host") == [server.url.removeprefix("http://")]


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(Fault, match="not an http"):
        HttpTransport({"p": Address("ftp://127.0.0.1", lambda _: [])}, proxies=no_proxy)
