"""Windows of a budget: spans of the calendar in a named time zone, one after the other, without gap or overlap.

A day of a zone has 23, 24 or 25 hours; it begins when its clocks show midnight, or, where they skip it, as soon as they
go on (known fault 45). Knows no budget; the zone comes in as an argument.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

from gateway.core.value import value

_HOUR_US = 3_600_000_000


class Window(StrEnum):
    """How long a limit holds before it begins anew (contract §3). Weeks begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    LIFETIME = "lifetime"
    """Never anew."""


@value(frozen=True)
class Span:
    """From `start_us` up to, and without, `end_us`: microseconds since 1970 UTC."""

    start_us: int
    end_us: int | None
    """Null: without end."""

    def holds(self, at_us: int) -> bool:
        return self.start_us <= at_us and (self.end_us is None or at_us < self.end_us)


LIFETIME = Span(0, None)


def span_of(window: Window, zone: tzinfo, at_us: int) -> Span:
    """The span of such windows that a moment lies in."""
    if window is Window.LIFETIME:
        return LIFETIME
    moment = _EPOCH + timedelta(microseconds=at_us)
    if window is Window.HOUR:
        return _hour(zone, moment, at_us)
    first = _FIRST_DAY[window]
    begin = first(moment.astimezone(zone).date(), 0)
    start = _midnight(begin, zone)
    end = _midnight(first(begin, 1), zone)
    return Span(start, end)


def _hour(zone: tzinfo, moment: datetime, at_us: int) -> Span:
    """An hour of the zone's standard time: half an hour of summer time (Lord Howe) shortens and repeats none."""
    local = moment.astimezone(zone)
    offset = (local.utcoffset() or timedelta()) - (local.dst() or timedelta())
    shift = offset // timedelta(microseconds=1) % _HOUR_US
    start = at_us - (at_us + shift) % _HOUR_US
    return Span(start, start + _HOUR_US)


def _midnight(day: date, zone: tzinfo) -> int:
    """When a day begins: the first of two midnights; where clocks skip it, the moment in which they do."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    # `fold` is 0: of two readings the first; of none the offset before the leap, which leads exactly to the leap.
    return (local.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _day(day: date, further: int) -> date:
    return day + timedelta(days=further)


def _monday(day: date, further: int) -> date:
    return day + timedelta(days=7 * further - day.weekday())


def _month(day: date, further: int) -> date:
    years, month = divmod(day.month - 1 + further, 12)
    return date(day.year + years, month + 1, 1)


def _quarter(day: date, further: int) -> date:
    return _month(date(day.year, (day.month - 1) // 3 * 3 + 1, 1), 3 * further)


def _year(day: date, further: int) -> date:
    return date(day.year + further, 1, 1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Mapping[Window, Callable[[date, int], date]] = {
    Window.DAY: _day,
    Window.WEEK: _monday,
    Window.MONTH: _month,
    Window.QUARTER: _quarter,
    Window.YEAR: _year,
}
