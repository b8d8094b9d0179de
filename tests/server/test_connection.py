"""The life of a connection: one request after the other, who leaves, and the end of the server."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from gateway.server.connection import Connection
from gateway.server.exchange import Receive, Send
from gateway.server.limits import MAX_PIPELINED, Limits
from tests.server.applications import Held, half
from tests.server.corpus import CHUNKED, NEXT, head
from tests.server.talk import MemoryLine, Talk

LIMITS = Limits()
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PART = head("POST / HTTP/1.1|host: a|content-length: 9") + b"four"


# one after the other


@pytest.mark.anyio
async def test_pipelined_requests_run_one_at_a_time() -> None:
    application = Held()
    talk = Talk(application)
    paths = [f"/{number}" for number in range(5)]
    raw = b"".join(head(f"POST {path} HTTP/1.1|host: a|content-length: 1") + b"x" for path in paths)
    await talk.says(raw[:100], raw[100:150], raw[150:])
    for done in range(1, 6):
        assert application.begun == paths[:done]
        assert talk.hears() == (OK if done > 1 else b"")
        application.go_on.release()
        await talk.rest()
    assert talk.hears() == OK


@pytest.mark.anyio
async def test_a_client_that_sends_too_far_ahead_is_held_back() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(NEXT)
    sent = 1
    while talk.line.is_reading():
        await talk.says(NEXT * 100)
        sent += 100
    assert MAX_PIPELINED <= sent * len(NEXT) <= MAX_PIPELINED + 200 * len(NEXT)
    application.go_on.release()
    await talk.rest()
    assert talk.line.is_reading()
    for _ in range(sent - 1):
        application.go_on.release()
        await talk.rest()
    assert talk.statuses() == [200] * sent
    assert talk.open


@pytest.mark.anyio
async def test_what_cannot_be_understood_is_refused_after_the_answers_before_it() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(NEXT + NEXT + b"\0", NEXT)
    assert talk.hears() == b""
    application.go_on.release()
    await talk.rest()
    assert talk.statuses() == [200]
    application.go_on.release()
    await talk.rest()
    assert talk.statuses() == [200, 400]
    assert application.begun == ["/next", "/next"]
    assert not talk.open


@pytest.mark.anyio
async def test_a_body_that_breaks_is_told_to_whoever_reads_it() -> None:
    application = Held(asks=True)
    talk = Talk(application)
    await talk.says(CHUNKED + b"1\r\nx\r\n", b"zz\r\n")
    assert [message["type"] for message in application.told] == ["http.request", "http.disconnect"]
    assert talk.statuses() == [400]


@pytest.mark.anyio
async def test_a_body_that_breaks_cuts_an_answer_that_has_begun() -> None:
    talk = Talk(half)
    await talk.says(CHUNKED, b"zz\r\n")
    assert talk.statuses() == [200]
    assert talk.line.aborted


@pytest.mark.anyio
async def test_nothing_of_a_body_that_breaks_at_once_reaches_the_application() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(CHUNKED + b"zz\r\n")
    assert application.begun == []
    assert talk.statuses() == [400]


@pytest.mark.anyio
async def test_nothing_is_heard_after_a_request_that_was_the_last_one() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(head("GET / HTTP/1.1|host: a|connection: close"), NEXT * 10_000)
    assert talk.line.is_reading()
    application.go_on.release()
    await talk.rest()
    assert application.begun == ["/"]
    assert talk.hears() == OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    assert talk.line.closed


# ends


@pytest.mark.anyio
@pytest.mark.parametrize("waiting", [b"", NEXT, PART], ids=["alone", "with another", "with a part of another"])
async def test_a_client_that_leaves_is_missed_at_once(waiting: bytes) -> None:
    told: list[Any] = []

    async def watching(scope: Any, receive: Receive, send: Send) -> None:
        told.append((await receive())["type"])
        told.append(await receive())

    talk = Talk(watching)
    await talk.says(NEXT, waiting)
    assert told == ["http.request"]
    assert talk.connection.eof_received() is False
    await talk.rest()
    assert talk.line.aborted
    assert told == ["http.request", {"type": "http.disconnect"}]


@pytest.mark.anyio
async def test_a_reset_is_missed_at_once() -> None:
    application = Held(asks=True)
    talk = Talk(application)
    await talk.says(PART)
    talk.line.abort()
    talk.connection.connection_lost(ConnectionResetError())
    await talk.rest()
    assert application.told[-1] == {"type": "http.disconnect"}


@pytest.mark.anyio
async def test_a_client_that_leaves_after_its_answer_still_gets_the_rest_of_it() -> None:
    talk = Talk()
    await talk.says(head("GET / HTTP/1.1|host: a|connection: close"))
    talk.line.unsent = 10
    assert talk.connection.eof_received() is False
    assert not talk.line.aborted


@pytest.mark.anyio
async def test_a_line_is_closed_when_everything_is_sent_and_not_before() -> None:
    """A transport that is closed reads no more, and one with TLS gives up the rest after half a minute."""
    application = Held()
    talk = Talk(application)
    await talk.says(head("GET / HTTP/1.1|host: a|connection: close"))
    talk.line.unsent = 10
    application.go_on.release()
    await talk.rest()
    assert not talk.line.closed
    assert talk.line.high_water == 0, "it would not say when everything is sent"
    await talk.waits(LIMITS.stall - 60)
    assert not talk.line.is_closing()
    await talk.takes()
    assert talk.line.closed


@pytest.mark.anyio
async def test_nothing_is_left_to_the_garbage_collector() -> None:
    """Thousands of connections a second would wait for it."""
    gc.collect()
    gc.disable()
    try:
        talk = Talk()
        await talk.says(NEXT, head("GET / HTTP/1.1|host: a|connection: upgrade|upgrade: h2c"), PART)
        await talk.ends()
        gone = weakref.ref(talk.line)
        connections = sum(isinstance(each, Connection) for each in gc.get_objects())
        del talk
        assert gone() is None
        assert sum(isinstance(each, Connection) for each in gc.get_objects()) == connections - 1
    finally:
        gc.enable()


# the server stops


@pytest.mark.anyio
@pytest.mark.parametrize("said", [b"", NEXT, b"GET /"], ids=["nothing", "a request", "a part of a request"])
async def test_a_connection_on_which_nothing_runs_is_closed_when_the_server_stops(said: bytes) -> None:
    talk = Talk()
    await talk.says(said)
    talk.service.stopping = True
    talk.connection.stop()
    assert talk.line.closed


@pytest.mark.anyio
async def test_what_runs_when_the_server_stops_may_end_and_nothing_follows() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(NEXT + NEXT)
    talk.service.stopping = True
    talk.connection.stop()
    assert talk.open
    application.go_on.release()
    await talk.rest()
    assert talk.hears() == OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    assert application.begun == ["/next"]
    assert talk.line.closed


@pytest.mark.anyio
async def test_an_answer_that_had_begun_when_the_server_stops_is_the_last_one_all_the_same() -> None:
    go_on = asyncio.Event()

    async def streaming(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await go_on.wait()
        await send({"type": "http.response.body"})

    talk = Talk(streaming)
    await talk.says(NEXT)
    talk.service.stopping = True
    talk.connection.stop()
    go_on.set()
    await talk.rest()
    assert talk.hears().endswith(b"0\r\n\r\n")
    assert talk.line.closed


@pytest.mark.anyio
async def test_who_comes_while_the_server_stops_is_sent_away() -> None:
    talk = Talk()
    talk.service.stopping = True
    late, line = Connection(talk.service), MemoryLine()
    late.connection_made(line)
    assert line.closed


@pytest.mark.anyio
async def test_a_client_that_does_not_confirm_the_end_is_cut_when_the_server_stops() -> None:
    """As TLS clients do that are not reading at the moment."""
    talk = Talk(tls=True)
    talk.service.stopping = True
    talk.connection.stop()
    assert talk.line.closed
    assert not talk.line.aborted
    await talk.waits(LIMITS.last_words + 0.5)
    assert talk.line.aborted


@pytest.mark.anyio
async def test_a_slow_client_is_not_cut_when_the_server_stops() -> None:
    talk = Talk()
    await talk.says(NEXT)
    talk.line.unsent = 10
    talk.service.stopping = True
    talk.connection.stop()
    await talk.waits(10)
    assert not talk.line.is_closing()
    await talk.takes()
    assert talk.line.closed
