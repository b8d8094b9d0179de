"""From the options of `tollkeeper budget set` to the terms of a budget, in the words and types of the core."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from gateway.cli import when
from gateway.control.budget_terms import coming_raise, limit_of, percentages_of, zone_of
from gateway.core.budgets import Exhausted, Mode
from gateway.core.errors import Fault, Kind
from gateway.core.scopes import TAG, Scope, scope_of
from gateway.core.windows import Window

W = TypeVar("W", bound=StrEnum)


class _Unpriced(StrEnum):
    REFUSE = "refuse"
    ALLOW = "allow"


def stated_terms(
    *,
    limit: str | None,
    window: str | None,
    scope: Sequence[str] | None,
    mode: str | None,
    timezone: str | None,
    alert_at: str | None,
    on_exhausted: str | None,
    downgrade_to: str | None,
    unpriced: str | None,
) -> dict[str, Any]:
    """What was given. Raises `Fault` (invalid) that names the option, or the field of the admin API."""
    terms = {
        "limit_nano": None if limit is None else limit_of(limit),
        "window": _word(Window, window, "--window"),
        "scope": _scope(scope) if scope else None,
        "mode": _word(Mode, mode, "--mode"),
        "zone": None if timezone is None else zone_of(timezone),
        "alert_at": None if alert_at is None else _percentages(alert_at),
        "exhausted": _word(Exhausted, on_exhausted, "--on-exhausted"),
        "downgrade_to": downgrade_to,
        "unpriced_allowed": None if unpriced is None else _word(_Unpriced, unpriced, "--unpriced") is _Unpriced.ALLOW,
    }
    return {field: stated for field, stated in terms.items() if stated is not None}


def stated_raise(usd: str | None, until: str | None, now_us: int) -> dict[str, Any]:
    """More money for a while; of 0: no more of it. Raises `Fault` (invalid) that names the option."""
    if usd is None and until is None:
        return {}
    if usd is None:
        raise _wrong("--until", "says until when a limit is raised", "add --raise USD")
    if usd.strip("0.") == "" and "0" in usd:
        if until is not None:
            raise _wrong("--until", "a raise of 0 ends at once", "leave it out")
        return {"raised": None}
    nano = limit_of(usd, "--raise")
    if until is None:
        raise _wrong("--raise", "a limit is raised for a while", "add --until 24h, or change --limit for good")
    return {"raised": coming_raise(nano, when.coming_us(until, "--until", now_us), now_us)}


def _word(words: type[W], text: str | None, option: str) -> W | None:
    if text is None:
        return None
    try:
        return words(text)
    except ValueError:
        raise _wrong(option, f"{text!r} is not known", f"write one of {', '.join(words)}") from None


def _scope(pairs: Sequence[str]) -> Scope:
    """Each `WHAT=VALUE`; a tag is `tag=NAME=VALUE`, and as it is shown, `tag:NAME=VALUE`."""
    parts = []
    for pair in pairs:
        dimension, equals, fixed = pair.partition("=")
        if not equals:
            raise _wrong("--scope", f"{pair!r} is not WHAT=VALUE", "write it like team=search, key=* or tag=env=prod")
        kind, colon, name = dimension.partition(":")
        parts.append((TAG, f"{name}={fixed}") if colon and kind.strip() == TAG else (dimension, fixed))
    return scope_of(parts)


def _percentages(text: str) -> tuple[int, ...]:
    if text.strip() == "none":
        return ()
    pieces = [piece.strip().removesuffix("%") for piece in text.split(",")]
    if not all(piece.isascii() and piece.isdigit() and len(piece) < 5 for piece in pieces):
        raise _wrong("--alert-at", f"{text!r} is no list of percentages", "write it like 50,80,100, or none")
    return percentages_of([int(piece) for piece in pieces])


def _wrong(option: str, message: str, hint: str) -> Fault:
    return Fault(Kind.INVALID, message, hint=hint, param=option)
