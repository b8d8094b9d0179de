"""Applications that fail, and clients that leave: what the other side gets, and what the log."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.server.exchange import Application, Receive, Send
from gateway.server.limits import MAX_DRAINED
from tests.server.applications import START, UNFRAMED, body, sending
from tests.server.corpus import NEXT, head
from tests.server.talk import Talk, answer


async def nothing(scope: Any, receive: Receive, send: Send) -> None:
    pass


async def failing(scope: Any, receive: Receive, send: Send) -> None:
    raise RuntimeError("ours")


@pytest.mark.anyio
@pytest.mark.parametrize("application", [nothing, failing, sending(body(b"ok")), sending({"type": "http.nonsense"})])
async def test_no_answer_at_all_is_a_500_and_one_line_of_the_log(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    talk = Talk(application)
    await talk.says(NEXT)
    said = talk.hears()
    assert said.startswith(b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n")
    assert b"\r\nconnection: close\r\n" in said
    assert said.endswith(b'"code": "internal"}}')
    assert b"ours" not in said
    assert not talk.open
    assert len(caplog.records) == 1


@pytest.mark.anyio
async def test_no_answer_to_a_request_that_still_comes_reaches_its_client(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(failing)
    await talk.says(head("POST / HTTP/1.1|host: a|content-length: 1000000"), b"x" * 1000)
    assert talk.statuses() == [500]
    assert talk.line.ended, "closed, it would be reset"


@pytest.mark.anyio
@pytest.mark.parametrize("start", [START, UNFRAMED])
async def test_an_answer_without_its_end_cuts_the_line(start: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Told apart from a whole one by nothing else. On purpose, so without a word in the log."""
    talk = Talk(sending(start, body(b"o", more=True)))
    await talk.says(NEXT)
    assert talk.line.aborted
    assert caplog.records == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "messages",
    [
        [START, START],
        [START, body(b"okay")],
        [START, body(b"o")],
        [START, body(b"o", more=True), body(b"kay")],
        [START, body(b"o", more=True), {"type": "http.nonsense"}],
    ],
)
async def test_a_false_answer_cuts_the_line(
    messages: Sequence[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    talk = Talk(sending(*messages))
    await talk.says(NEXT)
    assert talk.line.aborted
    assert len(caplog.records) == 1
    assert b"okay" not in talk.hears()


@pytest.mark.anyio
async def test_what_goes_wrong_after_an_answer_does_not_touch_it(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(sending(START, body(b"ok"), body(b"more")))
    await talk.says(NEXT + NEXT)
    assert talk.statuses() == [200, 200]
    assert talk.open
    assert len(caplog.records) == 2


class DisconnectedError(Exception):
    """What a framework makes of it."""


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [None, DisconnectedError, RuntimeError])
async def test_a_client_that_has_left_is_nothing_to_log(
    fault: type[Exception] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Unlike what goes wrong beside it."""

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        if fault is RuntimeError:
            raise RuntimeError("a fault of its own")
        try:
            await answer(send, b"ok")
        except OSError:
            if fault is None:
                raise
            raise fault  # noqa: B904 - as Starlette does

    talk = Talk(application)
    await talk.says(NEXT)
    await talk.ends()
    assert len(caplog.records) == int(fault is RuntimeError)
    assert talk.service.running == set()


@pytest.mark.anyio
async def test_a_cancelled_request_cuts_the_line() -> None:
    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    talk = Talk(application)
    await talk.says(NEXT)
    (exchange,) = talk.service.running
    assert exchange.task is not None
    exchange.task.cancel()
    await talk.rest()
    assert talk.line.aborted
    assert talk.service.running == set()


@pytest.mark.anyio
async def test_a_body_too_long_to_be_thrown_away_is_told_to_the_client_in_time() -> None:
    talk = Talk(sending(START, body(b"no")))
    await talk.says(head(f"POST / HTTP/1.1|host: a|content-length: {MAX_DRAINED + 1}"))
    assert b"connection: close" in talk.hears()
