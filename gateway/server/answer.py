"""The bytes of an answer's head, and whole answers of the server's own. Pure: knows no connection."""

import json
from http import HTTPStatus

from gateway.server.head import Field

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

BODILESS = frozenset((204, 304))
"""Statuses whose answers have no body."""
_NOTED = frozenset((b"content-length", b"connection", b"transfer-encoding", b"date"))
_CR, _LF = b"\r\n"
_PAIR = b": ".join
_LAST, _NEXT = b"connection: close\r\n\r\n", b"\r\n"


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


_STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


def opening(
    status: int, fields: list[Field], date: bytes, silent: bool, old: bool, close: bool
) -> tuple[bytes, int | None, bool, bool]:
    """The head for what the application states; framing and connection are the server's business.

    `date`: the field as a line; `silent`: an answer to HEAD; `old`: to HTTP/1.0; `close`: no other request follows.
    Gives the head, the stated length of the body if any, whether the body is sent in chunks, and whether it is the last
    answer on its connection. Raises `ValueError` on what cannot be said in HTTP.
    """
    if status not in _STATUS_LINES:
        raise ValueError(f"no final status of an answer: {status}")
    lines, length = [_STATUS_LINES[status], date], None
    for field in fields:
        name = field[0]
        if name in _NOTED:
            if name == b"content-length":
                length = _length(length, field[1])
            else:
                close = close or (name == b"connection" and field[1].lower() == b"close")
                continue
        lines.append(_PAIR(field))
    framed = length is not None or silent or status in BODILESS
    chunked = not framed and not old
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    if close or (old and not framed):
        close = True
        lines.append(b"connection: close")
    elif old:
        lines.append(b"connection: keep-alive")
    said = b"".join(lines)
    if _LF in said or _CR in said:
        raise ValueError("a field of the answer has a line break in it")
    lines += (b"", b"")
    return b"\r\n".join(lines), length, chunked, close


def whole(status: int, fields: list[tuple[str, str]], date: bytes, size: int, close: bool) -> bytes:
    """The head of an answer whose body of `size` bytes is there; `fields` say nothing of framing and connection.

    Raises `ValueError` on what cannot be said in HTTP.
    """
    said = "".join([f"{name}: {value}\r\n" for name, value in fields])
    if said.count("\n") != len(fields) or said.count("\r") != len(fields):
        raise ValueError("a field of the answer has a line break in it")
    text = said.encode() if said.isascii() else said.encode("latin-1", "replace")
    end = _LAST if close else _NEXT
    return b"%b\r\n%b\r\n%bcontent-length: %d\r\n%b" % (_STATUS_LINES[status], date, text, size, end)


def _length(before: int | None, stated: bytes) -> int:
    if before is not None:
        raise ValueError("an answer with two lengths")
    return int(stated)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def refusal(status: int, message: str, date: bytes) -> bytes:
    """A whole answer in the server's own name, the last one on its connection: JSON of OpenAI's form."""
    kind, code = ("server_error", "internal") if status == 500 else ("invalid_request_error", "invalid_request")
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return opening(status, fields, date, False, False, True)[0] + body
