"""The bytes of an answer's head."""

import json

import pytest

from gateway.server.answer import chunk, opening, refusal
from gateway.server.head import Field

DATE = b"date: Mon, 23 Nov 2026 10:00:00 GMT"
LENGTH = (b"content-length", b"2")


def lines(status: int, *fields: Field, silent: bool = False, old: bool = False, close: bool = False) -> list[str]:
    head, *_ = opening(status, list(fields), DATE, silent, old, close)
    *lines, end, nothing = head.decode().split("\r\n")
    assert (end, nothing) == ("", "")
    assert lines.pop(1) == DATE.decode()
    return lines


@pytest.mark.parametrize(
    ("status", "line"), [(200, "200 OK"), (404, "404 Not Found"), (299, "299 "), (429, "429 Too Many Requests")]
)
def test_the_first_line_names_the_status(status: int, line: str) -> None:
    assert lines(status, LENGTH) == [f"HTTP/1.1 {line}", "content-length: 2"]


def test_fields_are_written_as_they_are_and_in_their_order() -> None:
    fields = [(b"x-b", b"1"), LENGTH, (b"x-a", "grün".encode("latin-1")), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    head, *_ = opening(200, fields, DATE, False, False, False)
    expected = b"x-b: 1\r\ncontent-length: 2\r\nx-a: gr\xfcn\r\nset-cookie: a\r\nset-cookie: b"
    assert head == b"HTTP/1.1 200 OK\r\n" + DATE + b"\r\n" + expected + b"\r\n\r\n"


def test_framing_connection_and_date_are_the_servers_business() -> None:
    fields = [(b"transfer-encoding", b"gzip"), (b"connection", b"x-hop"), (b"date", b"yesterday"), LENGTH]
    assert lines(200, *fields) == ["HTTP/1.1 200 OK", "content-length: 2"]
    assert "connection: close" in lines(200, (b"connection", b"Close"), LENGTH)


@pytest.mark.parametrize(
    ("fields", "options", "expected"),
    [
        ([LENGTH], {}, (2, False, False)),
        ([], {}, (None, True, False)),
        ([], {"silent": True}, (None, False, False)),
        ([LENGTH], {"silent": True}, (2, False, False)),
        ([], {"close": True}, (None, True, True)),
        ([LENGTH], {"old": True}, (2, False, False)),
        ([], {"old": True}, (None, False, True)),
        ([], {"old": True, "silent": True}, (None, False, False)),
        ([LENGTH], {"old": True, "close": True}, (2, False, True)),
    ],
)
def test_how_a_body_is_framed_and_whether_another_answer_follows(
    fields: list[Field], options: dict[str, bool], expected: tuple[int | None, bool, bool]
) -> None:
    given = {"silent": False, "old": False, "close": False, **options}
    head, *found = opening(200, fields, DATE, given["silent"], given["old"], given["close"])
    assert tuple(found) == expected
    assert (b"transfer-encoding: chunked\r\n" in head) == expected[1]
    assert (b"connection: close\r\n" in head) == expected[2]
    assert (b"connection: keep-alive\r\n" in head) == (given["old"] and not expected[2])


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_are_not_framed(status: int) -> None:
    assert len(lines(status)) == 1


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (100, []),
        (101, []),
        (600, []),
        (200, [(b"x", b"a\r\nset-cookie: b")]),
        (200, [(b"x", b"a\nb")]),
        (200, [(b"x", b"a\rb")]),
        (200, [(b"x\r\ny", b"a")]),
        (200, [(b"content-length", b"two")]),
        (200, [LENGTH, LENGTH]),
        (200, [LENGTH, (b"content-length", b"3")]),
    ],
)
def test_what_cannot_be_said_is_an_error(status: int, fields: list[Field]) -> None:
    """A line break in a field would let whoever chose its value write an answer of their own."""
    with pytest.raises(ValueError):
        opening(status, fields, DATE, False, False, False)


def test_a_chunk_says_its_size_in_hexadecimal() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (500, "internal")])
def test_a_refusal_is_whole_and_the_last_one(status: int, code: str) -> None:
    head, _, body = refusal(status, 'no "host"', DATE).partition(b"\r\n\r\n")
    assert b"content-length: %d\r\nconnection: close" % len(body) in head
    error = json.loads(body)["error"]
    assert (error["message"], error["code"], error["param"]) == ('no "host"', code, None)
