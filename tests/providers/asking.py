"""A client of one provider at a given address, for tests that speak to a real socket."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.core.keys import Secret
from gateway.core.routing import Provider, Retries, Target
from gateway.ports import Headers, UpstreamAnswer, UpstreamRequest
from gateway.providers.proxies import ProxyChoice, no_proxy
from gateway.providers.transport import Address, HttpTransport
from tests.raw_server import RawServer, until

LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
]
"""For an `anyio_backend` fixture: the two event loops differ in how they close, pause and speak TLS."""
TARGET = Target(Provider("p", "openai", at_home=False), "m")
PATIENT = Retries(timeout=10, connect_timeout=10, first_byte_timeout=10, idle_timeout=10)


def bearer(client_key: Secret | None) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {client_key.reveal() if client_key else 'configured'}")]


def request(body: bytes = b"{}", *, stream: bool = False, headers: Headers | None = None) -> UpstreamRequest:
    fields = [("content-type", "application/json")] if headers is None else headers
    return UpstreamRequest(TARGET, "chat/completions", fields, (body,), stream, None)


@asynccontextmanager
async def client_of(
    url: str, *, proxies: ProxyChoice = no_proxy, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport({"p": Address(f"{url}/v1", bearer)}, proxies=proxies, tls=tls)
    try:
        yield transport
    finally:
        await transport.stop()


async def rest_of(answer: UpstreamAnswer) -> bytes:
    """The whole body, read to its end and let go."""
    body = b""
    try:
        while part := await answer.read():
            body += part
    finally:
        answer.close()
    return body


async def asked(transport: HttpTransport, limits: Retries = PATIENT) -> bytes:
    """The body of one answer."""
    return await rest_of(await transport.ask(request(), limits))


async def cancelled_in(state: Awaitable[Any], reached: Callable[[], bool], server: RawServer) -> None:
    """Cancels what is under way as soon as it has got there: the upstream must notice at once."""
    task = asyncio.ensure_future(state)
    await until(reached, "the state in question")
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.all_gone()
    assert time.monotonic() - begun < 1
