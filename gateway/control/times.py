"""Moments and durations as the admin API reads and writes them: RFC 3339, UTC; or relative to now."""

import re
from datetime import UTC, datetime, timedelta

from gateway.core.errors import Fault, Kind
from gateway.storage.moments import moment

DAY_US = 86_400_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": DAY_US, "w": 7 * DAY_US}
DURATION = r"[0-9]{1,5}[smhdw]"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FORMS = "write 2026-10-31T08:00:00Z, or 2026-10-31, or a duration ago (7d, 12h), or now"


def rfc3339(at_us: int | None) -> str | None:
    """Microseconds since 1970 as RFC 3339 in UTC; null stays null."""
    return None if at_us is None else moment(at_us)


def instant_us(text: str, param: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time. Raises `Fault` (invalid) that names the parameter."""
    if not _RFC3339.fullmatch(text):
        raise _not_a_time(text, param)
    try:
        # Beyond microseconds nothing is kept; `fromisoformat` cuts there itself.
        return _since_epoch(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        raise _not_a_time(text, param) from None


def past_us(text: str, param: str, now_us: int) -> int:
    """An edge of a period: RFC 3339, a date (its midnight), `now`, or how long ago. Raises `Fault` (invalid)."""
    if text == "now":
        return now_us
    if re.fullmatch(DURATION, text):
        return now_us - duration_us(text, param)
    return instant_us(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text, param)


def duration_us(text: str, param: str) -> int:
    """Microseconds of `30s`, `5m`, `12h`, `30d`, `2w`. Raises `Fault` (invalid)."""
    if not re.fullmatch(DURATION, text):
        raise Fault(Kind.INVALID, f"{text!r} is not a duration", hint="write 30s, 5m, 12h, 30d or 2w", param=param)
    return int(text[:-1]) * _UNITS_US[text[-1]]


def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _not_a_time(text: str, param: str) -> Fault:
    # A `+` in a query string arrives as a space.
    lost_plus = " " in text and _RFC3339.fullmatch(text.replace(" ", "+"))
    hint = "write the `+` in a URL as %2B" if lost_plus else _FORMS
    return Fault(Kind.INVALID, f"{text!r} is not a point in time", hint=hint, param=param)
