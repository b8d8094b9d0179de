"""How the server ends, under both event loops: what runs may end, and nobody else holds it up."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import threading
from typing import Any

import pytest

from gateway.server.exchange import Receive, Send
from gateway.server.limits import Limits
from gateway.server.listener import listen
from gateway.server.server import Server
from tests.server.serving import CERTIFICATE, GET, LAST, PATIENCE, hello, serving
from tests.server.talk import answer, until


@pytest.fixture(params=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


either = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.mark.anyio
@either
async def test_what_runs_may_end_and_idle_clients_do_not_hold_it_up(tls: bool) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await answer(send, b"ok")

    async with serving(slow, tls=tls) as running:
        idle = [await running.connect() for _ in range(3)]
        reader, writer = await running.connect()
        writer.write(GET)
        await asyncio.wait_for(begun.wait(), PATIENCE)
        running.server.stop()
        for one, _ in idle:
            assert await asyncio.wait_for(one.read(), PATIENCE) == b""
        assert running.task is not None
        assert not running.task.done()
        go_on.set()
        said = await asyncio.wait_for(reader.read(), PATIENCE)
        assert b"\r\nconnection: close\r\n" in said
        await running.ended()


@pytest.mark.anyio
async def test_tls_clients_that_do_not_read_do_not_hold_it_up() -> None:
    """They never confirm the end of their line."""
    async with serving(hello, Limits(last_words=0.05), tls=True) as running:
        trust = ssl.create_default_context(cafile=str(CERTIFICATE))

        def connected() -> ssl.SSLSocket:
            line = trust.wrap_socket(socket.create_connection(running.address), server_hostname="localhost")
            line.sendall(GET)
            line.recv(1000)
            return line

        with await asyncio.get_running_loop().run_in_executor(None, connected):
            running.server.stop()
            await running.ended()


@pytest.mark.anyio
@pytest.mark.parametrize("patience", ["grace", "none"])
async def test_a_call_that_will_not_end_is_cancelled_and_dealt_with_before_the_server_ends(patience: str) -> None:
    """Promise 1: whoever settles a call may still do so when the server stops."""
    begun, settled = asyncio.Event(), asyncio.Event()

    async def endless(scope: Any, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            settled.set()

    async with serving(endless, Limits(grace=0.05)) as running:
        reader, writer = await running.connect()
        writer.write(GET)
        await asyncio.wait_for(begun.wait(), PATIENCE)
        running.server.stop(at_once=patience == "none")
        await running.ended()
        assert settled.is_set()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


@pytest.mark.anyio
async def test_a_signal_ends_serving_and_not_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with serving(hello, on_signals=True) as running:
        assert await running.exchange(LAST)
        os.kill(os.getpid(), signal.SIGTERM)
        await running.ended()
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.anyio
async def test_the_second_interrupt_does_not_wait() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(scope: Any, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(endless, on_signals=True) as running:
        _, writer = await running.connect()
        writer.write(GET)
        await asyncio.wait_for(begun.wait(), PATIENCE)
        os.kill(os.getpid(), signal.SIGINT)
        await until(lambda: running.listener.fileno() == -1)
        assert not cancelled.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        await running.ended()
        assert cancelled.is_set()


@pytest.mark.anyio
async def test_it_may_be_stopped_from_another_thread_and_before_it_runs() -> None:
    async with serving(hello) as running:
        threading.Thread(target=running.server.stop).start()
        await running.ended()
    stopped = Server(hello, on_signals=False)
    stopped.stop()
    await asyncio.wait_for(stopped.run_on(listen("127.0.0.1", 0)), PATIENCE)
