"""Where a token counter goes wrong: one test for each trap that a real server sets, with the figure that is right.

The figures are read off the recordings by hand; the golden file holds the same for all the others.
"""

import json
from typing import Any

from tests.e2e.gateway import Row
from tests.e2e.played import CALLS, Plays
from tests.e2e.replay import Recording


def recorded(name: str) -> Recording:
    return CALLS[name]


def row(plays: Plays, name: str, cuts: str = "recorded") -> Row:
    return plays[name, cuts].row


def counts(row: Row) -> dict[str, Any]:
    return {bucket: count for bucket, count in row["usage"].items() if count is not None}


def test_usage_once_for_each_choice_is_added(plays: Plays) -> None:
    """llama.cpp with `n: 2` streams two usage events of four tokens each; taking the last one bills half."""
    name = "llamacpp/chat-stream-two-choices"
    events = [event["usage"] for event in recorded(name).data if event["choices"] == []]
    assert [usage["completion_tokens"] for usage in events] == [4, 4]
    for cuts in ("recorded", "not asked"):
        found = row(plays, name, cuts)
        assert (counts(found), found["usage_basis"]) == ({"input": 1, "cache_read": 28, "output": 8}, "provider")
    assert b'"usage"' not in plays[name, "not asked"].content


def test_usage_of_one_of_two_whole_choices_is_not_believed(plays: Plays) -> None:
    """llama.cpp with `n: 2` and no stream: two choices of 12 tokens, `completion_tokens` 12."""
    found = row(plays, "llamacpp/chat-two-choices")
    assert found["usage_basis"] == "estimated"
    assert found["usage"]["output"] > 12
    assert (found["usage"]["input"], found["usage"]["cache_read"]) == (1, 28)


def test_usage_that_sums_the_choices_is_believed(plays: Plays) -> None:
    """vLLM adds the choices up itself: adding once more would bill twice."""
    found = row(plays, "vllm/chat-two-choices")
    assert (found["usage"]["output"], found["usage_basis"]) == (21, "provider")
    assert row(plays, "vllm/chat-stream-two-choices")["usage"]["output"] == 8


def test_timings_count_where_usage_was_not_asked_for(plays: Plays) -> None:
    """llama.cpp's last chunk has no usage, but `timings`: a real count."""
    name = "llamacpp/chat-stream"
    assert not any(event.get("usage") for event in recorded(name).data)
    found = row(plays, name)
    assert (counts(found), found["usage_basis"]) == ({"input": 1, "cache_read": 28, "output": 12}, "provider")


def test_usage_that_nobody_asked_for_passes_and_counts(plays: Plays) -> None:
    """transformers states usage in the chunk with `finish_reason`, and ends without `[DONE]`."""
    name = "transformers/chat-stream"
    assert b"[DONE]" not in recorded(name).content
    assert recorded(name).data[-1]["choices"][0]["finish_reason"] == "length"
    found = row(plays, name)
    assert (counts(found), found["usage_basis"], found["end"]) == ({"input": 29, "output": 12}, "provider", "completed")
    assert plays[name, "recorded"].content == recorded(name).content


def test_usage_in_the_last_chunk_of_a_completion_counts(plays: Plays) -> None:
    """llama.cpp's completion stream states usage unasked, beside its last choice: that event stays."""
    found = row(plays, "llamacpp/completion-stream")
    assert (found["usage"]["output"], found["usage_basis"]) == (12, "provider")
    name = "llamacpp/completion-stream-usage"
    assert plays[name, "not asked"].content == recorded(name).content


def test_growing_usage_is_a_last_value(plays: Plays) -> None:
    """Known fault 12: vLLM with `continuous_usage_stats` states usage in every chunk; adding them up is wrong."""
    name = "vllm/chat-stream-usage-continuous"
    said = [event["usage"]["completion_tokens"] for event in recorded(name).data]
    assert sum(said) > 40
    assert counts(row(plays, name)) == {"input": 29, "output": 9}


def test_no_usage_although_asked_is_an_estimate(plays: Plays) -> None:
    """Known fault 9: llama-cpp-python accepts `include_usage` and states nothing."""
    found = row(plays, "llama-cpp-python/chat-stream-usage")
    assert (found["usage_basis"], found["end"]) == ("estimated", "completed")
    assert found["usage"]["output"] > 0
    assert found["usage"]["input"] > 0


def test_the_closed_line_ends_an_old_answer(plays: Plays) -> None:
    """MLX speaks HTTP/1.0, without length and without chunks, and begins its stream with comments."""
    name = "mlx/chat-stream-usage"
    assert recorded(name).head[0].startswith("HTTP/1.0")
    assert recorded(name).content.startswith(b": keepalive")
    found = row(plays, name)
    assert (counts(found), found["end"]) == ({"input": 1, "cache_read": 28, "output": 12}, "completed")
    assert plays[name, "recorded"].content == recorded(name).content
    assert plays[name, "recorded"].headers["transfer-encoding"] == "chunked"


def test_what_an_upstream_says_to_browsers_stays_with_it(plays: Plays) -> None:
    """MLX allows every web page to read its answers; through the gateway that would open ours."""
    assert recorded("mlx/chat").field("access-control-allow-origin") == "*"
    headers = plays["mlx/chat", "recorded"].headers
    assert not [name for name in headers if name.startswith("access-control-")]
    assert "server" not in headers


def test_a_stream_that_was_broken_off_after_done_was_cut(plays: Plays) -> None:
    """llama-cpp-python gives up a stream for the next: `[DONE]`, no `finish_reason`, chunks without end."""
    name = "llama-cpp-python/chat-stream-interrupted"
    assert recorded(name).broken
    assert recorded(name).events[-1] == b"data: [DONE]\n\n"
    found = row(plays, name)
    assert (found["end"], found["usage_basis"]) == ("cut_by_upstream", "estimated")
    assert found["usage"]["output"] > 200
    assert plays[name, "recorded"].content == recorded(name).content


def test_a_stream_that_breaks_off_ends_with_an_error_and_without_done(plays: Plays) -> None:
    name = "aimock/openai-chat-cut-stream"
    assert recorded(name).broken
    content = plays[name, "recorded"].content
    assert content.startswith(recorded(name).content)
    last = json.loads(content.split(b"\n\n")[-2].removeprefix(b"data: "))
    assert last["error"]["code"] == "upstream_error"
    assert b"[DONE]" not in content
    assert row(plays, name)["end"] == "cut_by_upstream"


def test_an_empty_body_is_no_answer(plays: Plays) -> None:
    """Known fault 71: llama-cpp-python answers 200 and an event stream of not one byte; what it billed nobody knows."""
    name = "llama-cpp-python/error-too-long-stream"
    assert (recorded(name).status, recorded(name).content) == (200, b"")
    for cuts in ("recorded", "not asked"):
        played = plays[name, cuts]
        assert (played.status, played.row["end"]) == (502, "failed")
        assert json.loads(played.content)["error"]["code"] == "upstream_error"
        assert played.headers["x-should-retry"] == "false"


def test_cached_tokens_are_a_part_of_the_prompt(plays: Plays) -> None:
    """Known fault 16: 512 of 617 tokens were read from a cache, under three different names."""
    assert counts(row(plays, "vllm-details/chat-long-again")) == {"input": 105, "cache_read": 512, "output": 9}
    assert counts(row(plays, "llamacpp/chat-long-again")) == {"input": 1, "cache_read": 616, "output": 12}
    assert counts(row(plays, "mlx/chat-long-again")) == {"input": 1, "cache_read": 616, "output": 9}


def test_tokens_that_fill_a_local_cache_are_not_billed_twice(plays: Plays) -> None:
    """vLLM's `created_cache_tokens` are prompt tokens, which it counts already."""
    name = "vllm-details/chat-long"
    details = json.loads(recorded(name).content)["usage"]["prompt_tokens_details"]
    assert details["created_cache_tokens"] == 512
    assert counts(row(plays, name)) == {"input": 617, "cache_read": 0, "output": 9}


def test_usage_that_the_server_is_forced_to_send_is_taken_out(plays: Plays) -> None:
    name = "vllm-details/chat-long-again-stream-usage"
    content = plays[name, "not asked"].content
    assert b'"choices":[],' not in content
    assert content.endswith(b"data: [DONE]\n\n")


def test_an_error_that_is_a_text_is_told_as_it_is(plays: Plays) -> None:
    """vLLM: `{"error":"Unauthorized"}`; MLX: `{"error":"text"}`; transformers: `{"detail": …}`; all others."""
    told = {
        "vllm/error-no-key": "401: Unauthorized",
        "mlx/error-no-messages": "400: Request did not contain messages",
        "mlx/error-unknown-path": "404: Not Found",
        "transformers/error-unknown-model": "400: Server is pinned to 'tiny-toll'; requested 'no-such-model'.",
        "transformers/error-bad-type": "500: Internal Server Error",
        "llama-cpp-python/error-no-key": "401: Invalid API key",
        "llamacpp/error-no-messages": "400: 400: 'messages' is required",
        "aimock/openai-error-429": "429: rate_limit_exceeded: Too many carts at the gate",
    }
    assert {name: row(plays, name)["error"] for name in told} == told
    for name in told:
        assert plays[name, "recorded"].content == recorded(name).content
        assert row(plays, name)["cost_usd"] == "0.000000000"


def test_a_retry_after_passes(plays: Plays) -> None:
    headers = plays["aimock/openai-error-429", "recorded"].headers
    assert headers["retry-after"] == headers["x-upstream-retry-after"] == "7"


def test_reasoning_and_cache_of_openrouter(plays: Plays) -> None:
    found = row(plays, "aimock/openrouter-chat-billed-stream")
    assert counts(found) == {"input": 176, "cache_read": 1024, "output": 40, "reasoning": 300}
