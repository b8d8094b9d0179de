"""The way through a proxy: who is asked through which, the tunnel, and what a proxy may see and do."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.providers.proxies import MAX_GREETING, Proxy, ProxyChoice, from_environment
from gateway.providers.transport import Address, HttpTransport
from tests.providers.asking import LOOPS, PATIENT, asked, bearer, cancelled_in, client_of, request, rest_of
from tests.providers.certificates import Authority
from tests.raw_server import Peer, RawServer, Script, always, raw_server, silent, until, whole

CREDENTIALS = f"Basic {base64.b64encode('ümit:p@ss'.encode()).decode()}"


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def through(address: str) -> ProxyChoice:
    return lambda scheme, host, port: address


# --- which proxy ------------------------------------------------------------------------------------------------------

NAMED = {
    "HTTPS_PROXY": "http://secure:1",
    "HTTP_PROXY": "http://plain:2",
    "NO_PROXY": "near.test,10.0.0.0/8,far.test:99",
}


@pytest.mark.parametrize(
    ("environ", "scheme", "host", "port", "proxy"),
    [
        (NAMED, "https", "api.test", 443, "http://secure:1"),
        (NAMED, "http", "api.test", 80, "http://plain:2"),
        (NAMED, "https", "near.test", 443, None),
        (NAMED, "https", "gpu.near.test", 443, None),
        (NAMED, "https", "notnear.test", 443, "http://secure:1"),
        (NAMED, "https", "far.test", 99, None),
        (NAMED, "https", "far.test", 443, "http://secure:1"),
        (NAMED, "http", "10.1.2.3", 8000, None),
        (NAMED, "http", "11.1.2.3", 8000, "http://plain:2"),
        (NAMED, "http", "localhost", 8000, None),
        (NAMED, "http", "api.localhost", 8000, None),
        (NAMED, "http", "127.0.0.1", 8000, None),
        (NAMED, "http", "127.1.2.3", 8000, None),
        (NAMED, "http", "::1", 8000, None),
        (NAMED, "http", "0.0.0.0", 8000, None),  # noqa: S104  asked for, not listened on
        (NAMED, "http", "127.example.test", 80, "http://plain:2"),
        ({"NO_PROXY": "*", "HTTPS_PROXY": "http://secure:1"}, "https", "api.test", 443, None),
        ({"NO_PROXY": "no/network", "HTTPS_PROXY": "http://secure:1"}, "https", "10.0.0.1", 443, "http://secure:1"),
        ({"https_proxy": "secure:1"}, "https", "api.test", 443, "http://secure:1"),
        ({"ALL_PROXY": "http://all:3"}, "https", "api.test", 443, "http://all:3"),
        ({"HTTP_PROXY": "http://plain:2"}, "https", "api.test", 443, None),
        ({}, "https", "api.test", 443, None),
    ],
)
def test_which_proxy_is_asked(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], scheme: str, host: str, port: int, proxy: str | None
) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert from_environment(scheme, host, port) == proxy


@pytest.mark.parametrize(
    ("address", "shown", "tls"),
    [
        ("http://proxy.test:3128", "proxy.test:3128", False),
        ("http://proxy.test", "proxy.test:80", False),
        ("https://proxy.test/", "proxy.test:443", True),
        ("http://%C3%BCmit:p%40ss@proxy.test:3128", "proxy.test:3128", False),
    ],
)
def test_the_address_of_a_proxy(address: str, shown: str, tls: bool) -> None:
    proxy = Proxy.parse(address)
    assert (proxy.shown, proxy.tls) == (shown, tls)
    assert proxy.fields == ((("proxy-authorization", CREDENTIALS),) if "@" in address else ())
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize(
    "address",
    ["socks5://user:secret@proxy.test:1080", "http://user:secret@", "http://user:secret@[::1", "http://p:secret"],
)
def test_a_proxy_that_cannot_be_used_is_an_error_at_start(address: str) -> None:
    with pytest.raises(Fault) as raised:
        HttpTransport({"p": Address("https://api.test/v1", bearer)}, proxies=through(address))
    assert raised.value.kind is Kind.INVALID
    assert "NO_PROXY" in raised.value.sentence
    assert "secret" not in raised.value.sentence


# --- the proxy reads the request itself -------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("user", ["", "%C3%BCmit:p%40ss@"])
async def test_a_plain_origin_is_asked_for_by_its_whole_address(user: str) -> None:
    async with raw_server(always(whole(b"x"))) as proxy:
        choice = through(f"http://{user}127.0.0.1:{proxy.port}")
        async with client_of("http://origin.test:8000", proxies=choice) as transport:
            assert [await asked(transport), await asked(transport)] == [b"x", b"x"]
            assert await transport.fetch("p", "models", 5) == (200, b"x")
        post, _, get = proxy.requests
        assert len(proxy.peers) == 1
        assert post.line == "POST http://origin.test:8000/v1/chat/completions HTTP/1.1"
        assert get.line == "GET http://origin.test:8000/v1/models HTTP/1.1"
        for arrived in (post, get):
            assert arrived.all("host") == ["origin.test:8000"]
            assert arrived.all("proxy-authorization") == ([CREDENTIALS] if user else [])


@pytest.mark.anyio
async def test_a_plain_origin_by_its_address_of_version_6() -> None:
    async with raw_server(always(whole(b"x"))) as proxy:
        async with client_of("http://[2001:db8::1]:8000", proxies=through(proxy.url)) as transport:
            assert await asked(transport) == b"x"
        assert proxy.requests[0].line == "POST http://[2001:db8::1]:8000/v1/chat/completions HTTP/1.1"


@pytest.mark.anyio
async def test_a_proxy_that_wants_other_credentials_is_not_the_provider() -> None:
    """Its answer is none of the provider's, and nothing was billed."""
    script = always(whole(b"who are you?", "407 Proxy Authentication Required"))
    async with raw_server(script) as proxy:
        async with client_of(
            "http://origin.test", proxies=through(f"http://user:secret@127.0.0.1:{proxy.port}")
        ) as transport:
            with pytest.raises(UpstreamFault, match="refuses our credentials") as raised:
                await asked(transport)
        assert not raised.value.uncertain
        assert "secret" not in raised.value.sentence


# --- the tunnel -------------------------------------------------------------------------------------------------------


def tunnel_to(port: int) -> Callable[[Peer], Awaitable[None]]:
    """An honest proxy: answers CONNECT, then carries bytes both ways to a port of this machine."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            while data := await reader.read(65536):
                await peer.send(data)

        carrying = asyncio.create_task(back())
        try:
            while data := await peer.read(65536):
                writer.write(data)
            peer.left.set()
        finally:
            carrying.cancel()
            await asyncio.wait([carrying])
            writer.transport.abort()

    return script


@asynccontextmanager
async def proxied(script: Script, authority: Authority) -> AsyncIterator[tuple[RawServer, HttpTransport]]:
    """A proxy that does as its script says, and a client that wants to go through it to an origin with TLS."""
    ours, origin = authority.client(), "https://origin.test"
    async with raw_server(script) as proxy, client_of(origin, proxies=through(proxy.url), tls=ours) as transport:
        yield proxy, transport


@pytest.mark.anyio
@pytest.mark.parametrize("user", ["", "%C3%BCmit:p%40ss@"])
async def test_an_origin_with_tls_is_asked_through_a_tunnel(authority: Authority, user: str) -> None:
    async with (
        raw_server(always(whole(b"x")), tls=authority.server("origin.test")) as origin,
        raw_server(tunnel_to(origin.port)) as proxy,
    ):
        choice = through(f"http://{user}127.0.0.1:{proxy.port}")
        async with client_of("https://origin.test", proxies=choice, tls=authority.client()) as transport:
            assert [await asked(transport), await asked(transport)] == [b"x", b"x"]
        (connect,) = proxy.requests
        assert connect.line == "CONNECT origin.test:443 HTTP/1.1"
        assert connect.all("proxy-authorization") == ([CREDENTIALS] if user else [])
        assert connect.all("authorization") == [], "the provider's key is for the provider"
        assert origin.requests[0].line == "POST /v1/chat/completions HTTP/1.1"
        assert origin.requests[0].all("proxy-authorization") == []
        assert len(origin.peers) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_behind_tls(authority: Authority, scheme: str) -> None:
    far = authority.server("origin.test") if scheme == "https" else None
    near = authority.server("127.0.0.1")
    async with raw_server(always(whole(b"x")), tls=far) as origin:
        script = tunnel_to(origin.port) if far else always(whole(b"x"))
        async with raw_server(script, tls=near) as proxy:
            async with client_of(
                f"{scheme}://origin.test", proxies=through(proxy.url), tls=authority.client()
            ) as transport:
                assert [await asked(transport), await asked(transport)] == [b"x", b"x"]
            assert len(proxy.peers) == 1


@pytest.mark.anyio
async def test_the_tunnel_does_not_vouch_for_whom_it_leads_to(authority: Authority) -> None:
    async with (
        raw_server(always(whole(b"x")), tls=authority.server("elsewhere.test")) as origin,
        raw_server(tunnel_to(origin.port)) as proxy,
        client_of("https://origin.test", proxies=through(proxy.url), tls=authority.client()) as transport,
    ):
        with pytest.raises(UpstreamFault, match="is not trusted: Hostname mismatch") as raised:
            await asked(transport)
        assert not raised.value.uncertain
        assert origin.requests == []
        await proxy.all_gone()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\n", "answered 407 to CONNECT"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "answered 403 to CONNECT"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "answered 100 to CONNECT"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK", "more than an answer to CONNECT"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "does not speak HTTP"),
        (b"\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_GREETING, "has no end"),
        (b"HTTP/1.1 200", "the proxy closed the connection"),
        (b"", "the proxy closed the connection"),
    ],
)
async def test_a_proxy_that_refuses_or_speaks_in_riddles(authority: Authority, greeting: bytes, said: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if greeting:
            await peer.send(greeting)
        if "closed" not in said:
            await peer.gone()

    async with raw_server(script) as proxy:
        choice = through(f"http://user:secret@127.0.0.1:{proxy.port}")
        async with client_of("https://origin.test", proxies=choice, tls=authority.client()) as transport:
            with pytest.raises(UpstreamFault, match=said) as raised:
                await asked(transport)
        assert (raised.value.kind, raised.value.uncertain) == (Kind.UPSTREAM, False)
        assert f"origin.test:443 through the proxy 127.0.0.1:{proxy.port}" in raised.value.sentence
        assert "secret" not in raised.value.sentence


@pytest.mark.anyio
async def test_a_greeting_in_pieces(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in b"HTTP/1.1 502 Bad Gateway\r\n\r\n":
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)
        await peer.gone()

    async with proxied(script, authority) as (_, transport):
        with pytest.raises(UpstreamFault, match="answered 502 to CONNECT"):
            await asked(transport)


@pytest.mark.anyio
async def test_a_proxy_that_is_not_there(free_port: Callable[[], int]) -> None:
    for scheme in ("http", "https"):
        async with client_of(
            f"{scheme}://origin.test", proxies=through(f"http://127.0.0.1:{free_port()}")
        ) as transport:
            with pytest.raises(UpstreamFault, match="through the proxy") as raised:
                await asked(transport)
            assert not raised.value.uncertain


@pytest.mark.anyio
async def test_a_proxy_that_says_nothing(authority: Authority) -> None:
    async with proxied(silent, authority) as (proxy, transport):
        with pytest.raises(UpstreamFault, match=r"within 0\.15 s") as raised:
            await transport.ask(request(), replace(PATIENT, connect_timeout=0.15))
        assert (raised.value.kind, raised.value.uncertain) == (Kind.TIMEOUT, False)
        await proxy.all_gone()


@pytest.mark.anyio
async def test_cancelled_in_the_tunnel(authority: Authority) -> None:
    """While the proxy is asked, and while TLS is spoken through it."""

    async def accepting(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await peer.read(1)
        hello.set()
        await peer.gone()

    async with proxied(silent, authority) as (proxy, transport):
        await cancelled_in(asked(transport), lambda: bool(proxy.requests), proxy)
    hello = asyncio.Event()
    async with proxied(accepting, authority) as (proxy, transport):
        await cancelled_in(asked(transport), hello.is_set, proxy)


@pytest.mark.anyio
async def test_an_answer_through_a_tunnel_may_break_off(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        await read.wait()

    read = asyncio.Event()
    async with (
        raw_server(script, tls=authority.server("origin.test")) as origin,
        raw_server(tunnel_to(origin.port)) as proxy,
        client_of("https://origin.test", proxies=through(proxy.url), tls=authority.client()) as transport,
    ):
        answer = await transport.ask(request(), PATIENT)
        assert await answer.read() == b"half"
        read.set()
        with pytest.raises(UpstreamFault, match="broke off") as raised:
            await rest_of(answer)
        assert raised.value.uncertain
        await until(lambda: not transport._pool.lines, "the connection is let go")


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["close at once", "close after its answer", "reset at once", "reset after its answer"])
async def test_a_proxy_that_closes_in_the_middle(authority: Authority, how: str) -> None:
    """At any moment, so several times: it is always a fault of this kind, and always certain."""

    async def script(peer: Peer) -> None:
        if "answer" in how:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        if "reset" in how:
            peer.reset()

    async with proxied(script, authority) as (_, transport):
        for _ in range(20):
            with pytest.raises(UpstreamFault, match=r"no connection to origin\.test") as raised:
                await asked(transport)
            assert not raised.value.uncertain
        await until(lambda: not transport._pool.lines, "every connection is let go")
