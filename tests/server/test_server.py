"""The HTTP server under both planes: its socket, its limits, its end."""

import asyncio
import os
import signal
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Fault, Kind
from gateway.server.listener import address_of, listen
from gateway.server.server import Server

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""For the name `localhost`, good for a hundred years, with its key: of use to these tests alone."""

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"ok"})


async def get(address: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_a_free_port_is_found_and_told() -> None:
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert address_of(listener) == f"http://127.0.0.1:{port}"
        assert address_of(listener, tls=True) == f"https://{host}:{port}"


def test_ipv6_is_written_in_brackets() -> None:
    with listen("::1", 0) as listener:
        assert address_of(listener).startswith("http://[::1]:")


def test_a_taken_port_says_so() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(Fault) as taken:
        listen("127.0.0.1", listener.getsockname()[1])
    assert taken.value.kind is Kind.UNAVAILABLE
    assert "is taken by another program" in taken.value.message
    assert taken.value.hint is not None
    assert "--port" in taken.value.hint


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "not a host", "\udc80"])
def test_an_address_that_is_not_ours_says_so(host: str) -> None:
    with pytest.raises(Fault) as wrong:
        listen(host, 0)
    assert wrong.value.hint is not None
    assert "--host" in wrong.value.hint


def test_a_certificate_that_is_none_says_so(tmp_path: Path) -> None:
    nonsense = tmp_path / "cert.pem"
    nonsense.write_text("no certificate")
    for cert in (nonsense, tmp_path / "none.pem"):
        with pytest.raises(Fault) as wrong:
            Server(hello, cert, nonsense)
        assert "server.tls" in wrong.value.message


@pytest.mark.anyio
async def test_it_answers_without_naming_itself_until_told_to_stop() -> None:
    listener = listen("127.0.0.1", 0)
    address = listener.getsockname()
    server = Server(hello)
    serving = asyncio.create_task(server.run_on(listener))
    answer = await get(address)
    server.stop()
    await asyncio.wait_for(serving, 10)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\nok")
    assert b"server:" not in answer.lower()
    with pytest.raises(OSError):
        await get(address)


@pytest.mark.anyio
async def test_tls_by_settings() -> None:
    trust = ssl.create_default_context(cafile=str(CERTIFICATE))
    listener = listen("127.0.0.1", 0)
    server = Server(hello, CERTIFICATE, CERTIFICATE)
    serving = asyncio.create_task(server.run_on(listener))
    reader, writer = await asyncio.open_connection(*listener.getsockname(), ssl=trust, server_hostname="localhost")
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    server.stop()
    await asyncio.wait_for(serving, 10)

    assert answer.endswith(b"\r\n\r\nok")


@pytest.mark.anyio
async def test_a_call_that_will_not_end_is_cancelled_and_dealt_with_before_the_server_ends() -> None:
    """Promise 1: whoever settles a call may still do so when the server stops."""
    begun, settled = asyncio.Event(), asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            settled.set()

    listener = listen("127.0.0.1", 0)
    server = Server(endless)
    serving = asyncio.create_task(server.run_on(listener))
    _, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.wait_for(begun.wait(), 10)
    server.stop(at_once=True)
    await asyncio.wait_for(serving, 10)
    writer.close()

    assert settled.is_set()


@pytest.mark.anyio
async def test_a_signal_ends_serving_and_not_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM)
    listener = listen("127.0.0.1", 0)
    address = listener.getsockname()
    serving = asyncio.create_task(Server(hello).run_on(listener))
    assert await get(address)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 10)

    assert signal.getsignal(signal.SIGTERM) is before
