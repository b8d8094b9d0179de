"""What a request can use, as far as its body tells."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.openai_reach import Reach, reach_of

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def reach(*parts: object, generates: bool = True, **more: object) -> Reach:
    asked = {**CHAT, **more}
    if parts:
        asked["messages"] = [{"role": "user", "content": list(parts)}]
    return reach_of(json.dumps(asked).encode(), generates=generates)


def test_a_plain_request_is_bounded_by_its_bytes_and_has_no_limit() -> None:
    size = len(json.dumps(CHAT))
    assert reach() == Reach(body_bytes=size, messages=1)


@pytest.mark.parametrize(
    ("more", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 9, "max_completion_tokens": 7}, 9),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": -1}, None),
        ({"max_tokens": None}, None),
        ({"max_tokens": "5"}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": 5.5}, None),
    ],
)
def test_the_limit_of_an_answer(more: dict[str, Any], limit: int | None) -> None:
    assert reach(**more).limit == limit


@pytest.mark.parametrize(
    ("more", "choices"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": 2, "best_of": 5}, 5),
        ({"n": 0}, 1),
        ({"n": "3"}, 1),
        ({"prompt": ["a", "b"], "n": 2}, 4),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": []}, 1),
        ({"prompt": "a"}, 1),
    ],
)
def test_as_many_answers_as_it_asks_for(more: dict[str, Any], choices: int) -> None:
    assert reach(**more).choices == choices


def test_embeddings_have_no_answer_to_pay_for() -> None:
    found = reach(generates=False, n=3)
    assert (found.limit, found.choices) == (0, 1)


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 200_000}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}


def test_what_it_carries_inline_counts_by_piece_and_not_by_its_bytes() -> None:
    found = reach({"type": "text", "text": "what is this?"}, IMAGE, IMAGE, SOUND, FILE)
    assert (found.images, found.sounds, found.files, found.open_because) == (2, 1, 1, None)
    assert found.body_bytes < 1000
    assert found.audio


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": None},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        {"type": "tool_result", "content": [{"type": "image_url", "image_url": "https://example.com/a.png"}]},
        {},
    ],
)
def test_what_it_only_names_leaves_its_prompt_without_a_bound(part: dict[str, object]) -> None:
    assert reach(part).open_because


@pytest.mark.parametrize(
    ("more", "because", "searches"),
    [
        ({"previous_response_id": "r"}, "it goes on with a stored response", False),
        ({"conversation": "c"}, "it goes on with a stored conversation", False),
        ({"web_search_options": {}}, "it may search the web", True),
        ({"plugins": [{"id": "web"}]}, "it uses plugins of the provider", True),
        ({"tools": [{"type": "web_search_preview"}]}, "it may use the tool web_search_preview", True),
        ({"tools": [{"type": "code_interpreter"}]}, "it may use the tool code_interpreter", False),
        ({"tools": [{"type": "function"}, {"type": "custom"}]}, None, False),
        ({"previous_response_id": None, "tools": "none"}, None, False),
    ],
)
def test_what_the_provider_adds_to_a_prompt_has_no_bound(
    more: dict[str, Any], because: str | None, searches: bool
) -> None:
    found = reach(**more)
    assert (found.open_because, found.searches) == (because, searches)


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_schema"}}, "it asks for JSON"),
        ({"response_format": {"type": "json_object"}}, "it asks for JSON"),
        ({"reasoning_effort": "low"}, "it asks for reasoning"),
        ({"thinking": {"type": "enabled"}}, "it asks for reasoning"),
        ({"tools": [{"type": "function"}]}, "it offers tools"),
        ({"functions": [{"name": "f"}]}, "it offers tools"),
    ],
)
def test_a_smaller_answer_would_be_none_at_all(more: dict[str, Any], because: str | None) -> None:
    assert reach(**more).rigid_because == because


def test_sound_is_asked_for_or_sent() -> None:
    assert reach(modalities=["text", "audio"], audio={"voice": "alloy"}).audio
    assert reach(modalities=["audio"]).audio
    assert not reach(modalities=["text"]).audio


def test_a_predicted_output_may_be_billed_beside_the_answer() -> None:
    assert reach(prediction={"type": "content", "content": "x" * 100}).predicted_bytes > 100


def test_the_tier_is_in_the_client_s_words() -> None:
    assert [reach(service_tier=tier).tier for tier in ("flex", None, 3)] == ["flex", None, None]


def test_a_part_of_a_kind_that_is_no_word_is_a_part_of_no_kind() -> None:
    assert reach({"type": ["text"]}).open_because == "it has a part of the kind \"['text']\""


FINITE = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | FINITE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "content", "url"]), inner),
    max_leaves=8,
)
FIELDS = ("messages", "prompt", "tools", "n", "best_of", "max_tokens", "modalities", "response_format", "prediction")


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_whatever_the_body_says_it_is_read(asked: dict[str, object]) -> None:
    """Known fault 73: what makes no sense is the upstream's to refuse."""
    found = reach_of(json.dumps(asked).encode())
    assert found.choices >= 1
    assert found.body_bytes >= 2
