"""The connection to an upstream against every way of framing an answer, and of lying about it."""

import gc
import http.client
import io
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import UpstreamFault
from gateway.net.outbox import AT_ONCE
from gateway.providers.http1 import HIGH_WATER, MAX_BODILESS, MAX_HEAD, Connection
from tests.providers.corpus import ALL, BROKEN_OFF, CHUNKED, NEXT, OK, SMUGGLED, SOUND, TOO_MUCH, head_of
from tests.providers.memory_line import MemoryLine, at_once

T = TypeVar("T")


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise AssertionError("it waits")


@dataclass(frozen=True)
class Heard:
    """What became of one answer."""

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fault: str | None
    reusable: bool
    uncertain: bool = False


def connected() -> tuple[Connection, MemoryLine]:
    connection, line = Connection(lambda _: None, at_once()), MemoryLine()
    connection.connection_made(line)
    return connection, line


def test_a_body_in_pieces_leaves_in_their_order() -> None:
    connection, line = connected()
    large = b"x" * AT_ONCE
    connection.send(b"head ", memoryview(b"one "), b"two ", memoryview(large), b"", b" end")
    assert line.written == b"head one two " + large + b" end"


def hear(connection: Connection, pieces: Iterable[bytes], *, end: bool = True) -> Heard:
    """Asks, and hears the answer in these pieces; then, if the answer is not whole, the end of the line."""
    exchange = connection.send(b"POST / HTTP/1.1\r\n\r\n", b"")
    for piece in pieces:
        if connection.transport is None or connection.transport.is_closing():
            break  # the line is cut: a real transport would deliver nothing more
        connection.data_received(piece)
    if end and not exchange.complete and exchange.fault is None:
        connection.eof_received()
    body, fault = b"", None
    try:
        now(exchange.head())
        while part := now(exchange.read()):
            body += part
    except UpstreamFault as raised:
        fault = raised
    if exchange.complete:
        connection.finished()
    return Heard(
        status=exchange.status if exchange.head_done else None,
        headers=tuple(exchange.headers) if exchange.head_done else (),
        body=body,
        fault=fault.message if fault else None,
        reusable=connection.idle_and_open,
        uncertain=fault is not None and fault.uncertain,
    )


by_name = pytest.mark.parametrize("name", ALL)


def test_there_are_enough_cases_to_mean_something() -> None:
    assert len(SMUGGLED) >= 20
    assert len(ALL) == sum(map(len, (SOUND, SMUGGLED, BROKEN_OFF, TOO_MUCH))), "two cases share a name"


@by_name
def test_an_answer_is_read_as_it_should_be_or_refused(name: str) -> None:
    case = ALL[name]
    heard = hear(connected()[0], [case.raw] if case.raw else [])
    assert (heard.status, heard.reusable) == (case.status, case.reusable)
    assert (heard.fault is None) == (case.body is not None), heard.fault
    assert heard.uncertain == (case.body is None), "the request was sent: it may have been billed"
    if case.body is not None:
        assert heard.body == case.body


@by_name
def test_how_the_bytes_are_split_changes_nothing(name: str) -> None:
    """At every byte, and once at each place."""
    raw = ALL[name].raw
    whole = hear(connected()[0], [raw] if raw else [])
    assert hear(connected()[0], [raw[i : i + 1] for i in range(len(raw))]) == whole
    for cut in range(1, len(raw)):
        assert hear(connected()[0], [raw[:cut], raw[cut:]]) == whole, f"cut at {cut}"


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if case.reusable])
def test_nothing_of_one_answer_is_in_the_next(name: str) -> None:
    connection, _ = connected()
    hear(connection, [ALL[name].raw])
    assert hear(connection, [NEXT]) == Heard(201, (("content-length", "4"),), b"next", None, True)


class Bytes(io.BytesIO):
    """The little of a socket that the standard library's reader wants."""

    def makefile(self, mode: str) -> "Bytes":
        return self


@pytest.mark.parametrize("name", [name for name, case in {**SOUND, **TOO_MUCH}.items() if not case.strange])
def test_the_standard_library_reads_the_same(name: str) -> None:
    case = ALL[name]
    reader = http.client.HTTPResponse(Bytes(case.raw), method="POST")  # type: ignore[arg-type]
    reader.begin()
    assert (reader.status, reader.read()) == (case.status, case.body)


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=12).map(lambda text: f"x-{text}")
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Heard]:
    """Sound answers of every framing, and what is to be heard."""
    status = draw(st.sampled_from([200, 201, 400, 404, 429, 500, 503]))
    headers = draw(st.lists(st.tuples(TOKEN, VALUE), max_size=4))
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    body, framing = b"".join(chunks), draw(st.sampled_from(["length", "chunked", "end"]))
    if framing == "length":
        headers = [*headers, ("content-length", str(len(body)))]
        sent = body
    elif framing == "chunked":
        headers = [*headers, ("transfer-encoding", "chunked")]
        sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        sent = body
    interim = head_of("HTTP/1.1 103 Early Hints|link: x") * draw(st.integers(0, 2))
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers), "\r\n"]
    raw = interim + "\r\n".join(lines).encode("latin-1") + sent
    return raw, Heard(status, tuple(headers), body, None, framing != "end")


@given(answers(), st.data())
def test_any_split_of_any_answer_gives_the_same(answer: tuple[bytes, Heard], data: st.DataObject) -> None:
    raw, expected = answer
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=12)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert hear(connected()[0], pieces) == expected


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_at_all_can_crash_it(first: bytes, second: bytes) -> None:
    hear(connected()[0], [piece for piece in (first, second) if piece])
    hear(connected()[0], [CHUNKED + first, second + b"x"])


def test_the_end_of_the_line_is_no_end_of_the_answer_if_we_cut_it() -> None:
    """Going down must not make half an answer look whole."""
    connection, _ = connected()
    exchange = connection.send(b"", b"")
    connection.data_received(head_of(OK) + b"half")
    connection.abort()
    connection.connection_lost(None)
    assert now(exchange.read()) == b"half"
    with pytest.raises(UpstreamFault, match="broke off"):
        now(exchange.read())


def test_what_came_before_a_fault_is_delivered_before_it() -> None:
    connection, _ = connected()
    exchange = connection.send(b"", b"")
    connection.data_received(CHUNKED + b"5\r\nhello\r\nzz")
    assert now(exchange.read()) == b"hello"
    with pytest.raises(UpstreamFault, match="not valid HTTP"):
        now(exchange.read())


def test_trailers_do_not_touch_the_headers_that_were_read() -> None:
    connection, _ = connected()
    exchange = connection.send(b"", b"")
    connection.data_received(CHUNKED + b"2\r\nhi\r\n")
    headers = exchange.headers
    connection.data_received(b"0\r\nx-late: 1\r\nconnection: keep-alive\r\n\r\n")
    assert exchange.complete
    assert headers == exchange.headers == [("transfer-encoding", "chunked")]


@pytest.mark.parametrize(
    ("prefix", "flood"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: " + b"y" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 4096),
        (b"HTTP/1.1 200 OK\r\n", b"y" * 4096),
        (b"HTTP/1.1 200 ", b"y" * 4096),
        (b"", head_of("HTTP/1.1 100 Continue")),
        (b"", b"\r\n"),
        (CHUNKED + b"2\r\nhi\r\n0\r\n", b"x: " + b"y" * 1000 + b"\r\n"),
        (CHUNKED + b"2\r\nhi\r\n0\r\nx: ", b"y" * 4096),
        (CHUNKED + b"2;", b"y" * 4096),
    ],
)
def test_what_brings_no_body_has_a_bound(prefix: bytes, flood: bytes) -> None:
    """Else an upstream could fill the memory without a byte of an answer."""
    connection, line = connected()
    exchange = connection.send(b"", b"")
    connection.data_received(prefix)
    taken = 0
    while not line.aborted:
        connection.data_received(flood)
        taken += len(flood)
        assert taken <= MAX_BODILESS + len(flood)
    assert exchange.fault is not None


def test_a_large_head_is_read_and_a_larger_one_is_not() -> None:
    fields = "|".join(f"x-{number}: {'y' * 1000}" for number in range(200))
    assert hear(connected()[0], [head_of(f"{OK}|{fields}|content-length: 0")]).status == 200
    heard = hear(connected()[0], [head_of(f"{OK}|{fields}|{fields}|content-length: 0")])
    assert heard.fault == f"the upstream's header fields are longer than {MAX_HEAD} bytes"


def test_long_streams_of_small_reads_have_no_bound() -> None:
    connection, line = connected()
    exchange = connection.send(b"", b"")
    connection.data_received(CHUNKED)
    for _ in range(MAX_BODILESS // 4):
        connection.data_received(b"1\r\n")
        connection.data_received(b"x")
        connection.data_received(b"\r\n")
        now(exchange.read())
    assert not line.aborted


def test_reading_stops_while_nobody_reads_and_goes_on_after() -> None:
    connection, line = connected()
    exchange = connection.send(b"", b"")
    connection.data_received(head_of(f"{OK}|content-length: {10 * HIGH_WATER}"))
    connection.data_received(b"x" * HIGH_WATER)
    assert line.is_reading()
    connection.data_received(b"x")
    connection.data_received(b"x")  # what was already on its way
    assert not line.is_reading()
    assert len(now(exchange.read())) == HIGH_WATER + 2
    assert line.is_reading()


def test_a_connection_that_was_held_back_listens_again_when_it_is_idle() -> None:
    connection, line = connected()
    exchange = connection.send(b"", b"")
    connection.data_received(head_of(f"{OK}|content-length: {HIGH_WATER + 1}") + b"x" * (HIGH_WATER + 1))
    assert exchange.complete
    assert not line.is_reading()
    connection.finished()
    assert line.is_reading()
    assert connection.idle_and_open


def test_bytes_on_an_idle_connection_end_it() -> None:
    connection, line = connected()
    hear(connection, [NEXT])
    assert connection.idle_and_open
    connection.data_received(NEXT)
    assert line.aborted
    assert not connection.idle_and_open


def test_an_answer_before_the_request_was_sent_whole_ends_the_connection() -> None:
    connection, line = connected()
    line.unsent = 1000
    assert hear(connection, [head_of("HTTP/1.1 413 Too Large|content-length: 2") + b"no"]) == Heard(
        413, (("content-length", "2"),), b"no", None, False
    )


def test_a_large_body_is_sent_behind_its_head() -> None:
    connection, line = connected()
    connection.send(b"head", b"x" * 100_000)
    assert line.written == b"head" + b"x" * 100_000


def test_a_closed_line_takes_no_request() -> None:
    """And nothing was sent, so nothing can have been billed."""
    connection, line = connected()
    line.close()
    with pytest.raises(UpstreamFault) as raised:
        connection.send(b"", b"")
    assert not raised.value.uncertain
    assert line.written == b""


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("timeout=5", 5.0),
        ("timeout=5, max=100", 5.0),
        ("max=100, Timeout = 72", 72.0),
        ("max=100", None),
        ("timeout=soon", None),
        ("", None),
    ],
)
def test_how_long_the_server_keeps_the_connection(field: str, seconds: float | None) -> None:
    connection, _ = connected()
    hear(connection, [head_of(f"{OK}|keep-alive: {field}|content-length: 0")])
    assert connection.server_keeps == seconds


def test_the_end_of_the_line_is_told() -> None:
    told: list[Connection] = []
    connection = Connection(told.append, at_once())
    connection.connection_made(MemoryLine())
    assert told == []
    connection.connection_lost(OSError())
    assert told == [connection]


def test_an_exchange_leaves_nothing_to_the_garbage_collector() -> None:
    """Thousands a second would wait for it."""
    connection, _ = connected()
    hear(connection, [NEXT])
    gc.collect()
    gc.disable()
    try:
        hear(connection, [NEXT])
        hear(connection, [head_of(OK) + b"to the end"])
        connection.connection_lost(None)
        assert gc.collect() == 0
    finally:
        gc.enable()
