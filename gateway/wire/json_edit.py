"""Change top-level fields of a JSON object without touching any other byte.

What a client sent is forwarded as it sent it: numbers beyond 64 bits, the order of keys, even white space survive.
The caller has parsed the body and knows that it is an object.
"""

import re

Edit = tuple[int, int, bytes]
"""From which byte to which of the body something else stands, and what."""
Pieces = tuple[bytes | memoryview, ...]
"""A body one piece after the other."""

LARGE = 64 * 1024
"""Bytes of a body that is not joined anew: that would hold it twice."""

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
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    at = 0
    for start, end, value in sorted(edits):
        pieces += (view[at:start], value)
        at = end
    pieces.append(view[at:])
    return (b"".join(pieces),) if len(body) < LARGE else tuple(pieces)


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


def inserting(body: bytes, key: str, value: bytes) -> Edit:
    """The edit by which the field stands in front of all others; the object must not have it yet."""
    opened = _OPEN.match(body)
    if opened is None:
        raise ValueError("not a JSON object")
    field = b'"' + key.encode() + b'":' + value
    empty = body.startswith(b"}", opened.end())
    return 0, opened.end(), b"{" + field + (b"" if empty else b",")


def _spans(body: bytes, key: str) -> list[tuple[int, int]]:
    """Where the values of the top-level fields with this name begin and end."""
    at = _only_place(body, key)
    if at >= 0 and (colon := _COLON.match(body, at)) is not None:
        return [_value_span(body, colon.end())]
    return _walk(body, key)


def _only_place(body: bytes, key: str) -> int:
    """Behind the only place where the name stands, which must be the field that the parser saw; else -1."""
    name = b'"%b"' % key.encode()
    at = body.find(name)
    if at < 0 or body.find(name, at + 1) >= 0 or b"\\u" in body:
        return -1
    return at + len(name)


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
