"""The meter beside a stream."""

import json
from typing import Any

import pytest

from gateway.core.usage import Usage
from gateway.wire.openai_stream import Saw, StreamMeter

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: object) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return json.dumps({"choices": choices, **more}).encode()


def fed(*events: bytes) -> StreamMeter:
    meter = StreamMeter()
    for one in events:
        meter.observe(one)
    return meter


@pytest.mark.parametrize(
    ("data", "saw"),
    [
        (event({"role": "assistant", "content": ""}), Saw.NOTHING),
        (event({"content": "a"}), Saw.CONTENT),
        (event({"content": None, "tool_calls": [{"function": {"arguments": "{"}}]}), Saw.CONTENT),
        (event({"refusal": "no"}), Saw.CONTENT),
        (event({"audio": {"data": "AA"}}), Saw.CONTENT),
        (event({"reasoning_content": "hm"}), Saw.REASONING),
        (event({"reasoning": "hm", "content": "a"}), Saw.CONTENT),
        (event(usage=USAGE), Saw.USAGE_ONLY),
        (event(usage=None), Saw.NOTHING),
        (event(prompt_filter_results=[]), Saw.NOTHING),
        (b'{"choices":[{"text":"a","index":0}]}', Saw.CONTENT),
        (b'{"error":{"message":"m"}}', Saw.ERROR),
        (b"[DONE]", Saw.DONE),
        (b"not json", Saw.NOTHING),
        (b"[1]", Saw.NOTHING),
        (b'{"choices":["x",{"delta":null}]}', Saw.NOTHING),
    ],
)
def test_what_an_event_holds(data: bytes, saw: int) -> None:
    """Known fault 15: the first token is the first event with content, not the first event."""
    assert StreamMeter().observe(data) == saw


def test_usage_is_the_last_value_never_a_sum() -> None:
    """Known fault 12: cumulative usage in every chunk."""
    steps = [event({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": n}) for n in (1, 2, 3)]
    heard = fed(*steps).heard()
    assert heard.stated is not None
    assert heard.stated.usage == Usage(input=5, output=3)
    assert not heard.text_after_usage


def test_events_that_each_count_one_choice_are_added() -> None:
    timings = {"cache_n": 4, "prompt_n": 1, "predicted_n": 2}
    heard = fed(
        event(usage=USAGE, timings=timings), event({"content": "b"}), event(usage=USAGE, timings=timings)
    ).heard()
    assert heard.stated is not None
    assert heard.stated.usage == Usage(input=5, output=4)


def test_timings_count_where_no_usage_comes() -> None:
    heard = fed(
        event({"content": "a"}), event({}, "stop", timings={"cache_n": 4, "prompt_n": 1, "predicted_n": 2})
    ).heard()
    assert heard.stated is not None
    assert heard.stated.usage == Usage(input=1, cache_read=4, output=2)
    assert heard.finished


def test_text_after_the_last_usage_is_noticed() -> None:
    heard = fed(event({"content": "a"}, usage=USAGE), event({"content": "b"})).heard()
    assert heard.text_after_usage
    assert heard.texts == ["a", "b"]


def test_a_later_null_does_not_erase_usage() -> None:
    heard = fed(event(usage=USAGE), event({}, "stop", usage=None), b"[DONE]").heard()
    assert heard.stated is not None
    assert (heard.done, heard.finished, heard.error) == (True, True, None)


def test_errors_and_tiers_are_kept() -> None:
    heard = fed(event({"content": "a"}, service_tier="flex"), b'{"error":{"code":"x","message":"broke"}}').heard()
    assert (heard.service_tier, heard.error, heard.done) == ("flex", "x: broke", False)
