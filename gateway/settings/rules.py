"""Rules for plain values: words, numbers, money, durations, sizes, times, paths.

Every value comes as the text that was written. A rule takes it exactly or says what it wanted instead; what it may
repeat in a message is never a secret.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from gateway.settings.problems import Wrong, nearest
from gateway.settings.schema import Rule
from gateway.settings.secret_refs import SecretRef, parse_reference
from gateway.settings.source import Node

T = TypeVar("T")

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([A-Za-z]{1,3})")
_BYTES = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?")


def quoted(text: str) -> str:
    """A value as a message repeats it."""
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}…`"


def text_of(node: Node, word: str) -> str:
    """The text of a node. Raises `Wrong` if it is a list, a mapping or nothing."""
    if node.content is None:
        raise Wrong("has no value", "give it one or leave it out")
    if not isinstance(node.content, str):
        raise Wrong(f"must be one value ({word}), not {node.shape}")
    return node.content


def scalar(word: str, parse: Callable[[str], T]) -> Rule[T]:
    """A rule for one text; `parse` raises `Wrong`."""
    return Rule(word, lambda node, _: parse(text_of(node, word)))


def choice(*words: str, later: Mapping[str, str] | None = None) -> Rule[str]:
    """One of some words. `later` maps words of later versions to how a refusal calls them."""
    shown = " or ".join(f"`{word}`" for word in words)

    def parse(text: str) -> str:
        if text in words:
            return text
        if later and text in later:
            raise Wrong(f"{later[text]} not in this version", f"write {shown}" if len(words) == 1 else None)
        near = nearest(text, words)
        raise Wrong(f"{quoted(text)} is not one of {shown}", f"did you mean `{near}`?" if near else None)

    return scalar(shown, parse)


def integer(low: int, high: int) -> Rule[int]:
    """A whole number within bounds, both included."""
    word = f"integer, {low} to {high}"

    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise Wrong(f"{quoted(text)} is not a whole number")
        if not low <= int(text) <= high:
            raise Wrong(f"must be from {low} to {high}, and {text} is not")
        return int(text)

    return scalar(word, parse)


def decimal_of(text: str) -> Decimal:
    """An exact decimal from its text. Raises `Wrong`."""
    if not _DECIMAL.fullmatch(text):
        raise Wrong(f"{quoted(text)} is not a decimal number", "write it like 0.05, without unit or sign of a currency")
    return Decimal(text)


def money(high: str) -> Rule[Decimal]:
    """An amount in USD, never negative, never a float."""

    def parse(text: str) -> Decimal:
        amount = decimal_of(text)
        if amount.is_signed() and amount:
            raise Wrong("must not be negative")
        if amount > Decimal(high):
            raise Wrong(f"must be at most {high}, and {text} is more", "the unit is in the setting's name")
        return abs(amount)

    return scalar("decimal in USD", parse)


def share(high: str) -> Rule[float]:
    """A proportion from 0 to `high`."""

    def parse(text: str) -> float:
        if not 0 <= decimal_of(text) <= Decimal(high):
            raise Wrong(f"must be from 0 to {high}, and {text} is not")
        return float(text)

    return scalar(f"number, 0 to {high}", parse)


def _seconds(text: str) -> Decimal:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Wrong(f"{quoted(text)} is not a duration", "write it like 250ms, 30s, 5m, 1h or 30d")
    return Decimal(match[1]) * _SECONDS[match[2]]


def duration(low: str, high: str) -> Rule[float]:
    """A time span with its unit, within bounds; the value is in seconds."""
    least, most = _seconds(low), _seconds(high)

    def parse(text: str) -> float:
        seconds = _seconds(text)
        if not least <= seconds <= most:
            raise Wrong(f"must be from {low} to {high}, and {text} is not")
        return float(seconds)

    return scalar(f"duration, {low} to {high}", parse)


def _byte_count(text: str) -> Decimal:
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _BYTES:
        raise Wrong(f"{quoted(text)} is not a size", f"write a number with one of {', '.join(_BYTES)}, like 256MiB")
    return Decimal(match[1]) * Decimal(_BYTES[match[2]])


def size(low: str, high: str) -> Rule[int]:
    """A number of bytes with its unit, within bounds."""
    least, most = _byte_count(low), _byte_count(high)

    def parse(text: str) -> int:
        count = _byte_count(text)
        if not least <= count <= most:
            raise Wrong(f"must be from {low} to {high}, and {text} is not")
        if count != int(count):
            raise Wrong(f"{quoted(text)} is not a whole number of bytes")
        return int(count)

    return scalar(f"size, {low} to {high}", parse)


def _only_true(text: str) -> bool:
    if text.lower() != "true":
        raise Wrong("can only be true", "leave it out otherwise")
    return True


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise Wrong(f"{quoted(text)} is neither `true` nor `false`")
    return text.lower() == "true"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong(f"{quoted(text)} is not a time", "write it like 2027-01-31T00:00:00Z") from None
    if moment.tzinfo is None:
        raise Wrong(f"{quoted(text)} says no time zone", "write it like 2027-01-31T00:00:00Z")
    return moment


def _line(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable() or len(text) > 200:
        raise Wrong("must be one line of at most 200 characters, without spaces around it")
    return text


only_true = scalar("`true`", _only_true)
flag = scalar("`true` or `false`", _flag)
moment = scalar("time (RFC 3339)", _moment)
line_of_text = scalar("text", _line)
path: Rule[Path] = Rule("path", lambda node, _: node.origin.absolute(text_of(node, "path")))
secret: Rule[SecretRef] = Rule(
    "`env:NAME` or `file:PATH`",
    lambda node, _: parse_reference(text_of(node, "a reference"), node.path, node.origin),
)
