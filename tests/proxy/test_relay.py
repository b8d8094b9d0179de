"""Whole answers: bytes unchanged, headers ours and theirs, refusals in OpenAI's shape."""

import json

import pytest

from gateway.core.errors import UpstreamFault
from tests.fakes.upstream import JSON, ScriptedAnswer
from tests.proxy.rig import USAGE, chat, header, read, rig, whole

BROKEN = UpstreamFault("broke off", uncertain=True)


@pytest.mark.anyio
async def test_bytes_pass_as_they_came() -> None:
    body = b' {"choices":[], "big":123456789012345678901234567890,\n"usage":{"prompt_tokens":1,"completion_tokens":0}} '
    made = rig(ScriptedAnswer(pieces=[body[:7], body[7:]]))
    reply = await made.call(chat())
    assert reply.body == body


@pytest.mark.anyio
async def test_headers_of_both_sides() -> None:
    answer = whole()
    answer.headers = [
        *JSON, ("x-request-id", "up-1"), ("openai-processing-ms", "12"), ("x-ratelimit-remaining-tokens", "99"),
        ("set-cookie", "a=b"), ("connection", "x-secret-hop"), ("x-secret-hop", "1"), ("x-tollkeeper-cost-usd", "0"),
        ("retry-after", "3"),
    ]  # fmt: skip
    made = rig(answer)
    reply = await made.call(chat())
    got = dict(reply.headers)
    assert got["x-request-id"] == got["x-tollkeeper-call-id"] == made.record.facts.id
    assert got["x-upstream-request-id"] == "up-1"
    assert (got["x-tollkeeper-target"], got["x-tollkeeper-cache"]) == ("a/m", "off")
    assert float(got["x-tollkeeper-overhead-ms"]) >= 0
    assert got["x-ratelimit-remaining-tokens"] == got["x-upstream-ratelimit-remaining-tokens"] == "99"
    assert got["x-upstream-retry-after"] == "3"
    assert got["openai-processing-ms"] == "12"
    assert not {"set-cookie", "connection", "x-secret-hop"} & set(got)
    assert [value for name, value in reply.headers if name == "x-tollkeeper-cost-usd"] == ["0.003000000"]


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"null", b" null\n", b"  "])
async def test_nothing_in_a_200_is_an_error_with_a_row(body: bytes) -> None:
    """Known fault 71."""
    made = rig(ScriptedAnswer(pieces=[body]))
    reply = await made.call(chat())
    assert (reply.status, made.record.end, made.record.status) == (502, "failed", 502)
    assert json.loads(reply.body)["error"]["code"] == "upstream_error"


@pytest.mark.anyio
async def test_an_answer_that_is_no_json_passes_with_an_unknown_cost() -> None:
    made = rig(ScriptedAnswer(headers=[("content-type", "text/html")], pieces=[b"<html>"]))
    reply = await made.call(chat())
    assert (reply.status, reply.body) == (200, b"<html>")
    assert made.record.attempts[0].usage_basis == "estimated"


@pytest.mark.anyio
async def test_an_error_object_in_a_200_is_a_failed_call_that_cost_nothing() -> None:
    made = rig(ScriptedAnswer(pieces=[b'{"error":{"message":"overloaded"}}']))
    reply = await made.call(chat())
    assert (reply.status, made.record.end, made.record.cost_nano) == (200, "failed", 0)


@pytest.mark.anyio
async def test_an_answer_that_breaks_off_before_it_is_released() -> None:
    answer = ScriptedAnswer(pieces=[b'{"choices":', BROKEN])
    made = rig(answer)
    reply = await made.call(chat())
    assert (reply.status, header(reply, "x-should-retry")) == (502, "false")
    assert (made.record.end, made.record.attempts[0].usage_basis) == ("failed", "estimated")
    assert answer.closed


@pytest.mark.anyio
async def test_a_long_answer_is_relayed_as_it_comes_without_cost_in_its_headers() -> None:
    body = json.dumps({"data": ["x" * 5000], "usage": USAGE}).encode()
    answer = ScriptedAnswer(headers=[*JSON, ("content-length", str(len(body)))], pieces=[body[:3000], body[3000:]])
    made = rig(answer, buffer_answers=1000)
    reply = await made.call(chat())
    assert reply.rest is not None
    assert header(reply, "x-tollkeeper-cost-usd") is None
    assert header(reply, "content-length") == str(len(body))
    assert await read(reply) == body
    assert (made.record.end, made.record.usage.input, made.record.usage_basis) == ("completed", 1000, "provider")


@pytest.mark.anyio
async def test_the_last_byte_of_a_long_answer_is_released_when_the_row_is_written() -> None:
    body = b"x" * 5000
    made = rig(ScriptedAnswer(headers=[*JSON, ("content-length", "5000")], pieces=[body[:3000], body[3000:]]),
               buffer_answers=1000)  # fmt: skip
    reply = await made.call(chat())
    assert reply.rest is not None
    assert await reply.rest.next() == body[:3000]
    assert made.journal.records == []
    assert await reply.rest.next() == body[3000:]
    assert made.record.end == "completed"
    assert await reply.rest.next() == b""


@pytest.mark.anyio
async def test_a_refusal_of_ours_names_the_call() -> None:
    made = rig()
    reply = await made.call(b"{}")
    assert (reply.status, header(reply, "x-tollkeeper-call-id")) == (400, made.record.facts.id)
    assert json.loads(reply.body)["error"] == {
        "message": "`model` must be a non-empty text",
        "type": "invalid_request_error",
        "param": "model",
        "code": "invalid_request",
    }
    assert (made.record.end, made.record.attempts, made.record.cost_nano) == ("refused", (), 0)


@pytest.mark.anyio
async def test_a_stream_s_headers_come_once() -> None:
    answer = ScriptedAnswer(
        headers=[("content-type", "text/event-stream"), ("cache-control", "private"), ("x-accel-buffering", "yes"),
                 ("x-tollkeeper-simulated", "true")],
        pieces=[b"data: [DONE]\n\n"],
    )  # fmt: skip
    reply = await rig(answer).call(chat(stream=True))
    assert [value for name, value in reply.headers if name == "cache-control"] == ["no-cache"]
    assert [value for name, value in reply.headers if name == "x-accel-buffering"] == ["no"]
    assert header(reply, "x-tollkeeper-simulated") == "true"
