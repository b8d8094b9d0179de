"""The bytes of an answer's head, and whole answers of the server's own. Pure: knows no connection."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from gateway.server.head import Field

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_BODILESS = frozenset((204, 304))


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


_STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


class Opening(NamedTuple):
    """An answer's head, and how its body is framed."""

    head: bytes
    length: int | None
    """Bytes of the body, if they are stated; null for one that is chunked or ends with the line."""
    chunked: bool
    silent: bool
    """Has no body, whatever its fields say."""
    close: bool
    """It is the last one on its connection."""


def opening(
    status: int, fields: Iterable[Field], date: bytes, *, to_head: bool = False, old: bool = False, close: bool = False
) -> Opening:
    """The head for what the application states; framing and connection are the server's business.

    `date`: the field as a line; `to_head`: the request's method is HEAD; `old`: it came by HTTP/1.0; `close`: no other
    request follows. Raises `ValueError` on what cannot be said in HTTP.
    """
    if status not in _STATUS_LINES:
        raise ValueError(f"no final status of an answer: {status}")
    if type(fields) is not list:
        fields = list(fields)
    named = dict(fields)
    if b"connection" in named or b"transfer-encoding" in named:
        close = close or b"close" in named.get(b"connection", b"").lower()
        fields = [field for field in fields if field[0] not in (b"connection", b"transfer-encoding")]
    lines = [_STATUS_LINES[status]] if b"date" in named else [_STATUS_LINES[status], date]
    lines += map(b": ".join, fields)
    silent = to_head or status in _BODILESS
    length = _length(named, fields)
    chunked = length is None and not silent and not old
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    if close or (old and length is None and not silent):
        close = True
        lines.append(b"connection: close")
    elif old:
        lines.append(b"connection: keep-alive")
    lines += (b"", b"")
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise ValueError("a field of the answer has a line break in it")
    return Opening(head, length, chunked, silent, close)


def _length(named: dict[bytes, bytes], fields: list[Field]) -> int | None:
    stated = named.get(b"content-length")
    if stated is None:
        return None
    if len(named) < len(fields) and sum(name == b"content-length" for name, _ in fields) > 1:
        raise ValueError("an answer with two lengths")
    return int(stated)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def refusal(status: int, message: str, date: bytes) -> bytes:
    """A whole answer in the server's own name, the last one on its connection: JSON of OpenAI's form."""
    kind, code = ("server_error", "internal") if status == 500 else ("invalid_request_error", "invalid_request")
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return opening(status, fields, date, close=True).head + body
