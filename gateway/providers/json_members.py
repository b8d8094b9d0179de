"""The members of a JSON object one after the other, each with its own text.

The standard reader makes all values of an object at once, and tells of none where it stood: to keep of a large file a
few texts, and no values, it alone is not enough. Values are still its business.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_JSON = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")


def members(text: str) -> Iterator[tuple[str, Any, str]]:
    """Key, value, and the value's text. Raises `ValueError`, and `RecursionError` for what is nested too deeply."""
    at = _behind(text, 0, "{")
    if text[at : at + 1] != "}":
        while True:
            key, end = _JSON.raw_decode(text, at)
            if not isinstance(key, str):
                raise ValueError(f"the key at {at} is no text")
            at = _behind(text, end, ":")
            value, end = _JSON.raw_decode(text, at)
            yield key, value, text[at:end]
            at = _next(text, end)
            if text[at : at + 1] == "}":
                break
            at = _behind(text, at, ",")
    end = _next(text, at + 1)
    if end != len(text):
        raise ValueError(f"something follows the object at {end}")


def _behind(text: str, at: int, mark: str) -> int:
    """Where the next thing begins behind a mark."""
    at = _next(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark!r} is missing at {at}")
    return _next(text, at + 1)


def _next(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    assert blank is not None, "it matches nothing, too"
    return blank.end()
