"""The server on real sockets, under both event loops: who is let in, TLS, slow and vanished clients."""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Fault
from gateway.server.exchange import Receive, Send
from gateway.server.limits import Limits
from gateway.server.server import Server
from tests.server.serving import CERTIFICATE, GET, LAST, PATIENCE, hello, serving
from tests.server.talk import answer

MIB = 1024 * 1024


@pytest.fixture(params=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


either = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.mark.anyio
@either
async def test_it_answers_without_naming_itself_until_told_to_stop(tls: bool) -> None:
    async with serving(hello, tls=tls) as running:
        said = await running.exchange(GET * 3 + LAST)
        assert said.count(b"HTTP/1.1 200 OK\r\ndate: ") == 4
        assert said.endswith(b"\r\n\r\nok")
        assert b"server:" not in said
        running.server.stop()
        await running.ended()
        with pytest.raises(OSError):
            await running.exchange(LAST)


@pytest.mark.anyio
@either
async def test_an_application_learns_who_calls_and_how(tls: bool) -> None:
    told: list[Any] = []

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        told.append((scope["scheme"], scope["client"][0], scope["server"]))
        await answer(send, b"ok")

    async with serving(application, tls=tls) as running:
        await running.exchange(LAST)
        assert told == [("https" if tls else "http", "127.0.0.1", running.address)]


@pytest.mark.anyio
@either
async def test_bodies_of_any_size_pass_both_ways(tls: bool) -> None:
    """Up to the application and back, as fast as both sides can."""

    async def echo(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    size = 8 * MIB
    body = os.urandom(size)
    async with serving(echo, tls=tls) as running:
        reader, writer = await running.connect(limit=2 * MIB)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size + body)
        await reader.readuntil(b"\r\n\r\n")
        came = b""
        while length := int(await reader.readline(), 16):
            came += (await reader.readexactly(length + 2))[:-2]
        assert came == body


@pytest.mark.anyio
@either
async def test_a_slow_reader_holds_the_application_back(tls: bool) -> None:
    """200 MB for a client that reads nothing: what it does not take is not made."""
    made = 0

    async def endless(scope: Any, receive: Receive, send: Send) -> None:
        nonlocal made
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"200000000")]})
        for _ in range(200):
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
            made += 1_000_000
        await send({"type": "http.response.body"})

    async with serving(endless, tls=tls) as running:
        _, writer = await running.connect(limit=1000)
        writer.write(GET)
        before = -1
        while made != before:  # until nothing moves any more
            before = made
            await asyncio.sleep(0.1)
        assert made < 30_000_000
        (connection,) = running.server.connections
        assert connection.line.unsent < 3_000_000


@pytest.mark.anyio
@either
@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.timed
async def test_a_client_that_leaves_is_missed_at_once(how: str, tls: bool) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def waiting(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        begun.set()
        if (await receive())["type"] == "http.disconnect":
            left.set()

    async with serving(waiting, tls=tls) as running:
        _, writer = await running.connect()
        writer.write(GET)
        await asyncio.wait_for(begun.wait(), PATIENCE)
        if how == "reset":
            line = writer.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
        await asyncio.wait_for(left.wait(), 1)


@pytest.mark.anyio
@either
async def test_a_refusal_reaches_a_client_that_is_still_sending(tls: bool) -> None:
    """It would be lost in a reset, if the line were closed before everything is read."""

    async def refusing(scope: Any, receive: Receive, send: Send) -> None:
        await answer(send, b"too large", 413)

    async with serving(refusing, tls=tls) as running:
        for raw in (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (4 * MIB), b"\0"):
            reader, writer = await running.connect()
            writer.write(raw)
            for _ in range(16):
                writer.write(b"x" * (MIB // 4))
                await asyncio.wait_for(writer.drain(), PATIENCE)
            assert (await asyncio.wait_for(reader.readline(), PATIENCE)).startswith(b"HTTP/1.1 4")


@pytest.mark.anyio
@either
async def test_limits_hold_on_real_lines(tls: bool) -> None:
    limits = Limits(head=0.05, idle=0.1, linger=0.1)
    async with serving(hello, limits, tls=tls) as running:
        assert await running.exchange(b"") == b""
        assert (await running.exchange(b"GET /")).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert (await running.exchange(GET)).endswith(b"\r\n\r\nok")


@pytest.mark.anyio
async def test_a_client_that_stalls_is_cut_on_a_real_line() -> None:
    cut = asyncio.Event()

    async def endless(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * MIB, "more_body": True})
        except OSError:
            cut.set()

    async with serving(endless, Limits(stall=0.2, look=0.02, idle=0.05)) as running:
        _, writer = await running.connect(limit=1000)
        writer.write(GET)
        await asyncio.wait_for(cut.wait(), PATIENCE)


@pytest.mark.anyio
async def test_small_answers_leave_at_once() -> None:
    """Without TCP_NODELAY the second piece would wait for the client to confirm the first."""
    async with serving(hello) as running:
        reader, writer = await running.connect()
        writer.write(GET)
        await reader.readuntil(b"ok")
        (connection,) = running.server.connections
        line = connection.line.transport.get_extra_info("socket")
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


# TLS


LOCKED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAj9pCAnCp/2xQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEC3jYOZFaOMCaFK4cpSXyS0EgZAe
NrTVjtJSD1HakR1RGws3oaW8utH2W56TJGzpmcKyroTYSh7eas16yN1eMFrZfxKu
t8I5Jro1LS/N8g8vxratADJR/XG8iDpexkJMwLeA9FjmaCoOP3JKP4NRtKPrUs4A
SsaBU2J4uncYhEf/bETDrEYkqrVSLMgSsTyKC2wgXLQMiyKF0m9cSHv7U4XmjBM=
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_a_certificate_that_is_none_says_so(tmp_path: Path) -> None:
    """And a key with a password does so too: nobody is at the terminal to be asked for it."""
    nonsense, locked = tmp_path / "cert.pem", tmp_path / "locked.pem"
    nonsense.write_text("no certificate")
    locked.write_text(LOCKED)
    for cert, key in ((nonsense, nonsense), (tmp_path / "none.pem", nonsense), (CERTIFICATE, locked)):
        with pytest.raises(Fault) as wrong:
            Server(hello, cert, key)
        assert "server.tls" in wrong.value.message


@pytest.mark.anyio
async def test_tls_that_is_too_old_is_refused(recwarn: pytest.WarningsRecorder) -> None:
    async with serving(hello, tls=True) as running:
        old = ssl.create_default_context(cafile=str(CERTIFICATE))
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            await running.connect(ssl=old)
    recwarn.clear()  # the standard library warns of the version too


@pytest.mark.anyio
async def test_who_speaks_no_tls_is_cut() -> None:
    async with serving(hello, Limits(handshake=0.1), tls=True) as running:
        for raw in (GET, b""):
            reader, writer = await running.connect(ssl=None, server_hostname=None)
            writer.write(raw)
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await asyncio.wait_for(reader.read(), PATIENCE)
