"""Server-sent events out of any split of a stream into reads."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.wire.sse import MAX_EVENT, EventSplitter, data_of

STREAM = b'data: {"a":1}\n\n: keep-alive 1/1\n\nevent: ping\ndata: x\ndata: y\n\ndata: [DONE]\n\n'


def events(stream: bytes, cuts: list[int]) -> tuple[list[bytes], bytes]:
    """Feed a stream cut at these places; the events, and what is left."""
    splitter = EventSplitter()
    found: list[bytes] = []
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in zip(places, places[1:], strict=False):
        found += splitter.feed(stream[start:end])
    return found, splitter.rest()


@given(st.lists(st.integers(0, 10_000), max_size=20), st.sampled_from([b"\n", b"\r\n"]))
def test_any_split_gives_the_same_events_and_every_byte_once(cuts: list[int], line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    whole, rest = events(stream, [])
    assert events(stream, cuts) == (whole, rest)
    assert b"".join(whole) + rest == stream
    assert [data_of(event) for event in whole] == [b'{"a":1}', None, b"x\ny", b"[DONE]"]


@given(st.text(alphabet="ab:\r\n", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_no_byte_is_lost_whatever_comes(text: str, cuts: list[int]) -> None:
    found, rest = events(text.encode(), cuts)
    assert b"".join(found) + rest == text.encode()


@settings(max_examples=500)
@example("\n\n\n", [0])
@example("a\n\n\n\n\nb\n\n", [])
@given(st.text(alphabet="ab\r\n", max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_mixed_line_ends_split_alike(text: str, cuts: list[int]) -> None:
    assert events(text.encode(), cuts) == events(text.encode(), [])


def test_the_last_event_may_lack_its_blank_line() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\n\ndata: b") == [b"data: a\n\n"]
    assert data_of(splitter.rest()) == b"b"
    assert splitter.rest() == b""


def test_an_event_without_end_does_not_fill_the_memory() -> None:
    splitter = EventSplitter()
    piece = b"data: " + b"x" * (1024 * 1024)
    passed = sum(len(event) for _ in range(20) for event in splitter.feed(piece))
    assert passed + len(splitter.rest()) == 20 * len(piece)
    assert passed >= 20 * len(piece) - MAX_EVENT - len(piece)


def test_data_lines_as_the_standard_reads_them() -> None:
    assert data_of(b"data:no space\n\n") == b"no space"
    assert data_of(b"data:  two spaces\n\n") == b" two spaces"
    assert data_of(b"data\n\n") == b""
    assert data_of(b"id: 3\nretry: 10\n\n") is None
