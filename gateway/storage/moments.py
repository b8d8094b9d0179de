"""Times as the contract writes them, and the calendar, all in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

Interval: TypeAlias = Literal["hour", "day", "month"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(us: int) -> str:
    """Microseconds since 1970 UTC as RFC 3339."""
    time = _EPOCH + timedelta(microseconds=us)
    return time.isoformat(timespec="microseconds" if time.microsecond else "seconds").replace("+00:00", "Z")


def interval_start(us: int, interval: Interval) -> int:
    """The begin of the hour, day or month around a time; both in microseconds since 1970 UTC."""
    time = (_EPOCH + timedelta(microseconds=us)).replace(minute=0, second=0, microsecond=0)
    if interval != "hour":
        time = time.replace(hour=0)
    if interval == "month":
        time = time.replace(day=1)
    return (time - _EPOCH) // timedelta(microseconds=1)
