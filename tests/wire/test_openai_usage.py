"""Usage objects in every shape of the facts about wire formats, §1, to disjoint buckets."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.usage import Usage
from gateway.wire.openai_usage import buckets, count, from_timings, stated

CASES: list[tuple[str, dict[str, Any], Usage]] = [
    (
        "OpenAI with everything",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 6, "audio_tokens": 10},
            "completion_tokens_details": {
                "reasoning_tokens": 192,
                "audio_tokens": 8,
                "accepted_prediction_tokens": 5,
                "rejected_prediction_tokens": 3,
            },
        },
        Usage(
            input=70,
            cache_read=1920,
            cache_write=6,
            audio_in=10,
            output=100,
            reasoning=192,
            audio_out=8,
            prediction_accepted=5,
            prediction_rejected=3,
        ),
    ),
    ("OpenAI embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
    (
        "DeepSeek: hit and miss make the prompt",
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens_details": {"reasoning_tokens": 12},
        },
        Usage(input=36, cache_read=64, output=8, reasoning=12),
    ),
    (
        "OpenRouter",
        {
            "prompt_tokens": 50,
            "completion_tokens": 10,
            "total_tokens": 60,
            "cost": 0.00014,
            "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5, "audio_tokens": 0},
            "server_tool_use": {"web_search_requests": 2},
        },
        Usage(input=25, cache_read=20, cache_write=5, audio_in=0, output=10, web_searches=2),
    ),
    ("Mistral", {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}, Usage(input=4, output=5)),
    (
        "OpenRouter, searches as it states them today",
        {
            "prompt_tokens": 8174,
            "completion_tokens": 30,
            "total_tokens": 8204,
            "server_tool_use_details": {"web_search_requests": 1, "tool_calls_executed": 1},
        },
        Usage(input=8174, output=30, web_searches=1),
    ),
    (
        "OpenAI realtime: pictures that the cache had are counted in both",
        {
            "prompt_tokens": 346,
            "completion_tokens": 29,
            "total_tokens": 375,
            "prompt_tokens_details": {"cached_tokens": 322, "image_tokens": 194, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 19},
        },
        Usage(input=0, cache_read=322, audio_in=0, image_in=24, output=10, reasoning=19),
    ),
    (
        "pictures beside sound: what neither the cache nor sound took",
        {
            "prompt_tokens": 100,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 50, "image_tokens": 40, "audio_tokens": 30},
        },
        Usage(input=0, cache_read=50, audio_in=30, image_in=20, output=1),
    ),
    (
        "pictures that the cache had whole, where it had more than the prompt",
        {
            "prompt_tokens": 100,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 120, "image_tokens": 40},
        },
        Usage(input=0, cache_read=120, image_in=0, output=1),
    ),
    (
        "vLLM without details",
        {"prompt_tokens": 29, "completion_tokens": 12, "total_tokens": 41, "prompt_tokens_details": None},
        Usage(input=29, output=12),
    ),
    (
        "vLLM: created cache tokens are no billed write",
        {
            "prompt_tokens": 617,
            "completion_tokens": 4,
            "total_tokens": 621,
            "prompt_tokens_details": {"cached_tokens": 0, "created_cache_tokens": 512},
        },
        Usage(input=617, cache_read=0, output=4),
    ),
    (
        "MLX: cached beside",
        {"prompt_tokens": 29, "completion_tokens": 3, "cached_tokens": 28},
        Usage(input=1, cache_read=28, output=3),
    ),
    ("Ollama", {"prompt_tokens": 26, "completion_tokens": 298, "total_tokens": 324}, Usage(input=26, output=298)),
    (
        "xAI: reasoning beside the completion (known fault 14)",
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        },
        Usage(input=32, output=9, reasoning=94),
    ),
    (
        "Gemini's compatible endpoint: thoughts in the total alone",
        {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 80},
        Usage(input=10, output=20, reasoning=50),
    ),
    (
        "Perplexity",
        {"prompt_tokens": 9, "completion_tokens": 90, "total_tokens": 99, "num_search_queries": 3},
        Usage(input=9, output=90, web_searches=3),
    ),
    (
        "more cached than prompt is clamped",
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
        Usage(input=0, cache_read=9),
    ),
    ("nonsense is unknown", {"prompt_tokens": "5", "completion_tokens": -1, "total_tokens": True}, Usage()),
    ("other names", {"input_tokens": 3, "output_tokens": 4}, Usage(input=3, output=4)),
]


@pytest.mark.parametrize(("usage", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_disjoint_buckets(usage: dict[str, Any], expected: Usage) -> None:
    """Known faults 14, 16: cached and reasoning tokens are counted once."""
    assert buckets(usage) == expected


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_buckets_sum_to_the_provider_s_total(cached: int, fresh: int, reasoning: int, text: int) -> None:
    """Known fault 16."""
    usage = {
        "prompt_tokens": cached + fresh,
        "completion_tokens": reasoning + text,
        "total_tokens": cached + fresh + reasoning + text,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    found = buckets(usage)
    assert (found.prompt_tokens, found.generated_tokens) == (cached + fresh, reasoning + text)


def test_llama_cpp_timings_count_for_real() -> None:
    assert from_timings({"cache_n": 28, "prompt_n": 1, "predicted_n": 12}) == Usage(input=1, cache_read=28, output=12)
    assert from_timings({"prompt_n": 1}) is None


@pytest.mark.parametrize(
    ("text", "nano"),
    [("0.00014", 140_000), ("1e-9", 1), ("0.1", 100_000_000), ("0", None), ('"free"', None), ("2", 2_000_000_000),
     ("0.0000000005", 0), ("0.0000000015", 2)],
)  # fmt: skip
def test_a_stated_cost_is_read_from_its_text(text: str, nano: int | None) -> None:
    """Known fault 6: zero is not a price."""
    source = b'{"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":' + text.encode() + b"}}"
    assert stated(orjson.loads(source)["usage"], source).cost_nano == nano


def test_what_is_billed_beside_the_tokens_is_told_by_its_name() -> None:
    source = b'{"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_audio_seconds":4}}'
    assert stated(orjson.loads(source)["usage"], source).metered == (("audio_seconds", 4),)
    source = b'{"usage":{"prompt_tokens":9,"citation_tokens":3,"prompt_audio_seconds":0.5,"num_search_queries":2}}'
    said = stated(orjson.loads(source)["usage"], source)
    assert said.metered == (("audio_seconds", None), ("citation_tokens", 3))
    assert said.usage.web_searches == 2


def test_perplexity_s_search_and_cost() -> None:
    source = (
        b'{"usage":{"prompt_tokens":9,"search_context_size":"low","cost":{"request_cost":0.006,"total_cost":0.0126}}}'
    )
    said = stated(orjson.loads(source)["usage"], source)
    assert (said.search_context, said.cost_nano) == ("low", 12_600_000)


def test_the_provider_s_own_object_is_kept() -> None:
    source = b'{"usage":{"prompt_tokens":9,"novel":{"a":[1]}}}'
    assert orjson.loads(stated(orjson.loads(source)["usage"], source).raw) == {"prompt_tokens": 9, "novel": {"a": [1]}}


@pytest.mark.parametrize(("value", "expected"), [(True, None), (3.0, 3), (3.5, None), (-1, None), (None, None), (0, 0)])
def test_what_counts_as_a_count(value: object, expected: int | None) -> None:
    assert count(value) == expected


def test_perplexity_s_reasoning_is_beside_its_completion() -> None:
    """Known fault 14: not even its total has it."""
    source = {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "citation_tokens": 20016,
              "num_search_queries": 18, "reasoning_tokens": 73997}  # fmt: skip
    found = buckets(source)
    assert (found.output, found.reasoning, found.web_searches) == (7163, 73997, 18)
