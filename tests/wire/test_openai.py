"""What a request asks for, what an answer says, what a refusal looks like."""

import json
from typing import Any

import orjson
import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.usage import Usage
from gateway.wire.openai import (
    MAX_LABEL,
    asked_tier,
    envelope,
    error_event,
    error_text,
    find_usage,
    message_count,
    prompt_texts,
    read_answer,
    read_request,
    upstream_body,
)

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def body(**more: object) -> bytes:
    return json.dumps({**CHAT, **more}).encode()


def test_reads_what_a_gateway_must_know() -> None:
    asked = read_request(
        body(stream=True, stream_options={"include_usage": True}, user="u1", metadata={"a": "b", "n": 1})
    )
    assert (asked.model, asked.stream, asked.wants_usage) == ("m", True, True)
    assert (asked.end_user, asked.labels, asked.web_search) == ("u1", {"a": "b"}, False)


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"", None), (b"{", None), (b"[]", None), (b'"x"', None), (b"null", None), (b'{"messages":[]}', "model"),
        (b'{"model":null}', "model"), (b'{"model":""}', "model"), (b'{"model":["m"]}', "model"),
        (b'{"model":"\xff"}', None), (b'{"model":NaN}', None), (b"[" * 5000, None),
        (b'{"model":"' + b"m" * 513 + b'"}', "model"),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused_with_the_field(raw: bytes, param: str | None) -> None:
    with pytest.raises(Fault) as refused:
        read_request(raw)
    assert (refused.value.kind, refused.value.param) == (Kind.INVALID, param)


def test_values_of_the_wrong_type_are_the_upstream_s_to_refuse() -> None:
    """Known fault 73: forward, do not re-validate."""
    asked = read_request(body(stream="yes", user=7, metadata=[1], stream_options=True, tools={"a": 1}))
    assert (asked.stream, asked.end_user, asked.labels, asked.wants_usage) == (False, None, {}, False)


def test_labels_are_bounded() -> None:
    asked = read_request(body(metadata={f"k{i}": "v" * 9999 for i in range(99)}, user="u" * 9999))
    assert len(asked.labels) == 32
    assert {len(value) for value in asked.labels.values()} == {MAX_LABEL}
    assert asked.end_user is not None
    assert len(asked.end_user) == MAX_LABEL


@pytest.mark.parametrize(
    "more", [{"web_search_options": {}}, {"plugins": [{"id": "web"}]}, {"tools": [{"type": "web_search_preview"}]}]
)
def test_hosted_search_is_noticed(more: dict[str, object]) -> None:
    assert read_request(body(**more)).web_search


def test_what_a_client_sent_goes_upstream_untouched() -> None:
    """Known fault 74: send what the client sent, odd numbers and all."""
    raw = b'{"model":"m", "seed":123456789012345678901234567890,"encoding_format":null ,"x":1.50}'
    assert upstream_body(raw, read_request(raw), "m", True) == (raw,)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": 3}, {"include_usage": True}),
        ({"stream_options": {"include_obfuscation": False}}, {"include_obfuscation": False, "include_usage": True}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": True}),
    ],
)
def test_usage_is_asked_for_on_the_client_s_behalf(options: dict[str, Any], expected: dict[str, Any]) -> None:
    """Known fault 10."""
    raw = body(stream=True, metadata={"stream_options": "inner"}, **options)
    sent = json.loads(b"".join(upstream_body(raw, read_request(raw), "target", True)))
    assert sent == {**json.loads(raw), "model": "target", "stream_options": expected}


def test_usage_is_not_asked_for_where_it_makes_no_sense() -> None:
    whole, stream = body(), body(stream=True)
    assert upstream_body(whole, read_request(whole), "m", True) == (whole,)
    assert upstream_body(stream, read_request(stream), "m", False) == (stream,)
    wants = body(stream=True, stream_options={"include_usage": True})
    assert upstream_body(wants, read_request(wants), "m", True) == (wants,)


def test_texts_of_a_prompt_without_pictures() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    raw = body(messages=[{"role": "user", "content": [{"type": "text", "text": "look"}, picture]}, {"content": None}])
    assert prompt_texts(raw) == ["user", "look"]
    assert message_count(raw) == 2
    assert prompt_texts(b'{"model":"m","input":["a",["b"],5]}') == ["a", "b"]
    assert message_count(b'{"model":"m","prompt":"x"}') == 0


CHOICE = {
    "message": {
        "content": "Hello",
        "reasoning_content": "hm",
        "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
    }
}


def test_a_whole_answer_says_usage_text_and_tier() -> None:
    said = read_answer(
        orjson.dumps(
            {
                "choices": [CHOICE],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2},
                "service_tier": "flex",
            }
        )
    )  # fmt: skip
    assert said is not None
    assert said.stated is not None
    assert said.stated.usage == Usage(input=3, output=2)
    assert said.service_tier == "flex"
    assert said.texts == []
    untold = read_answer(orjson.dumps({"choices": [CHOICE]}))
    assert untold is not None
    assert untold.texts == ["Hello", "hm", "f", "{}"]


@pytest.mark.parametrize("raw", [b"", b"null", b"[1]", b"<html>", b"{"])
def test_an_answer_that_is_no_object(raw: bytes) -> None:
    assert read_answer(raw) is None


def test_an_error_in_an_answer_of_status_200() -> None:
    said = read_answer(b'{"error":{"message":"no","code":"overloaded"}}')
    assert said is not None
    assert said.error == "overloaded: no"


@pytest.mark.parametrize(
    ("error", "expected"),
    [({"message": "m", "type": "t"}, "t: m"), ("text", "text"), ({"detail": "d"}, "d"), (["x"], "['x']")],
)
def test_errors_of_any_shape_make_one_line(error: object, expected: str) -> None:
    assert error_text(error) == expected


def test_the_error_envelope_is_openai_s() -> None:
    """Known fault 72: always this shape."""
    assert orjson.loads(envelope("m", "t", "c", None)) == {
        "error": {"message": "m", "type": "t", "param": None, "code": "c"}
    }
    assert error_event("m", "t", "c").startswith(b'data: {"error":')
    assert error_event("m", "t", "c").endswith(b"}\n\n")


def test_usage_is_found_in_a_piece_of_a_long_answer() -> None:
    tail = b'0.1,0.2]}],"model":"m","usage":{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":2}},"x":1}'
    found = find_usage(tail)
    assert found is not None
    assert found.usage == Usage(input=5, cache_read=2)
    assert find_usage(b'"text":"\\"usage\\":{}"') is None
    assert find_usage(b'"usage":{"prompt_tokens":') is None


@pytest.mark.parametrize(
    ("body", "tier"),
    [
        (b'{"model":"m"}', None),
        (b'{"service_tier":"flex"}', "flex"),
        (b'{"service_tier":null}', None),
        (b'{"service_tier":7}', None),
        (b'{"user":"\\"service_tier\\""}', None),
        (b'["service_tier"]', None),
        (b'{"service_tier":', None),
    ],
)
def test_the_tier_that_a_request_asks_for(body: bytes, tier: str | None) -> None:
    assert asked_tier(body) == tier
