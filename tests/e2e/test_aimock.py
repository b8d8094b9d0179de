"""A mock that nobody here wrote, behind the gateway: the wire of OpenAI, errors and breaks on demand."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Bench
from tests.e2e.gateway import Row
from tests.e2e.upstream import PATIENCE

GPT = "aimock/gpt-4o-mini"
TOOL: Any = {"type": "function", "function": {"name": "get_toll", "parameters": {"type": "object"}}}


@pytest.fixture
def client(bench: Bench) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=bench.gateway.v1, api_key="sk-of-the-client", max_retries=0, timeout=PATIENCE) as sdk:
        yield sdk


def ask(client: openai.OpenAI, word: str, session: str, **more: Any) -> Any:
    """The word chooses the answer, see aimock.json."""
    return client.chat.completions.create(
        **{"model": GPT, "messages": [{"role": "user", "content": word}], **more},
        extra_headers={"x-tollkeeper-session": session},
    )


def row_of(bench: Bench, session: str) -> Row:
    return bench.gateway.row(session=session)


def test_stated_counts_are_believed_and_priced_by_the_book(bench: Bench, client: openai.OpenAI) -> None:
    """1,200 tokens in and 340 out at OpenAI's price for this model, borrowed by `like: openai`."""
    assert ask(client, "billed", "mock-billed").usage.total_tokens == 1540
    with ask(client, "billed", "mock-billed-stream", stream=True) as stream:
        assert all(one.usage is None for one in stream)
    whole, streamed = row_of(bench, "mock-billed"), row_of(bench, "mock-billed-stream")
    for row in (whole, streamed):
        assert (row["usage"]["input"], row["usage"]["output"], row["usage_basis"]) == (1200, 340, "provider")
        assert row["price_book"].startswith("litellm ")
    assert whole["cost_usd"] == streamed["cost_usd"] == "0.000384000"


def test_what_the_provider_is_sent(bench: Bench, client: openai.OpenAI) -> None:
    """As it wrote it down itself."""
    with ask(client, "toll", "mock-sent", stream=True, user="mock-user") as stream:
        text = "".join(one.choices[0].delta.content or "" for one in stream)
    assert text.startswith("A cart of apples pays four pennies")
    journal = httpx.get(f"{bench.aimock}/__aimock/journal", trust_env=False, timeout=PATIENCE).json()
    (sent,) = [entry for entry in journal if entry["body"].get("user") == "mock-user"]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["body"]["model"] == "gpt-4o-mini"
    assert sent["body"]["stream_options"] == {"include_usage": True}
    ours = [name for name in sent["headers"] if name.startswith("x-tollkeeper")]
    assert ours == ["x-tollkeeper-hop"], "nothing but what finds a circle"


def test_tools_whole_and_streamed(client: openai.OpenAI) -> None:
    call = ask(client, "call", "mock-tool", tools=[TOOL]).choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("get_toll", '{"wheels":2,"goods":"apples"}')
    messages: Any = [{"role": "user", "content": "call"}]
    with client.chat.completions.stream(model=GPT, messages=messages, tools=[TOOL]) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls
    assert streamed is not None
    assert streamed[0].function.arguments == call.function.arguments


def test_reasoning_is_stamped_apart(bench: Bench, client: openai.OpenAI) -> None:
    with ask(client, "think", "mock-think", model="aimock/o4-mini", stream=True) as stream:
        assert list(stream)
    timings = row_of(bench, "mock-think")["timings"]
    assert timings["first_reasoning_ms"] is not None
    assert timings["ttft_ms"] >= timings["first_reasoning_ms"]


def test_a_slow_stream_is_measured_as_it_was(bench: Bench, client: openai.OpenAI) -> None:
    """300 ms to the first piece, then one every 50 ms: known fault 15."""
    begun = monotonic()
    with ask(client, "slow", "mock-slow", stream=True) as stream:
        pieces = iter(stream)
        while not next(pieces).choices[0].delta.content:
            pass
        first = monotonic() - begun
        assert list(pieces)
    assert monotonic() - begun > first + 0.2, "the first piece came with the last one"
    timings = row_of(bench, "mock-slow")["timings"]
    assert 250 < timings["ttft_ms"] < timings["duration_ms"] - 200
    assert timings["itl_p50_ms"] > 20


def test_embeddings(bench: Bench, client: openai.OpenAI) -> None:
    got = client.embeddings.create(model="aimock/text-embedding-3-small", input="toll", encoding_format="float")
    assert got.data[0].embedding == [0.25, -0.5, 0.75, 0.125]


def test_too_many_requests(bench: Bench, client: openai.OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as raised:
            ask(client, "crowd", f"mock-crowd-{stream}", stream=stream)
        assert raised.value.code == "rate_limit_exceeded"
        assert raised.value.response.headers["retry-after"] == "7"
        row = row_of(bench, f"mock-crowd-{stream}")
        assert (row["end"], row["status"], row["cost_usd"]) == ("failed", 429, "0.000000000")


def test_out_of_service(bench: Bench, client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="The bridge is closed"):
        ask(client, "down", "mock-down", stream=True)
    assert row_of(bench, "mock-down")["status"] == 503


def test_a_stream_that_breaks(bench: Bench, client: openai.OpenAI) -> None:
    pieces: list[str] = []
    with pytest.raises(openai.APIError) as raised, ask(client, "cut", "mock-cut", stream=True) as stream:
        pieces.extend(one.choices[0].delta.content for one in stream)
    assert raised.value.code == "upstream_error"
    assert pieces
    row = row_of(bench, "mock-cut")
    assert (row["end"], row["usage_basis"]) == ("cut_by_upstream", "estimated")
    assert row["usage"]["output"] > 0


def test_a_model_that_it_does_not_know(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        ask(client, "nothing matches this", "mock-none")
    assert raised.value.code == "no_fixture_match"
