"""What is read of a large body whose long texts are cut is what would be read of all of it."""

import json
import tracemalloc

import orjson
import pytest

from gateway.core.errors import Fault
from gateway.wire.openai import read_request
from gateway.wire.outline import LARGE, LONG, outline

TEXTS = [
    "plain words, one after the other. ",
    'say "no"\\\n',
    '\\"',
    "a\\\\\\",
    "日本語のテキスト",
    "😀",
    "é",
    "A",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("shift", range(13))
@pytest.mark.parametrize("ascii_only", [True, False])
def test_whatever_is_written_it_stays_json_and_texts_keep_their_beginning(
    text: str, shift: int, ascii_only: bool
) -> None:
    written = len(_written(text, ascii_only)) - 2
    long = "x" * shift + text * (LONG // written + 10)
    asked = {"model": "m", "messages": [{"content": long}, {"content": "short"}], "user": long, "prompt": "x" * LARGE}
    body = _written(asked, ascii_only)
    assert len(outline(body)) < len(body)
    short = orjson.loads(outline(body))
    assert short["model"] == "m"
    assert short["messages"][1] == {"content": "short"}
    for cut in (short["user"], short["messages"][0]["content"]):
        assert long.startswith(cut)
        assert len(cut) > 512


def test_a_request_is_read_as_if_nothing_were_left_out() -> None:
    long = "é" * LARGE
    body = {"model": "m", "prompt": long, "user": long, "metadata": {"a": long, "b": "c"}, "stream": True}
    asked = read_request(_written(body, True))
    assert asked == read_request(orjson.dumps({**body, "prompt": ""}))
    assert asked.end_user == long[:256]


def test_a_model_that_is_too_long_is_told_so() -> None:
    with pytest.raises(Fault, match="longer than"):
        read_request(_written({"model": "😀" * LARGE}, True))


@pytest.mark.parametrize("body", [b"{}" + b" " * LARGE, b'{"prompt": "' + b"\\" * LARGE + b'"}', b"[" + b'"",' * LARGE])
def test_what_cannot_be_cut_stays_as_it_is(body: bytes) -> None:
    assert outline(body) is body


@pytest.mark.parametrize("end", [b"", b'"', b'\\"}', b'"]]'])
def test_a_broken_body_stays_broken(end: bytes) -> None:
    with pytest.raises(Fault):
        read_request(b'{"model": "m", "prompt": "' + b"word " * LARGE + end)


def test_a_text_is_cut_only_if_it_is_long() -> None:
    body = orjson.dumps({"model": "m", "prompt": ["x" * (LONG - 2)] * 10})
    assert outline(body) is body


def test_reading_a_large_prompt_makes_no_copy_of_it() -> None:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "some words\n" * 100_000}]})
    read_request(body)
    tracemalloc.start()
    try:
        read_request(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(body) / 10


def _written(value: object, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode()
