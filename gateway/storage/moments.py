"""Times as the contract writes them, and the calendar, all in UTC."""

from datetime import timedelta
from typing import Literal, TypeAlias

from gateway.core.moments import EPOCH, moment

__all__ = ["Interval", "interval_start", "moment"]

Interval: TypeAlias = Literal["hour", "day", "month"]


def interval_start(us: int, interval: Interval) -> int:
    """The begin of the hour, day or month around a time; both in microseconds since 1970 UTC."""
    time = (EPOCH + timedelta(microseconds=us)).replace(minute=0, second=0, microsecond=0)
    if interval != "hour":
        time = time.replace(hour=0)
    if interval == "month":
        time = time.replace(day=1)
    return (time - EPOCH) // timedelta(microseconds=1)
