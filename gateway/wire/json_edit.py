"""Change top-level fields of a JSON object without touching any other byte.

What a client sent is forwarded as it sent it: numbers beyond 64 bits, the order of keys, even white space survive.
The caller has parsed the body and knows that it is an object.
"""

import re
from collections.abc import Mapping

Edit = tuple[int, int, bytes]
"""From which byte to which of the body something else stands, and what."""
Pieces = tuple[bytes | memoryview, ...]
"""A body one piece after the other."""

LARGE = 64 * 1024
"""Bytes of a body that is not joined anew: that would hold it twice."""
_HOPS = 8192
"""First bytes that are looked at one by one, half a millisecond at most."""

_SPACE = rb"[ \t\r\n]*"
# One token that matters to the depth of a JSON text: a whole string, or a bracket.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_COLON = re.compile(_SPACE + rb":" + _SPACE)
_AFTER_VALUE = re.compile(rb"[^,}\]]*")
_OPEN = re.compile(_SPACE + rb"\{" + _SPACE)


def edited(body: bytes, edits: list[Edit]) -> Pieces:
    """`body` with all `edits`, which must not overlap: in one piece, or in views of the same bytes if it is large."""
    if not edits:
        return (body,)
    if len(edits) > 1:
        edits = sorted(edits)
    if len(body) < LARGE:
        return (_joined(body, edits),)
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    at = 0
    for start, end, value in edits:
        pieces += (view[at:start], value)
        at = end
    pieces.append(view[at:])
    return tuple(pieces)


def _joined(body: bytes, edits: list[Edit]) -> bytes:
    if len(edits) == 1:
        start, end, value = edits[0]
        return body[:start] + value + body[end:]
    parts: list[bytes] = []
    at = 0
    for start, end, value in edits:
        parts += (body[at:start], value)
        at = end
    parts.append(body[at:])
    return b"".join(parts)


def replacing(body: bytes, key: str, value: bytes, likely: bytes = b"") -> list[Edit]:
    """The edits by which the JSON text `value` is that of every top-level `key`; the object must have it.

    `likely` is how the value is probably written now, a whole string: found, it need not be searched for.
    """
    at = _only_place(body, key) if likely else -1
    if at >= 0:
        for start in (at + 1, at + 2):  # behind `:` or `: `
            if body.startswith(likely, start) and body[at:start].strip() == b":":
                return [(start, start + len(likely), value)]
    return [(start, end, value) for start, end in _spans(body, key)]


def inserting(body: bytes, fields: Mapping[str, bytes]) -> Edit:
    """The edit by which these fields stand in front of all others; the object must not have any of them yet."""
    opened = _OPEN.match(body)
    if opened is None:
        raise ValueError("not a JSON object")
    new = b",".join([b'"' + key.encode() + b'":' + value for key, value in fields.items()])
    empty = body.startswith(b"}", opened.end())
    return 0, opened.end(), b"{" + new + (b"" if empty else b",")


def _spans(body: bytes, key: str) -> list[tuple[int, int]]:
    """Where the values of the top-level fields with this name begin and end."""
    at = _only_place(body, key)
    if at >= 0 and (colon := _COLON.match(body, at)) is not None:
        return [_value_span(body, colon.end())]
    return _walk(body, key)


def _only_place(body: bytes, key: str) -> int:
    """Behind the only place where the name stands, which must be the field that the parser saw; else -1."""
    name = b'"%b"' % key.encode()
    find = _find if len(body) >= LARGE else bytes.find
    at = find(body, name, 0)
    if at < 0 or find(body, name, at + 1) >= 0 or find(body, b"\\u", 0) >= 0:
        return -1
    return at + len(name)


def _find(body: bytes, text: bytes, at: int) -> int:
    """As `bytes.find`, which looks for one byte many times faster than for several: from first byte to first byte."""
    first = text[:1]
    for _ in range(_HOPS):
        at = body.find(first, at)
        if at < 0 or body.startswith(text, at):
            return at
        at += 1
    return body.find(text, at)


def _walk(body: bytes, key: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    depth = 0
    position = 0
    while token := _TOKEN.search(body, position):
        text = token.group()
        position = token.end()
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and (colon := _COLON.match(body, position)) and _same_name(text, key):
            span = _value_span(body, colon.end())
            spans.append(span)
            position = span[1]
    return spans


def _same_name(text: bytes, key: str) -> bool:
    if b"\\" not in text:
        return text[1:-1] == key.encode()
    return (
        re.sub(rb"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)).encode("utf-8", "replace"), text)[1:-1]
        == key.encode()
    )


def _value_span(body: bytes, start: int) -> tuple[int, int]:
    """From the first byte of a value to the byte after its last."""
    first = body[start : start + 1]
    if first == b'"':
        found = _TOKEN.match(body, start)
        if found is None:
            raise ValueError("unterminated string")
        return start, found.end()
    if first in (b"{", b"["):
        depth = 0
        for token in _TOKEN.finditer(body, start):
            text = token.group()
            if text in (b"{", b"["):
                depth += 1
            elif text in (b"}", b"]"):
                depth -= 1
                if depth == 0:
                    return start, token.end()
        raise ValueError("unterminated value")
    found = _AFTER_VALUE.match(body, start)
    end = found.end() if found else start
    return start, start + len(body[start:end].rstrip())
