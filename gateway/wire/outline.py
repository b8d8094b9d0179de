"""Large bodies without the length of their texts: the same JSON, with long texts cut short.

What a gateway must know of a request stands in few of its bytes, and a parser would copy all of them, twice.
Pure: bytes in, bytes out; knows no dialect.
"""

import re

LARGE = 64 * 1024
"""Bytes of a body below which nothing is gained."""
LONG = 16 * 1024
"""Bytes of a text that is cut."""
_KEPT = 8 * 1024
"""Bytes that stay of it: more than 512 characters however they are written, for names and labels are read from them."""
_QUOTES = 8192
"""Quotes that are looked at, a millisecond at most; what stands behind them stays as it is."""
_ESCAPES = 64
"""Backslashes in a row that are counted; with more the body stays as it is."""
_BACKSLASH = 0x5C
# Where a text may end: behind some plain ASCII, so that no escape is open; before a whole character of UTF-8; before
# an escape that is no second half of a pair.
_PLACE = re.compile(rb"(?<=[ !#-\[\]-~]{6})|(?=[\xc2-\xf4])|(?<!\\)(?=\\(?!u[dD][c-fC-F]))")


def outline(body: bytes) -> bytes:
    """The JSON text with long texts cut: as valid as it was, but for what was in them."""
    if len(body) < LARGE:
        return body
    view = memoryview(body)
    kept: list[memoryview] = []
    begin, opened, at = 0, -1, -1
    for _ in range(_QUOTES):
        at = body.find(b'"', at + 1)
        if at < 0:
            break
        if opened < 0:
            opened = at
            continue
        if body[at - 1] == _BACKSLASH:
            escapes = _backslashes(body, opened + 1, at)
            if escapes > _ESCAPES:
                return body
            if escapes % 2:
                continue
        if at - opened > LONG and (place := _PLACE.search(body, opened + _KEPT, at)) is not None:
            kept.append(view[begin : place.start()])
            begin = at
        opened = -1
    kept.append(view[begin:])
    return b"".join(kept) if begin else body


def _backslashes(body: bytes, start: int, end: int) -> int:
    """How many stand right before `end`; no more are told than one beyond the bound."""
    near = body[max(start, end - _ESCAPES - 1) : end]
    return len(near) - len(near.rstrip(b"\\"))
