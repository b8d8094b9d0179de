"""What lasts too long, and what is too much: the end of every state of a connection."""

import pytest

from gateway.server.limits import MAX_DRAINED, Limits
from tests.server.applications import Held, deaf, half
from tests.server.corpus import CHUNKED, END, NEXT, head
from tests.server.talk import Talk

LIMITS = Limits()
PART = head("POST / HTTP/1.1|host: a|content-length: 9") + b"four"


# time


@pytest.mark.anyio
@pytest.mark.parametrize("before", [b"", NEXT], ids=["at first", "after a request"])
async def test_an_idle_connection_is_closed_without_a_word(before: bytes) -> None:
    talk = Talk()
    await talk.says(before)
    talk.hears()
    await talk.waits(LIMITS.idle - 1)
    assert talk.open
    await talk.waits(1)
    assert talk.line.closed
    assert talk.hears() == b""


@pytest.mark.anyio
async def test_the_time_between_requests_begins_anew_with_each() -> None:
    talk = Talk()
    for _ in range(3):
        await talk.waits(LIMITS.idle - 1)
        await talk.says(NEXT)
    assert talk.statuses() == [200, 200, 200]
    assert talk.open


@pytest.mark.anyio
@pytest.mark.parametrize("before", [b"", NEXT], ids=["at first", "after a request"])
async def test_a_head_has_to_be_whole_in_time(before: bytes) -> None:
    """Counted from its first byte: a client that sends one byte a second gains nothing."""
    talk = Talk()
    await talk.says(before)
    talk.hears()
    await talk.waits(LIMITS.idle - 1)
    for second in range(int(LIMITS.head)):
        assert talk.open, f"after {second} s"
        await talk.says(NEXT[second : second + 1])
        await talk.waits(1)
    assert talk.statuses() == [408]
    assert not talk.open


@pytest.mark.anyio
async def test_a_body_that_stops_coming_is_given_up() -> None:
    """408 for the client, `http.disconnect` for the application; each byte begins the time anew."""
    application = Held(asks=True)
    talk = Talk(application)
    await talk.says(PART)
    for _ in range(3):
        await talk.waits(LIMITS.body - 1)
        await talk.says(b"x")
    assert application.told[-1]["type"] == "http.request"
    await talk.waits(LIMITS.body + 1)
    assert application.told[-1] == {"type": "http.disconnect"}
    assert talk.statuses() == [408]
    assert not talk.open


@pytest.mark.anyio
async def test_a_body_that_stops_coming_cuts_an_answer_that_has_begun() -> None:
    talk = Talk(half)
    await talk.says(PART)
    assert talk.statuses() == [200]
    await talk.waits(LIMITS.body + 1)
    assert talk.line.aborted
    assert talk.hears() == b""


@pytest.mark.anyio
async def test_a_body_that_nobody_waits_for_may_take_its_time() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(PART)
    await talk.waits(LIMITS.body * 10)
    await talk.says(b"five!")
    application.go_on.release()
    await talk.rest()
    assert talk.statuses() == [200]
    assert talk.open


@pytest.mark.anyio
async def test_a_request_may_run_for_as_long_as_it_likes() -> None:
    application = Held(asks=True)
    talk = Talk(application)
    await talk.says(NEXT)
    await talk.waits(3600)
    application.go_on.release()
    await talk.rest()
    assert talk.statuses() == [200]


@pytest.mark.anyio
async def test_a_client_that_takes_nothing_is_cut() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(NEXT)
    talk.line.unsent = 1000
    await talk.waits(LIMITS.stall - 1)
    assert not talk.line.is_closing()
    await talk.waits(LIMITS.idle + LIMITS.look + 1)
    assert talk.line.aborted


@pytest.mark.anyio
async def test_a_client_that_takes_little_is_not_cut() -> None:
    application = Held()
    talk = Talk(application)
    await talk.says(NEXT)
    for unsent in range(50, 0, -1):
        talk.line.unsent = unsent
        await talk.waits(60)
    assert not talk.line.is_closing()


@pytest.mark.anyio
async def test_an_answer_may_be_taken_for_longer_than_a_connection_may_idle() -> None:
    talk = Talk()
    await talk.says(NEXT)
    for unsent in range(10, 0, -1):
        talk.line.unsent = unsent
        await talk.waits(LIMITS.idle)
    assert talk.open
    talk.line.unsent = 0
    await talk.waits(LIMITS.idle)
    assert talk.line.closed


@pytest.mark.anyio
async def test_an_answer_that_is_never_taken_is_given_up() -> None:
    talk = Talk()
    await talk.says(NEXT)
    talk.line.unsent = 10
    await talk.waits(LIMITS.idle + LIMITS.stall + 10)
    assert talk.line.aborted


# bodies that nobody wants


@pytest.mark.anyio
@pytest.mark.parametrize("chunked", [False, True])
async def test_the_rest_of_an_unread_body_is_thrown_away(chunked: bool) -> None:
    talk = Talk(deaf)
    size = MAX_DRAINED - 10_000
    body = b"x" * size
    if chunked:
        await talk.says(CHUNKED, b"%x\r\n" % size, body, b"\r\n" + END + NEXT)
    else:
        await talk.says(head(f"POST / HTTP/1.1|host: a|content-length: {size}"), body[:-1], body[-1:] + NEXT)
    assert talk.statuses() == [413, 413]
    assert talk.open


@pytest.mark.anyio
async def test_a_long_body_that_nobody_wants_ends_the_connection() -> None:
    """And the client may go on sending for a while: a reset would take the answer with it."""
    talk = Talk(deaf)
    await talk.says(head(f"POST / HTTP/1.1|host: a|content-length: {MAX_DRAINED + 1}"))
    assert b"\r\nconnection: close\r\n" in talk.hears()
    assert talk.line.ended
    assert not talk.line.is_closing()
    await talk.says(*[b"x" * 100_000] * 5)
    await talk.waits(LIMITS.linger + 1)
    assert talk.line.aborted


@pytest.mark.anyio
async def test_chunks_that_nobody_wants_end_the_connection_when_they_are_too_many() -> None:
    talk = Talk(deaf)
    await talk.says(CHUNKED)
    assert talk.statuses() == [413]
    for _ in range(MAX_DRAINED // 10_000 + 2):
        await talk.says(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
    assert talk.line.ended


@pytest.mark.anyio
async def test_chunks_that_nobody_wants_and_that_break_end_the_connection_in_silence() -> None:
    talk = Talk(deaf)
    await talk.says(CHUNKED, b"zz\r\n")
    assert talk.statuses() == [413]
    assert talk.line.ended


@pytest.mark.anyio
async def test_a_body_that_nobody_wants_ends_the_connection_when_it_takes_too_long() -> None:
    talk = Talk(deaf)
    await talk.says(PART)
    assert talk.statuses() == [413]
    await talk.waits(LIMITS.drain - 1)
    assert talk.open
    await talk.waits(2)
    assert talk.line.ended


@pytest.mark.anyio
async def test_a_tls_line_has_no_half_end_and_lingers_all_the_same() -> None:
    talk = Talk(tls=True)
    await talk.says(b"\0")
    assert talk.statuses() == [400]
    assert not talk.line.is_closing()
    await talk.says(NEXT)
    await talk.waits(LIMITS.linger + 1)
    assert talk.line.aborted
    assert talk.recorder.taken == []


@pytest.mark.anyio
async def test_a_last_answer_may_be_taken_slowly() -> None:
    talk = Talk()
    await talk.says(b"\0")
    talk.line.unsent = 10
    await talk.waits(LIMITS.linger * 3)
    assert not talk.line.is_closing()
    talk.line.unsent = 0
    await talk.waits(LIMITS.linger)
    assert talk.line.aborted
