"""TLS to a provider: whom it trusts, and how an answer over it ends."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Kind, UpstreamFault
from gateway.providers.transport import HttpTransport
from tests.providers.asking import LOOPS, PATIENT, asked, cancelled_in, client_of, request
from tests.providers.certificates import Authority
from tests.providers.corpus import CHUNKED
from tests.raw_server import Peer, RawServer, Script, always, raw_server, until, whole

SHORT = 0.15
pytestmark = pytest.mark.anyio


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@asynccontextmanager
async def secured(
    script: Script, authority: Authority, certificate: ssl.SSLContext | None
) -> AsyncIterator[tuple[RawServer, HttpTransport]]:
    """A server with this certificate, or with none, and a client that speaks TLS to it and trusts our authority."""
    ours = authority.client()
    async with raw_server(script, tls=certificate) as server, client_of(server.secured_url, tls=ours) as transport:
        yield server, transport


async def test_a_handshake_that_does_not_end(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with secured(script, authority, None) as (server, transport):
        with pytest.raises(UpstreamFault, match=f"within {SHORT:g} s") as raised:
            await asked(transport, replace(PATIENT, connect_timeout=SHORT))
        assert (raised.value.kind, raised.value.uncertain) == (Kind.TIMEOUT, False)
        await server.all_gone()


async def test_tls_with_a_certificate_that_is_trusted(authority: Authority) -> None:
    async with secured(always(whole(b"x")), authority, authority.server("127.0.0.1")) as (server, transport):
        assert [await asked(transport) for _ in range(3)] == [b"x"] * 3
        assert len(server.peers) == 1
        (line,) = transport._pool.lines
        assert line.transport is not None
        assert line.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("name", "days", "said"),
    [
        ("elsewhere.test", 2, "is not trusted: IP address mismatch"),
        ("127.0.0.1", -1, "is not trusted: certificate has expired"),
    ],
)
async def test_tls_with_a_certificate_that_is_not(authority: Authority, name: str, days: int, said: str) -> None:
    async with secured(always(whole(b"x")), authority, authority.server(name, days=days)) as (server, transport):
        with pytest.raises(UpstreamFault, match=said) as raised:
            await asked(transport)
        assert (raised.value.kind, raised.value.uncertain) == (Kind.UPSTREAM, False)
        assert server.requests == []


async def test_tls_of_an_authority_that_nobody_trusts(authority: Authority, tmp_path: Path) -> None:
    async with raw_server(always(whole(b"x")), tls=authority.server("127.0.0.1")) as server:
        for other in (Authority(tmp_path).client(), None):
            async with client_of(server.url, tls=other) as transport:
                with pytest.raises(UpstreamFault, match="is not trusted: ") as raised:
                    await asked(transport)
                assert not raised.value.uncertain
        assert server.requests == []


async def test_tls_with_a_server_that_speaks_none(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with secured(script, authority, None) as (_, transport):
        with pytest.raises(UpstreamFault, match="TLS failed: ") as raised:
            await asked(transport)
        assert not raised.value.uncertain


async def test_an_answer_over_tls_to_the_end_of_the_line(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nhello")

    async with secured(script, authority, authority.server("127.0.0.1")) as (_, transport):
        assert await asked(transport) == b"hello"


async def test_cancelled_while_it_connects(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.read(1)
        hello.set()
        await peer.gone()

    hello = asyncio.Event()
    async with secured(script, authority, None) as (server, transport):
        await cancelled_in(asked(transport), hello.is_set, server)


async def test_a_server_that_ends_tls_on_an_idle_connection(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(whole(b"x"))

    async with secured(script, authority, authority.server("127.0.0.1")) as (server, transport):
        for _ in range(2):
            assert await asked(transport) == b"x"
            await until(lambda: not transport._pool.lines, "the closed connection is forgotten")
        assert len(server.peers) == 2


async def test_let_go_in_the_middle_of_an_answer_over_tls(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"1\r\nx\r\n")
        await peer.gone()

    async with secured(script, authority, authority.server("127.0.0.1")) as (server, transport):
        answer = await transport.ask(request(), PATIENT)
        assert await answer.read() == b"x"
        answer.close()
        await server.all_gone()
        await until(lambda: not transport._pool.lines, "the connection is let go")


@pytest.mark.parametrize("anyio_backend", LOOPS[1:], indirect=True)
async def test_a_cut_below_tls_is_not_the_end_of_an_answer_without_length(authority: Authority) -> None:
    """Anybody on the way can close the line; only the two ends can say in TLS that it is over (RFC 9112 §9.8).

    The standard event loop does not tell the two apart; the one that the gateway runs on does.
    """

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nhalf")
        await read.wait()
        peer.shut()
        await peer.gone()

    read = asyncio.Event()
    async with secured(script, authority, authority.server("127.0.0.1")) as (_, transport):
        answer = await transport.ask(request(), PATIENT)
        assert await answer.read() == b"half"
        read.set()
        with pytest.raises(UpstreamFault, match="broke off"):
            await answer.read()
        answer.close()
