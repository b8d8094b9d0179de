"""Every exit of the pipeline leaves a row and a settled ticket."""

import asyncio
import json
from typing import Any

import pytest

from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.proxy.pipeline import CLIENT_LEFT
from tests.fakes.journal import MemoryJournal
from tests.fakes.upstream import HANG, ScriptedAnswer
from tests.proxy.rig import Rig, chat, error, header, read, rig, stream, whole


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("made", "body", "status", "end"),
    [
        (rig(whole()), chat(), 200, "completed"),
        (rig(error(400)), chat(), 400, "failed"),
        (rig(error(429)), chat(), 429, "failed"),
        (rig(UpstreamFault("x", uncertain=False)), chat(), 502, "failed"),
        (rig(UpstreamFault("x", uncertain=True, timeout=True)), chat(), 504, "failed"),
        (rig(), b"not json", 400, "refused"),
        (rig(), chat("unknown-model"), 404, "refused"),
        (rig(), chat("b/unpriced"), 403, "refused"),
        (rig(RuntimeError("a fault of ours")), chat(), 500, "failed"),
    ],
    ids=lambda value: str(value)[:20] if not isinstance(value, Rig) else "",
)
async def test_every_exit_leaves_one_row(made: Rig, body: bytes, status: int, end: str) -> None:
    """Known faults 70, 71, 72: no path ends without a status, a row and OpenAI's error shape."""
    if b"unpriced" in body:
        made = rig(refuse_unpriced=True)
    reply = await made.call(body)
    assert (reply.status, made.record.end, made.record.status) == (status, end, status)
    if status != 200:
        told = json.loads(reply.body)["error"]
        assert set(told) == {"message", "type", "param", "code"}
        assert all(isinstance(told[name], str) for name in ("message", "type", "code"))


@pytest.mark.anyio
async def test_a_fault_of_ours_is_told_to_the_operator_not_to_the_client() -> None:
    made = rig(RuntimeError("secret detail"))
    reply = await made.call(chat())
    assert [str(crash) for crash in made.crashes] == ["secret detail"]
    assert b"secret detail" not in reply.body
    assert made.record.attempts[0].end == "failed"


@pytest.mark.anyio
async def test_who_is_not_recognised_leaves_no_row() -> None:
    made = rig()
    with pytest.raises(Fault) as refused:
        await made.call(chat(), {"authorization": "Bearer tk-wrong"})
    assert refused.value.kind is Kind.BAD_KEY
    assert (made.journal.records, made.journal.open_calls) == ([], set())


@pytest.mark.anyio
async def test_without_room_in_the_journal_nothing_is_asked() -> None:
    made = rig(whole(), journal=MemoryJournal(room=0))
    with pytest.raises(Fault) as refused:
        await made.call(chat())
    assert (refused.value.kind, refused.value.retry_after) == (Kind.UNAVAILABLE, 1.0)
    assert made.upstream.asked == []


async def cancelled(made: Rig, body: bytes, answer: ScriptedAnswer, message: str | None) -> None:
    task = asyncio.ensure_future(made.call(body))
    await asyncio.wait_for(answer.waiting.wait(), 5)
    task.cancel(message) if message else task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await made.settle.finish()


@pytest.mark.anyio
@pytest.mark.parametrize(("message", "end"), [(CLIENT_LEFT, "cut_by_client"), (None, "interrupted")])
@pytest.mark.parametrize("pieces", [[HANG], [b'{"choices":[', HANG]])
async def test_a_call_that_is_cancelled_is_settled(message: str | None, end: str, pieces: list[Any]) -> None:
    """Known faults 2, 3, 42: hanging up is a billable end, and nothing stays open."""
    answer = ScriptedAnswer(pieces=pieces)
    made = rig(answer)
    await cancelled(made, chat(), answer, message)
    assert answer.closed
    assert (made.record.end, made.record.status) == (end, None)
    (attempt,) = made.record.attempts
    assert (attempt.end, attempt.usage_basis, attempt.usage.input) == (end, "estimated", 10)


@pytest.mark.anyio
async def test_a_stream_cancelled_before_its_first_byte() -> None:
    answer = stream(HANG)
    made = rig(answer)
    await cancelled(made, chat(stream=True), answer, CLIENT_LEFT)
    assert answer.closed
    assert made.record.end == "cut_by_client"


@pytest.mark.anyio
async def test_a_client_that_leaves_while_it_sends() -> None:
    made = rig()

    async def leaves(limit: int) -> bytes:
        raise asyncio.CancelledError(CLIENT_LEFT)

    with pytest.raises(asyncio.CancelledError):
        await made.call(b"", read_body=leaves)
    await made.settle.finish()
    assert (made.record.end, made.record.attempts) == ("cut_by_client", ())


@pytest.mark.anyio
async def test_retry_after_reaches_the_client() -> None:
    made = rig()

    async def full(limit: int) -> bytes:
        raise Fault(Kind.UNAVAILABLE, "full", retry_after=2.5)

    reply = await made.call(b"", read_body=full)
    assert (reply.status, header(reply, "retry-after"), header(reply, "x-should-retry")) == (503, "2.5", "true")


@pytest.mark.anyio
async def test_a_reply_can_be_read_again_after_its_end() -> None:
    reply = await rig(stream(b"data: [DONE]\n\n")).call(chat(stream=True))
    await read(reply)
    assert await read(reply) == b""
