"""The official Python SDK with only its base URL changed: everything people do with it works."""

import json
from base64 import b64encode
from collections.abc import Iterator
from struct import pack
from threading import Event
from typing import Any

import anyio
import openai
import pytest
from pydantic import BaseModel

from tests.e2e.gateway import Served
from tests.e2e.upstream import (
    COST,
    DONE,
    END,
    EVENTS,
    PATIENCE,
    USAGE,
    Line,
    Request,
    Upstream,
    answers,
    chunk,
    completion,
    event,
    hello,
    streams,
    whole,
)

ASK: Any = [{"role": "user", "content": "What is the toll?"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_toll", "parameters": {"type": "object", "properties": {"wheels": {"type": "integer"}}}},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_toll", "arguments": '{"wheels": 2}'}}


@pytest.fixture
def client(gateway: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.v1, api_key="sk-of-the-client", max_retries=0, timeout=PATIENCE) as sdk:
        yield sdk


def test_a_chat(gateway: Served, upstream: Upstream, client: openai.OpenAI) -> None:
    upstream.plays("py-chat", answers(whole(completion())))
    said = client.chat.completions.create(model="up/py-chat", messages=ASK, user="u1", metadata={"feature": "toll"})
    assert said.choices[0].message.content == "four pennies"
    assert said.usage is not None
    assert said.usage.total_tokens == 1100
    row = gateway.row(model="up/py-chat")
    assert (row["end"], row["cost_usd"], row["usage_basis"]) == ("completed", COST, "provider")
    assert (row["end_user"], row["labels"]) == ("u1", {"feature": "toll"})
    assert row["timings"]["ttft_ms"] is None


def test_the_provider_gets_what_the_sdk_sent(upstream: Upstream, client: openai.OpenAI) -> None:
    """Unknown fields pass; the client's own provider key goes on, since the provider has none configured."""
    upstream.plays("py-sent", answers(whole(completion())))
    extra = {"top_k": 7, "nested": {"a": [1, 2.50, None]}}
    client.chat.completions.create(
        model="up/py-sent", messages=ASK, temperature=0.25, extra_body=extra, extra_headers={"x-own": "1"}
    )
    (asked,) = upstream.asked("py-sent")
    assert asked.json == {"model": "py-sent", "messages": ASK, "temperature": 0.25, **extra}
    assert asked.header("authorization") == "Bearer sk-of-the-client"
    assert asked.header("x-own") == "1"
    assert asked.header("accept-encoding") == "identity"
    assert asked.path == "/v1/chat/completions"


def test_a_raw_response_tells_what_the_call_cost(gateway: Served, upstream: Upstream, client: openai.OpenAI) -> None:
    upstream.plays(
        "py-raw", answers(whole(completion(), fields="x-request-id: req-7\r\nx-ratelimit-limit-requests: 9\r\n"))
    )
    raw = client.chat.completions.with_raw_response.create(model="up/py-raw", messages=ASK)
    assert raw.parse().choices[0].message.content == "four pennies"
    headers = raw.headers
    assert headers["x-tollkeeper-cost-usd"] == COST
    assert headers["x-tollkeeper-usage-basis"] == "provider"
    assert headers["x-tollkeeper-target"] == "up/py-raw"
    assert headers["x-tollkeeper-cache"] == "off"
    assert float(headers["x-tollkeeper-overhead-ms"]) < 1000
    assert headers["x-upstream-request-id"] == "req-7"
    assert headers["x-ratelimit-limit-requests"] == headers["x-upstream-ratelimit-limit-requests"] == "9"
    assert raw.request_id == headers["x-tollkeeper-call-id"] == headers["x-request-id"]
    assert gateway.call_of(headers["x-tollkeeper-call-id"])["attempts"][0]["upstream_request_id"] == "req-7"


def test_a_stream(gateway: Served, upstream: Upstream, client: openai.OpenAI) -> None:
    """Usage is asked for on the client's behalf, counted, and taken out again."""
    upstream.plays("py-stream", hello())
    with client.chat.completions.create(model="up/py-stream", messages=ASK, stream=True) as stream:
        chunks = list(stream)
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == "four pennies"
    assert all(one.usage is None and one.choices for one in chunks)
    (asked,) = upstream.asked("py-stream")
    assert asked.json["stream_options"] == {"include_usage": True}
    row = gateway.row(model="up/py-stream")
    assert (row["end"], row["cost_usd"], row["usage_basis"], row["stream"]) == ("completed", COST, "provider", True)
    assert row["timings"]["ttft_ms"] > 0


def test_a_stream_with_usage(upstream: Upstream, client: openai.OpenAI) -> None:
    upstream.plays("py-usage", hello())
    options: Any = {"include_usage": True}
    with client.chat.completions.create(
        model="up/py-usage", messages=ASK, stream=True, stream_options=options
    ) as stream:
        chunks = list(stream)
    (last,) = [one for one in chunks if not one.choices]
    assert last.usage is not None
    assert last.usage.total_tokens == 1100


def test_the_stream_helper(upstream: Upstream, client: openai.OpenAI) -> None:
    """`chat.completions.stream` puts the pieces together and is stricter about each of them."""
    upstream.plays("py-helper", hello())
    with client.chat.completions.stream(model="up/py-helper", messages=ASK) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "four pennies"


def test_a_tool_call(upstream: Upstream, client: openai.OpenAI) -> None:
    upstream.plays("py-tool", answers(whole(completion(tool_calls=[CALL]))))
    said = client.chat.completions.create(model="up/py-tool", messages=ASK, tools=[TOOL])
    calls = said.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"wheels": 2}
    assert upstream.asked("py-tool")[0].json["tools"] == [TOOL]


def test_a_streamed_tool_call(gateway: Served, upstream: Upstream, client: openai.OpenAI) -> None:
    """Its first piece counts as the first content that a user sees."""

    def piece(**function: str) -> bytes:
        delta = {"tool_calls": [{"index": 0, **({"id": "call_1", "type": "function"} if "name" in function else {}),
                                 "function": function}]}  # fmt: skip
        return event(choices=[{"index": 0, "delta": delta, "finish_reason": None}])

    end = event(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])
    pieces = [piece(name="get_toll", arguments=""), piece(arguments='{"wheels"'), piece(arguments=": 2}"), end]
    upstream.plays("py-tool-stream", streams(*pieces, event(usage=USAGE), DONE))
    with client.chat.completions.stream(model="up/py-tool-stream", messages=ASK, tools=[TOOL]) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert calls is not None
    assert json.loads(calls[0].function.arguments) == {"wheels": 2}
    row = gateway.row(model="up/py-tool-stream")
    assert row["timings"]["ttft_ms"] is not None
    assert row["usage"]["output"] == 100


class Toll(BaseModel):
    pennies: int


def test_a_json_schema(upstream: Upstream, client: openai.OpenAI) -> None:
    upstream.plays("py-schema", answers(whole(completion('{"pennies": 4}'))))
    said = client.chat.completions.parse(model="up/py-schema", messages=ASK, response_format=Toll)
    assert said.choices[0].message.parsed == Toll(pennies=4)
    schema = upstream.asked("py-schema")[0].json["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"]) == ("Toll", True)


def test_a_completion_of_the_old_kind(gateway: Served, upstream: Upstream, client: openai.OpenAI) -> None:
    old = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "usage": USAGE,
           "choices": [{"index": 0, "text": "goes up", "finish_reason": "stop", "logprobs": None}]}  # fmt: skip
    upstream.plays("py-old", answers(whole(old)))
    assert client.completions.create(model="up/py-old", prompt="The gate").choices[0].text == "goes up"
    row = gateway.row(model="up/py-old")
    assert (row["path"], row["cost_usd"]) == ("/v1/completions", COST)


NUMBERS = [0.25, -0.5, 0.75]


@pytest.mark.parametrize("coding", ["float", "base64", None])
def test_embeddings(coding: Any, gateway: Served, upstream: Upstream, client: openai.OpenAI) -> None:
    """Known fault 74: what the client sent is sent on. Without a coding the SDK asks for base64 and decodes it."""

    def script(request: Request, line: Line) -> None:
        wanted = request.json.get("encoding_format")
        vector: Any = NUMBERS if wanted == "float" else b64encode(pack("<3f", *NUMBERS)).decode()
        data = [{"object": "embedding", "index": 0, "embedding": vector}]
        usage = {"prompt_tokens": 1000, "total_tokens": 1000}
        line.send(whole({"object": "list", "model": "m", "data": data, "usage": usage}))

    model = upstream.plays(f"py-embed-{coding}", script)
    given: Any = openai.omit if coding is None else coding
    got = client.embeddings.create(model=f"up/{model}", input="a cart", encoding_format=given).data[0].embedding
    assert got == (b64encode(pack("<3f", *NUMBERS)).decode() if coding == "base64" else NUMBERS)
    (asked,) = upstream.asked(model)
    assert asked.json == {"model": model, "input": "a cart", "encoding_format": coding or "base64"}
    row = gateway.row(model=f"up/{model}")
    assert (row["usage"]["input"], row["usage"]["output"], row["cost_usd"]) == (1000, None, "0.002000000")


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"toll", "spare"} <= set(names)
    assert client.models.retrieve("toll").id == "toll"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("no-such-model")
    assert raised.value.code == "model_not_found"


def test_a_streamed_response_comes_while_the_upstream_still_waits(upstream: Upstream, client: openai.OpenAI) -> None:
    read = Event()

    def script(_: Request, line: Line) -> None:
        line.send(EVENTS, chunk(event("four")))
        assert read.wait(PATIENCE), "the first event was held back"
        line.send(chunk(event(finish="stop")), chunk(DONE), END)

    upstream.plays("py-unbuffered", script)
    with client.chat.completions.with_streaming_response.create(
        model="up/py-unbuffered", messages=ASK, stream=True
    ) as response:
        lines = response.iter_lines()
        assert "four" in next(lines)
        read.set()
        assert list(lines)[-2:] == ["data: [DONE]", ""]


@pytest.mark.anyio
async def test_many_streams_at_once(gateway: Served, upstream: Upstream) -> None:
    """Each caller gets its own answer, and each call has its own row."""
    for number in range(40):
        upstream.plays(f"py-many-{number}", hello([f"answer {number}"]))
    said: dict[int, str] = {}
    async with (
        openai.AsyncOpenAI(base_url=gateway.v1, api_key="none", max_retries=0, timeout=PATIENCE) as sdk,
        anyio.create_task_group() as tasks,
    ):

        async def ask(number: int) -> None:
            stream = await sdk.chat.completions.create(
                model=f"up/py-many-{number}", messages=ASK, stream=True, extra_headers={"x-tollkeeper-session": "many"}
            )
            async with stream:
                said[number] = "".join([one.choices[0].delta.content or "" async for one in stream])

        for number in range(40):
            tasks.start_soon(ask, number)
        with anyio.fail_after(PATIENCE):
            while len(said) < 40:
                await anyio.sleep(0.01)
    assert said == {number: f"answer {number}" for number in range(40)}
    with anyio.fail_after(PATIENCE):
        while len(rows := gateway.calls(session="many")) < 40:
            await anyio.sleep(0.01)
    assert {row["model"] for row in rows} == {f"up/py-many-{number}" for number in range(40)}
    assert {row["cost_usd"] for row in rows} == {COST}
