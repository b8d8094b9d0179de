"""The provider that costs nothing: OpenAI's exact shape, faults on demand, the same answers for the same seed."""

import asyncio
from base64 import b64decode
from typing import Any

import orjson
import pytest

from gateway.core.errors import UpstreamFault
from gateway.core.routing import Provider, Retries, Target
from gateway.ports import UpstreamRequest
from gateway.providers.simulated import SimulatedAnswer, SimulatedUpstream, Simulation
from tests.fakes.clock import START, FakeClock

pytestmark = pytest.mark.anyio

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How many calls passed?"}]}


def instant(**behaviour: Any) -> SimulatedUpstream:
    """An upstream that waits for nothing."""
    simulation = Simulation(**({"ttft": 0.0, "itl": 0.0, "jitter": 0.0, "output_tokens": 20} | behaviour))
    return SimulatedUpstream({"sim": simulation}, FakeClock())


def request(body: object, path: str = "chat/completions") -> UpstreamRequest:
    target = Target(Provider("sim", "simulated", at_home=False), "gpt-4o")
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return UpstreamRequest(target, path, [], (data,), b'"stream":true' in data, None)


async def ask(upstream: SimulatedUpstream, body: object, path: str = "chat/completions") -> SimulatedAnswer:
    return await upstream.ask(request(body, path), Retries())


async def drain(answer: SimulatedAnswer) -> bytes:
    data = b""
    while part := await answer.read():
        data += part
    return data


def events(data: bytes) -> list[Any]:
    """The JSON of an SSE stream, without its `[DONE]`."""
    assert data.endswith(b"data: [DONE]\n\n")
    return [orjson.loads(line[6:]) for line in data.split(b"\n\n")[:-2]]


async def test_a_whole_chat_answer_has_openais_shape_and_says_that_it_is_simulated() -> None:
    answer = await ask(instant(), CHAT)
    data = await drain(answer)
    body = orjson.loads(data)
    headers = dict(answer.headers)

    assert answer.status == 200
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(data))
    assert headers["x-tollkeeper-simulated"] == "true"
    assert body["id"].startswith("chatcmpl-sim")
    assert body["system_fingerprint"] == "simulated"
    assert body["object"] == "chat.completion"
    assert body["created"] == START.timestamp()
    assert body["model"] == "gpt-4o"
    [choice] = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].startswith("This is a simulated answer:")
    assert body["usage"]["completion_tokens"] == 20
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 20


async def test_a_stream_goes_role_words_finish_usage_done() -> None:
    answer = await ask(instant(), CHAT | {"stream": True, "stream_options": {"include_usage": True}})
    parts = events(await drain(answer))

    assert dict(answer.headers)["content-type"].startswith("text/event-stream")
    assert parts[0]["choices"][0]["delta"]["role"] == "assistant"
    assert all(set(part["choices"][0]["delta"]) == {"content"} for part in parts[1:-2])
    assert len(parts[1:-2]) == 20
    assert parts[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert parts[-1]["choices"] == []
    assert parts[-1]["usage"]["completion_tokens"] == 20
    assert all(part["usage"] is None for part in parts[:-1])
    assert {part["object"] for part in parts} == {"chat.completion.chunk"}
    assert len({part["id"] for part in parts}) == 1


async def test_a_stream_tells_its_usage_only_if_asked() -> None:
    parts = events(await drain(await ask(instant(), CHAT | {"stream": True})))

    assert all("usage" not in part for part in parts)
    assert parts[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_stream_and_a_whole_answer_of_the_same_call_bill_the_same() -> None:
    """Known fault 7: one accounting for both ways."""
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = events(await drain(await ask(instant(), CHAT | stream)))[-1]["usage"]
    whole = orjson.loads(await drain(await ask(instant(), CHAT)))["usage"]

    assert streamed == whole


async def test_legacy_completions_stream_text() -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "Say", "stream": True}
    parts = events(await drain(await ask(instant(), body, "completions")))

    assert parts[0]["id"].startswith("cmpl-sim")
    assert "".join(part["choices"][0]["text"] for part in parts).startswith("This is a simulated answer:")
    assert parts[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_on_output_is_kept_and_shown(field: str) -> None:
    body = orjson.loads(await drain(await ask(instant(), CHAT | {field: 7})))

    assert body["usage"]["completion_tokens"] == 7
    assert body["choices"][0]["finish_reason"] == "length"


async def test_a_reasoning_model_thinks_within_the_limit() -> None:
    body = orjson.loads(await drain(await ask(instant(), CHAT | {"model": "o3-mini", "max_completion_tokens": 100})))
    usage = body["usage"]

    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"] <= 100


async def test_a_long_prompt_is_sometimes_read_from_the_cache() -> None:
    upstream = instant()
    long = CHAT | {"messages": [{"role": "user", "content": "word " * 2000}]}
    cached = [
        orjson.loads(await drain(await ask(upstream, long)))["usage"]["prompt_tokens_details"]["cached_tokens"]
        for _ in range(20)
    ]

    assert 0 in cached
    assert max(cached) > 0
    assert all(count % 128 == 0 for count in cached)


async def test_every_choice_is_written_and_counted() -> None:
    stream = {"n": 3, "stream": True, "stream_options": {"include_usage": True}}
    parts = events(await drain(await ask(instant(), CHAT | stream)))
    whole = orjson.loads(await drain(await ask(instant(), CHAT | {"n": 3})))

    assert {choice["index"] for part in parts for choice in part["choices"]} == {0, 1, 2}
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert whole["usage"] == parts[-1]["usage"]
    assert whole["usage"]["completion_tokens"] == 60


async def test_embeddings_come_as_floats_or_base64_for_each_text() -> None:
    body = {"model": "text-embedding-3-small", "input": ["one", "two"], "dimensions": 8}
    floats = orjson.loads(await drain(await ask(instant(), body, "embeddings")))
    packed = orjson.loads(await drain(await ask(instant(), body | {"encoding_format": "base64"}, "embeddings")))

    assert [len(item["embedding"]) for item in floats["data"]] == [8, 8]
    assert [len(b64decode(item["embedding"])) for item in packed["data"]] == [32, 32]
    assert floats["usage"]["prompt_tokens"] == floats["usage"]["total_tokens"] > 0
    assert "completion_tokens" not in floats["usage"]


@pytest.mark.parametrize("given", ["one text", [5, 6, 7], [[5, 6], [7]]])
async def test_embeddings_take_every_form_of_input(given: object) -> None:
    body = {"model": "text-embedding-3-small", "input": given, "dimensions": 2}
    answer = orjson.loads(await drain(await ask(instant(), body, "embeddings")))

    assert len(answer["data"]) == (2 if given == [[5, 6], [7]] else 1)


async def test_the_model_list_is_a_setting() -> None:
    listing = orjson.loads(instant(models=("a", "b")).listing("sim"))

    assert listing["object"] == "list"
    assert [model["id"] for model in listing["data"]] == ["a", "b"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model": 3}', b'{"messages": []}'])
async def test_a_body_that_is_none_is_refused_in_openais_shape(body: bytes) -> None:
    answer = await ask(instant(), body)

    assert answer.status == 400
    assert isinstance(orjson.loads(await drain(answer))["error"]["message"], str)


@pytest.mark.parametrize("messages", [None, "text", [], [None], [{"content": None}], [{"content": [{"type": "text"}]}]])
async def test_odd_messages_are_answered(messages: object) -> None:
    answer = await ask(instant(), {"model": "m", "messages": messages})

    assert answer.status == 200
    assert orjson.loads(await drain(answer))["usage"]["prompt_tokens"] >= 1


async def test_an_unknown_path_is_404() -> None:
    assert (await ask(instant(), CHAT, "images/generations")).status == 404


async def test_faults_come_in_the_share_that_was_set_and_in_three_ways() -> None:
    upstream = instant(errors=0.3)
    answers = [await ask(upstream, CHAT) for _ in range(1000)]
    limited = next(answer for answer in answers if answer.status == 429)
    failed = next(answer for answer in answers if answer.status == 500)
    broken = 0
    for answer in answers:
        try:
            await drain(answer)
        except UpstreamFault:
            broken += 1

    assert dict(limited.headers)["retry-after"] == "1"
    assert dict(failed.headers)["x-tollkeeper-simulated"] == "true"
    statuses = [answer.status for answer in answers]
    assert all(60 < count < 140 for count in (statuses.count(429), statuses.count(500), broken))


@pytest.mark.parametrize("stream", [True, False])
async def test_a_broken_line_delivers_something_and_then_raises(stream: bool) -> None:
    upstream = instant(errors=1.0)
    answers = [await ask(upstream, CHAT | {"stream": stream}) for _ in range(20)]
    broken = [answer for answer in answers if answer.status == 200]

    assert broken
    for answer in broken:
        assert await answer.read()
        with pytest.raises(UpstreamFault) as line:
            await drain(answer)
        assert line.value.uncertain


async def test_the_same_seed_call_and_body_give_the_same_bytes() -> None:
    wild: dict[str, Any] = {"jitter": 1.0, "errors": 0.0}

    async def series(seed: int) -> list[bytes]:
        upstream = instant(seed=seed, **wild)
        return [await drain(await ask(upstream, CHAT | {"stream": True})) for _ in range(10)]

    first, again, other = await series(1), await series(1), await series(2)
    assert first == again
    assert first != other
    assert len(set(first)) > 1


async def test_time_to_first_token_and_between_tokens_pass() -> None:
    upstream = instant(ttft=0.06, itl=0.005, output_tokens=10)
    loop = asyncio.get_running_loop()
    start = loop.time()
    answer = await ask(upstream, CHAT | {"stream": True})
    head = loop.time() - start
    await drain(answer)
    whole = loop.time() - start

    assert head >= 0.05
    assert head + 9 * 0.005 <= whole


async def test_an_answer_slower_than_the_call_may_last_is_a_timeout() -> None:
    upstream = instant(ttft=60.0)
    with pytest.raises(UpstreamFault) as late:
        await upstream.ask(request(CHAT), Retries(timeout=0.01))
    assert (late.value.kind, late.value.uncertain) == ("upstream_timeout", True)


async def test_a_stream_that_stalls_is_a_timeout() -> None:
    upstream = instant(itl=60.0)
    answer = await upstream.ask(request(CHAT | {"stream": True}), Retries(idle_timeout=0.01))
    with pytest.raises(UpstreamFault) as stalled:
        await drain(answer)
    assert stalled.value.kind == "upstream_timeout"


async def test_close_ends_a_read_that_waits_and_may_be_repeated() -> None:
    answer = await ask(instant(itl=60.0), CHAT | {"stream": True})
    assert await answer.read()
    assert await answer.read()
    waiting = asyncio.create_task(answer.read())
    await asyncio.sleep(0)
    answer.close()
    answer.close()

    with pytest.raises(UpstreamFault):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(UpstreamFault):
        await answer.read()
