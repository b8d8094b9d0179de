"""Streams: bytes unchanged and unbuffered, metered beside, settled once whatever happens."""

import asyncio
import json
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.calls import CallRecord, End
from gateway.core.errors import UpstreamFault
from gateway.core.usage import Basis
from gateway.proxy.streams import gaps
from tests.fakes.clock import FakeClock
from tests.fakes.upstream import EVENTS, HANG, ScriptedAnswer
from tests.proxy.rig import COST, DONE, USAGE, chat, event, header, read, rig, stream, whole

TEXT = [event("four"), event(" five"), event(" six", finish="stop")]
BROKEN = UpstreamFault("broke off", uncertain=True)


@pytest.mark.anyio
async def test_every_byte_passes_but_the_event_that_the_client_did_not_ask_for() -> None:
    """Known fault 10: the extra event is taken out again."""
    made = rig(stream(*TEXT, event(usage=USAGE), DONE))
    reply = await made.call(chat(stream=True))
    assert await read(reply) == b"".join([*TEXT, DONE])
    assert (made.record.end, made.record.cost_nano, made.record.usage_basis) == ("completed", COST, "provider")
    assert json.loads(b"".join(made.upstream.asked[0].body))["stream_options"] == {"include_usage": True}


@pytest.mark.anyio
async def test_a_client_that_asked_for_usage_gets_it() -> None:
    made = rig(stream(*TEXT, event(usage=USAGE), DONE))
    reply = await made.call(chat(stream=True, stream_options={"include_usage": True}))
    assert await read(reply) == b"".join([*TEXT, event(usage=USAGE), DONE])


@pytest.mark.anyio
async def test_other_events_without_choices_stay() -> None:
    azure = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
    made = rig(stream(azure, b": ping\n\n", *TEXT, DONE))
    assert await read(await made.call(chat(stream=True))) == b"".join([azure, b": ping\n\n", *TEXT, DONE])


@pytest.mark.anyio
async def test_events_leave_as_they_come() -> None:
    made = rig(stream(TEXT[0], HANG))
    reply = await made.call(chat(stream=True))
    assert reply.rest is not None
    assert await reply.rest.next() == TEXT[0]
    reply.rest.abandon(End.CUT_BY_CLIENT, "left")
    await made.settle.finish()


@pytest.mark.anyio
async def test_streamed_and_whole_cost_the_same() -> None:
    """Known faults 7, 8: the same request, stream on and off, the same cost."""
    one, other = rig(whole("four five six")), rig(stream(*TEXT, event(usage=USAGE), DONE))
    await one.call(chat())
    await read(await other.call(chat(stream=True)))
    assert one.record.usage == other.record.usage
    assert one.record.cost_nano == other.record.cost_nano == COST


@pytest.mark.anyio
async def test_tokens_are_counted_after_the_bytes_have_gone_and_only_if_nobody_stated_them() -> None:
    """Known fault 11: counting must not slow a stream."""
    stated, silent = rig(stream(*TEXT, event(usage=USAGE), DONE)), rig(stream(*TEXT, DONE))
    await read(await stated.call(chat(stream=True)))
    assert stated.tokenizer.asked == []
    reply = await silent.call(chat(stream=True))
    assert reply.rest is not None
    for piece in TEXT:
        assert await reply.rest.next() == piece
        assert silent.tokenizer.asked == []
    assert await reply.rest.next() == DONE
    assert len(silent.tokenizer.asked) == 1


WHOLE_STREAM = b"".join([*TEXT, event(usage=USAGE), DONE])


@given(st.lists(st.integers(1, len(WHOLE_STREAM) - 1), max_size=12, unique=True))
def test_any_split_into_reads_gives_the_same_record(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE_STREAM)]
    pieces = [WHOLE_STREAM[start:end] for start, end in zip(places, places[1:], strict=False)]

    async def run() -> tuple[bytes, CallRecord]:
        made = rig(stream(*pieces))
        return await read(await made.call(chat(stream=True))), made.record

    body, record = asyncio.run(run())
    assert body == b"".join([*TEXT, DONE])
    assert (record.end, record.cost_nano, record.status) == ("completed", COST, 200)


def cut_by_client(pieces: list[bytes], after: int) -> CallRecord:
    async def run() -> CallRecord:
        answer = stream(*pieces)
        made = rig(answer)
        reply = await made.call(chat(stream=True))
        assert reply.rest is not None
        for _ in range(after):
            await reply.rest.next()
        reply.rest.abandon(End.CUT_BY_CLIENT, "the client left")
        await made.settle.finish()
        assert answer.closed
        return made.record

    return asyncio.run(run())


@pytest.mark.parametrize("after", range(5))
def test_a_cut_at_any_chunk_leaves_a_row_with_a_basis(after: int) -> None:
    """Known faults 1, 2, 4, 5, 13: a cut stream always leaves a row with tokens, a cost and how they are known."""
    record = cut_by_client([*TEXT, event(usage=USAGE), DONE], after)
    if after >= 4:
        assert (record.end, record.usage_basis, record.cost_nano) == ("completed", "provider", COST)
        return
    (attempt,) = record.attempts
    assert (record.end, attempt.usage_basis, attempt.tokenizer) == ("cut_by_client", Basis.ESTIMATED, "words")
    assert attempt.usage.output == (after or None)
    assert attempt.cost_nano == (10 * 2 + after * 10) * 1000


@given(st.integers(0, 40))
def test_a_cut_after_any_chunk_of_a_long_stream(after: int) -> None:
    record = cut_by_client([event(f"w{n} ") for n in range(40)], after)
    assert record.end == "cut_by_client"
    assert record.usage.output == (after or None)


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([*TEXT[:2]], "ended its stream in the middle"),
        ([*TEXT[:2], BROKEN], "upstream_error: broke off"),
        ([*TEXT[:2], b'data: {"error":{"code":"overloaded","message":"m"}}\n\n'], "overloaded: m"),
        ([*TEXT[:2], DONE], "ended its stream in the middle"),
    ],
)
@pytest.mark.anyio
async def test_streams_that_the_upstream_cuts(pieces: list[Any], error: str) -> None:
    made = rig(stream(*pieces))
    body = await read(await made.call(chat(stream=True)))
    assert body.startswith(b"".join(TEXT[:2]))
    assert made.record.end == "cut_by_upstream"
    assert error in (made.record.error or "")
    assert (made.record.usage.output, made.record.usage_basis) == (2, "estimated")


@pytest.mark.anyio
async def test_a_broken_line_ends_with_one_error_event_and_no_done() -> None:
    made = rig(stream(TEXT[0], TEXT[1][:9], BROKEN))
    body = await read(await made.call(chat(stream=True)))
    assert body.startswith(TEXT[0] + b'data: {"error":')
    assert b"[DONE]" not in body
    error = json.loads(body.removeprefix(TEXT[0])[6:])["error"]
    assert (error["code"], error["type"]) == ("upstream_error", "api_error")


@pytest.mark.anyio
async def test_a_stream_without_done_is_whole_if_it_says_so() -> None:
    """transformers: usage in the last delta, then the line just ends."""
    last = event(" six", finish="stop", usage=USAGE)
    made = rig(stream(*TEXT[:2], last))
    assert await read(await made.call(chat(stream=True))) == b"".join([*TEXT[:2], last])
    assert (made.record.end, made.record.cost_nano) == ("completed", COST)


@pytest.mark.anyio
async def test_a_last_event_without_its_blank_line_is_read_and_passed() -> None:
    last = event(" six", finish="stop", usage=USAGE).rstrip()
    made = rig(stream(*TEXT[:2], last))
    assert (await read(await made.call(chat(stream=True)))).endswith(last)
    assert made.record.cost_nano == COST


@pytest.mark.anyio
async def test_usage_that_does_not_cover_all_text_is_estimated_upwards() -> None:
    growing = [event(f"w{n} ", usage={"prompt_tokens": 9, "completion_tokens": n + 1}) for n in range(3)]
    made = rig(stream(*growing, event("late words here"), BROKEN))
    await read(await made.call(chat(stream=True)))
    assert (made.record.usage.input, made.record.usage.output) == (9, 6)
    assert made.record.usage_basis == "estimated"


@pytest.mark.anyio
async def test_growing_usage_is_the_provider_s_word_where_a_stream_is_cut() -> None:
    growing = [event(f"w{n} ", usage={"prompt_tokens": 9, "completion_tokens": n + 1}) for n in range(3)]
    made = rig(stream(*growing, BROKEN))
    await read(await made.call(chat(stream=True)))
    assert (made.record.usage.output, made.record.usage_basis) == (3, "provider")


@pytest.mark.anyio
@pytest.mark.parametrize("done", [DONE, b""])
async def test_the_cost_comment_for_who_asks(done: bytes) -> None:
    made = rig(stream(*TEXT, event(usage=USAGE), done or HANG) if done else stream(*TEXT, event(usage=USAGE)))
    reply = await made.call(chat(stream=True), {"x-tollkeeper-stream-cost": "on"})
    body = await read(reply)
    comment = body.removeprefix(b"".join(TEXT)).removesuffix(done)
    assert comment.startswith(b": tollkeeper {")
    assert comment.endswith(b"}\n\n")
    told = json.loads(comment[len(b": tollkeeper ") :])
    assert (told["cost_usd"], told["usage_basis"], told["usage"]["output"]) == ("0.003000000", "provider", 100)
    assert told["call_id"] == header(reply, "x-tollkeeper-call-id")


@pytest.mark.anyio
async def test_the_row_is_written_before_done_is_released() -> None:
    made = rig(stream(*TEXT, event(usage=USAGE), DONE, HANG))
    reply = await made.call(chat(stream=True))
    assert reply.rest is not None
    while (out := await reply.rest.next()) != DONE:
        assert out
        assert made.journal.records == []
    assert made.record.end == "completed"


@pytest.mark.anyio
async def test_an_upstream_that_never_ends_after_done_is_let_go() -> None:
    answer = stream(*TEXT, DONE, HANG)
    made = rig(answer)
    assert await read(await made.call(chat(stream=True))) == b"".join([*TEXT, DONE])
    assert answer.closed


@pytest.mark.anyio
async def test_timings_of_a_stream() -> None:
    """Known fault 15: the first content-bearing event is stamped, nothing else."""
    clock = FakeClock()
    answer = ScriptedAnswer(
        headers=EVENTS,
        clock=clock,
        connect_ms=3.0,
        pieces=[
            event(""), 0.1, b'data: {"choices":[{"delta":{"reasoning":"hm"}}]}\n\n', 0.1, TEXT[0], 0.05, TEXT[1],
            0.02, TEXT[2], 0.01, event(usage=USAGE), DONE,
        ],
    )  # fmt: skip
    made = rig(answer, clock=clock)
    await read(await made.call(chat(stream=True)))
    timings = made.record.timings
    assert timings.first_reasoning_ms == pytest.approx(100)
    assert timings.ttft_ms == pytest.approx(200)
    assert timings.duration_ms == pytest.approx(280)
    assert timings.itl_p50_ms == pytest.approx(50)
    assert timings.itl_max_ms == pytest.approx(100)
    assert (timings.connect_ms, timings.overhead_ms) == (3.0, 0.0)
    assert timings.output_tokens_per_second == pytest.approx(100 / 0.08)


@pytest.mark.anyio
async def test_whole_answers_have_no_first_token() -> None:
    made = rig(whole())
    await made.call(chat())
    timings = made.record.timings
    assert (timings.ttft_ms, timings.itl_p50_ms, timings.output_tokens_per_second) == (None, None, None)


def test_gaps_between_events() -> None:
    assert gaps(array("d", [1.0])) == (None, None, None)
    assert gaps(array("d", [1.0, 1.5])) == pytest.approx((500, 500, 500))
    assert gaps(array("d", [0.0, 0.01, 0.02, 1.02])) == pytest.approx((10, 1000, 1000))
