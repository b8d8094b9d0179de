"""A real inference server behind the gateway: llama.cpp with a tiny model, asked through the official SDK."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Bench
from tests.e2e.gateway import Row, until
from tests.e2e.upstream import PATIENCE

MODEL = "llamacpp/tiny-toll"
ASK: Any = [{"role": "user", "content": "What is the toll for a cart of apples?"}]
SHORT: Any = {"model": MODEL, "messages": ASK, "max_tokens": 12, "temperature": 0}
USAGE: Any = {"include_usage": True}


@pytest.fixture
def client(bench: Bench) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=bench.gateway.v1, api_key="none", max_retries=0, timeout=PATIENCE) as sdk:
        yield sdk


def row_of(bench: Bench, session: str) -> Row:
    return bench.gateway.row(session=session)


def session(name: str) -> dict[str, str]:
    return {"x-tollkeeper-session": name}


def agrees(row: Row, usage: openai.types.CompletionUsage | None) -> None:
    """The row says what the server said, and costs that."""
    assert usage is not None
    counted = row["usage"]
    assert row["usage_basis"] == "provider"
    assert counted["input"] + (counted["cache_read"] or 0) == usage.prompt_tokens
    assert counted["output"] == usage.completion_tokens
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    assert (counted["cache_read"] or 0) == (cached or 0)
    cost = (
        counted["input"] * Decimal(1) + (counted["cache_read"] or 0) * Decimal("0.1") + counted["output"] * Decimal(2)
    )
    assert Decimal(row["cost_usd"]) == cost / 1_000_000


def test_a_chat(bench: Bench, client: openai.OpenAI) -> None:
    said = client.chat.completions.create(**SHORT, extra_headers=session("llama-chat"))
    assert said.choices[0].message.content
    row = row_of(bench, "llama-chat")
    agrees(row, said.usage)
    assert row["usage"]["output"] == 12
    raw = row["attempts"][0]["raw_usage"]
    assert raw["total_tokens"] == said.usage.total_tokens if said.usage else False


def test_the_answer_is_the_one_that_the_server_gives(bench: Bench, client: openai.OpenAI) -> None:
    """At temperature 0 with and without a gateway the same words, whole and streamed."""
    body = {**SHORT, "model": "tiny-toll"}
    direct = httpx.post(f"{bench.llamacpp}/v1/chat/completions", json=body, timeout=PATIENCE, trust_env=False).json()
    words = direct["choices"][0]["message"]["content"]
    assert client.chat.completions.create(**SHORT).choices[0].message.content == words
    with client.chat.completions.create(**SHORT, stream=True) as stream:
        assert "".join(one.choices[0].delta.content or "" for one in stream if one.choices) == words


def test_a_stream_without_usage_is_counted_all_the_same(bench: Bench, client: openai.OpenAI) -> None:
    with client.chat.completions.create(**SHORT, stream=True, extra_headers=session("llama-stream")) as stream:
        chunks = list(stream)
    assert all(one.choices and one.usage is None for one in chunks)
    row = row_of(bench, "llama-stream")
    assert (row["end"], row["usage_basis"], row["usage"]["output"]) == ("completed", "provider", 12)
    assert row["timings"]["ttft_ms"] > 0
    assert row["timings"]["output_tokens_per_second"] > 0


def test_a_stream_with_usage(bench: Bench, client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        **SHORT, stream=True, stream_options=USAGE, extra_headers=session("llama-usage")
    ) as stream:
        (last,) = [one for one in stream if not one.choices]
    agrees(row_of(bench, "llama-usage"), last.usage)


def test_two_choices_of_a_stream_are_both_counted(bench: Bench, client: openai.OpenAI) -> None:
    """It states usage once for each choice."""
    asked = {**SHORT, "max_tokens": 6, "n": 2, "temperature": 0, "stop": None}
    with client.chat.completions.create(**asked, stream=True, extra_headers=session("llama-two")) as stream:
        assert {one.choices[0].index for one in stream} == {0, 1}
    row = row_of(bench, "llama-two")
    assert (row["usage"]["output"], row["usage_basis"]) == (12, "provider")


def test_a_prompt_that_was_cached(bench: Bench, client: openai.OpenAI) -> None:
    asked = {**SHORT, "messages": [{"role": "user", "content": "7 " * 200}], "extra_body": {"id_slot": 1}}
    client.chat.completions.create(**asked)
    said = client.chat.completions.create(**asked, extra_headers=session("llama-cached"))
    row = row_of(bench, "llama-cached")
    agrees(row, said.usage)
    assert row["usage"]["cache_read"] > 300


def test_a_json_schema(bench: Bench, client: openai.OpenAI) -> None:
    """The server binds its words to the schema, so it must have come through whole."""
    schema = {"type": "object", "properties": {"wheels": {"type": "integer", "maximum": 99}}, "required": ["wheels"],
              "additionalProperties": False}  # fmt: skip
    shape: Any = {"type": "json_schema", "json_schema": {"name": "cart", "schema": schema}}
    said = client.chat.completions.create(**{**SHORT, "max_tokens": 200}, response_format=shape)
    assert set(json.loads(said.choices[0].message.content or "")) == {"wheels"}


def test_logprobs_and_other_fields_pass(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(**SHORT, logprobs=True, top_logprobs=2)
    logprobs = said.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content[0].top_logprobs) == 2
    assert said.model_extra is not None
    assert "timings" in said.model_extra


def test_a_completion(bench: Bench, client: openai.OpenAI) -> None:
    asked: Any = {"model": MODEL, "prompt": "The keeper of the toll", "max_tokens": 8, "temperature": 0}
    said = client.completions.create(**asked, extra_headers=session("llama-old"))
    assert said.choices[0].text
    agrees(row_of(bench, "llama-old"), said.usage)


def test_embeddings(bench: Bench, client: openai.OpenAI) -> None:
    """The same numbers as without a gateway, as floats and in base64."""
    body = {"model": "tiny-toll", "input": ["a cart", "a wagon of wheat"]}
    direct = httpx.post(f"{bench.vectors}/v1/embeddings", json=body, timeout=PATIENCE, trust_env=False).json()
    asked: Any = {**body, "model": "vectors/tiny-toll"}
    floats = client.embeddings.create(**asked, encoding_format="float", extra_headers=session("llama-vectors"))
    packed = client.embeddings.create(**asked)
    for one, expected in zip((*floats.data, *packed.data), direct["data"] * 2, strict=True):
        assert one.embedding == pytest.approx(expected["embedding"], rel=1e-5, abs=1e-7)
    row = row_of(bench, "llama-vectors")
    assert (row["usage"]["input"], row["usage"]["output"]) == (floats.usage.prompt_tokens, None)
    assert Decimal(row["cost_usd"]) == Decimal(floats.usage.prompt_tokens) / 1_000_000


def test_models_are_found_by_the_name_that_the_server_lists(bench: Bench, client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"llamacpp/tiny-toll", "vectors/tiny-toll"} <= names
    said = client.chat.completions.create(**{**SHORT, "model": "tiny-toll"}, extra_headers=session("llama-listed"))
    assert said.choices
    assert row_of(bench, "llama-listed")["target"] in names


@pytest.mark.timed
def test_a_cancelled_stream_frees_the_server(bench: Bench, client: openai.OpenAI) -> None:
    """Known fault 3: it stops generating, and what it had delivered is billed as an estimate."""
    asked = {**SHORT, "max_tokens": 1900}
    with client.chat.completions.create(
        **asked, stream=True, extra_body={"ignore_eos": True}, extra_headers=session("llama-left")
    ) as stream:
        for _, _chunk in zip(range(5), stream, strict=False):
            pass
    until(lambda: not _busy(bench), "a slot to be free", within=2)
    row = bench.gateway.row(within=2, session="llama-left")
    assert (row["end"], row["usage_basis"]) == ("cut_by_client", "estimated")
    assert 0 < row["usage"]["output"] < 1900


def _busy(bench: Bench) -> bool:
    slots = httpx.get(f"{bench.llamacpp}/slots", timeout=PATIENCE, trust_env=False).json()
    return any(slot["is_processing"] for slot in slots)


def test_a_prompt_that_is_too_long(bench: Bench, client: openai.OpenAI) -> None:
    long: Any = [{"role": "user", "content": "7 " * 3000}]
    with pytest.raises(openai.BadRequestError, match="context") as raised:
        client.chat.completions.create(**{**SHORT, "messages": long}, extra_headers=session("llama-long"))
    assert raised.value.type == "exceed_context_size_error"
    row = row_of(bench, "llama-long")
    assert (row["end"], row["status"], row["cost_usd"]) == ("failed", 400, "0.000000000")


def test_the_providers_key_comes_from_the_settings(bench: Bench, client: openai.OpenAI) -> None:
    """The client sends its own, which would be wrong there."""
    assert client.chat.completions.create(**{**SHORT, "model": "locked/tiny-toll"}).choices
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(**{**SHORT, "model": "shut/tiny-toll"})
    with openai.OpenAI(base_url=bench.gateway.v1, api_key="right", max_retries=0) as knowing:
        assert knowing.chat.completions.create(**{**SHORT, "model": "shut/tiny-toll"}).choices


def test_several_callers_at_once(bench: Bench, client: openai.OpenAI) -> None:
    def ask(number: int) -> Any:
        stream = client.chat.completions.create(
            **SHORT, stream=True, stream_options=USAGE, extra_headers=session(f"llama-many-{number}")
        )
        with stream:
            return [one for one in stream if not one.choices][-1].usage

    with ThreadPoolExecutor(8) as pool:
        usages = list(pool.map(ask, range(16)))
    for number, usage in enumerate(usages):
        agrees(row_of(bench, f"llama-many-{number}"), usage)
