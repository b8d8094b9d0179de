"""Which target answers, and what is never tried again."""

import json

import pytest

from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.core.routing import Retries
from gateway.wire.openai import Endpoint
from tests.fakes.upstream import JSON, ScriptedAnswer
from tests.proxy.rig import COST, STUBBORN, A, B, alias, chat, error, header, read, rig, stream, whole

TWO = alias("fast", (B, "free"), (A, "m"))
UNREACHED = UpstreamFault("no connection", uncertain=False)
BROKEN = UpstreamFault("broke off", uncertain=True)
LATE = UpstreamFault("too late", uncertain=True, timeout=True)


@pytest.mark.anyio
async def test_the_target_s_model_name_and_our_headers_go_upstream() -> None:
    made = rig(whole(), aliases=alias("fast", (A, "m")))
    headers = {"openai-beta": "x", "cookie": "c", "x-tollkeeper-tags": "a=b", "x-forwarded-for": "1.2.3.4"}
    await made.call(chat("fast", seed=1), headers)
    (asked,) = made.upstream.asked
    assert json.loads(b"".join(asked.body)) == {**json.loads(chat("fast", seed=1)), "model": "m"}
    assert dict(asked.headers) == {"openai-beta": "x", "accept-encoding": "identity"}
    assert (asked.path, asked.stream, asked.client_key) == ("chat/completions", False, None)


@pytest.mark.anyio
@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 429, 500, 503])
async def test_the_next_target_answers_where_one_refuses(status: int) -> None:
    """Known faults 28, 40: both attempts stay in the books, grouped under one call."""
    made = rig(error(status), whole(), aliases=TWO)
    reply = await made.call(chat("fast"))
    assert (reply.status, header(reply, "x-tollkeeper-target")) == (200, "a/m")
    first, second = made.record.attempts
    assert (first.target, first.end, first.status, first.cost_nano) == ("b/free", "failed", status, 0)
    assert (second.target, second.end, second.cost_nano) == ("a/m", "completed", COST)
    assert [opened.index for opened in made.journal.openings] == [0, 1]
    assert made.record.cost_nano == COST
    assert (first.usage_basis, made.record.usage_basis) == ("none", "provider")


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_bad_request_is_bad_everywhere(status: int) -> None:
    made = rig(error(status, "bad field"), whole(), aliases=TWO)
    reply = await made.call(chat("fast"))
    assert reply.status == status
    assert b"bad field" in reply.body
    assert (made.record.end, made.record.status, len(made.record.attempts)) == ("failed", status, 1)


@pytest.mark.anyio
async def test_a_target_that_cannot_be_reached_costs_nothing() -> None:
    made = rig(UNREACHED, whole(), aliases=TWO)
    assert (await made.call(chat("fast"))).status == 200
    assert made.record.attempts[0].cost_nano == 0


@pytest.mark.anyio
@pytest.mark.parametrize(("fault", "status", "retry"), [(BROKEN, 502, "false"), (LATE, 504, "false")])
async def test_what_may_have_been_billed_is_not_repeated(fault: UpstreamFault, status: int, retry: str) -> None:
    """Known fault 40."""
    made = rig(fault, whole(), aliases=TWO)
    reply = await made.call(chat("fast"))
    assert (reply.status, header(reply, "x-should-retry")) == (status, retry)
    (attempt,) = made.record.attempts
    assert (attempt.usage_basis, attempt.usage.output) == ("estimated", None)
    assert len(made.upstream.asked) == 1


@pytest.mark.anyio
async def test_unless_the_settings_say_so() -> None:
    made = rig(BROKEN, whole(), aliases=TWO, retries=Retries(retry_uncertain=True))
    assert (await made.call(chat("fast"))).status == 200


@pytest.mark.anyio
async def test_one_attempt_budget_for_a_call() -> None:
    """Known fault 41."""
    many = alias("fast", *[(B, f"m{i}") for i in range(9)])
    made = rig(*[error(500) for _ in range(9)], aliases=many, retries=Retries(attempts=2))
    assert (await made.call(chat("fast"))).status == 500
    assert len(made.record.attempts) == 2


@pytest.mark.anyio
async def test_all_failed_gives_the_last_refusal_or_ours() -> None:
    made = rig(UNREACHED, error(503, "closed"), aliases=TWO)
    reply = await made.call(chat("fast"))
    assert (reply.status, b"closed" in reply.body) == (503, True)
    none = rig(error(503), UNREACHED, aliases=TWO)
    reply = await none.call(chat("fast"))
    assert (reply.status, header(reply, "x-should-retry")) == (502, "true")
    assert json.loads(reply.body)["error"]["code"] == "upstream_error"


@pytest.mark.anyio
@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_without_a_byte_is_a_failure(streamed: bool) -> None:
    """Known fault 71: status 200 and an empty body."""
    answer = stream() if streamed else ScriptedAnswer(headers=JSON)
    made = rig(answer)
    reply = await made.call(chat(stream=streamed))
    assert reply.status == 502
    assert made.record.end == "failed"
    assert answer.closed


@pytest.mark.anyio
async def test_usage_is_not_asked_where_that_is_refused() -> None:
    made = rig(stream(b"data: [DONE]\n\n"))
    await read(await made.call(chat("stubborn/m", stream=True)))
    assert "stream_options" not in json.loads(b"".join(made.upstream.asked[0].body))
    assert STUBBORN.quirks.refuses_stream_options


@pytest.mark.anyio
async def test_embeddings_are_not_asked_for_usage() -> None:
    answer = {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 500_000, "total_tokens": 500_000}}
    made = rig(ScriptedAnswer(pieces=[json.dumps(answer).encode()]))
    reply = await made.call(b'{"model":"a/e","input":"x","stream":true}', endpoint=Endpoint.EMBEDDINGS)
    assert json.loads(b"".join(made.upstream.asked[0].body)) == {"model": "e", "input": "x", "stream": True}
    assert header(reply, "x-tollkeeper-cost-usd") == "1.000000000"


@pytest.mark.anyio
async def test_an_error_body_that_breaks_off_or_never_ends() -> None:
    broken = ScriptedAnswer(status=500, pieces=[b'{"err', BROKEN])
    made = rig(broken)
    reply = await made.call(chat())
    assert (reply.status, reply.body, broken.closed) == (500, b"", True)
    endless = ScriptedAnswer(status=500, pieces=[b"x" * 600_000] * 9)
    made = rig(endless)
    assert len((await made.call(chat())).body) == 1024 * 1024
    assert endless.closed


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b'{"detail":[{"msg":"x"}]}', b"plain text", b"[1]", b'{"error":"Unauthorized"}'])
async def test_errors_of_any_shape_pass_as_they_came(body: bytes) -> None:
    made = rig(ScriptedAnswer(status=422, pieces=[body]))
    reply = await made.call(chat())
    assert (reply.status, reply.body) == (422, body)
    assert (made.record.error or "").startswith("422: ")


@pytest.mark.anyio
async def test_a_request_that_cannot_be_sent_is_refused_and_costs_nothing() -> None:
    made = rig(Fault(Kind.INVALID, "a header field has a line break"), whole(), aliases=TWO)
    reply = await made.call(chat("fast"))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "invalid_request")
    assert (made.record.end, made.record.cost_nano, len(made.upstream.asked)) == ("failed", 0, 1)
