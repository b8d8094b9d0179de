"""`off_peak_pricing` of an entry of the price map: hours of the day and weekdays, in UTC, with rates of their own.

Hours are `HH:MM-HH:MM`, one text or a list of them, for every day or, in `windows`, for some weekdays.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from gateway.core.pricing import OffPeak, Window
from gateway.core.pricing.rates import Rates

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY_DAY = frozenset(range(1, 8))
_ABOUT_TIME = frozenset({"windows", "hours_utc", "weekday_timezone"})


class Broken(Exception):
    """An entry that makes no sense; the text says why."""


class Unclear(Exception):
    """An entry that can be understood in more than one way; the text says what."""


def off_peak(entry: Mapping[str, object], rates_of: Callable[[Mapping[str, object]], Rates]) -> OffPeak | None:
    """The hours and rates of an entry; null if it has none. Raises `Broken` and `Unclear`."""
    stated = entry.get("off_peak_pricing")
    if stated is None:
        return None
    if not isinstance(stated, dict):
        raise Broken("off_peak_pricing is no object")
    windows = tuple(_windows(stated))
    rates = rates_of({name: value for name, value in stated.items() if name not in _ABOUT_TIME})
    if not windows or not rates:
        raise Unclear("off-peak prices without hours or without rates")
    return OffPeak(windows, rates)


def _windows(stated: Mapping[str, object]) -> Iterator[Window]:
    rules = stated.get("windows", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise Broken("the windows of off_peak_pricing are no list of objects")
    for rule in (stated, *rules):
        days = _weekdays(rule.get("weekdays")) if rule is not stated else _EVERY_DAY
        if days != _EVERY_DAY and stated.get("weekday_timezone", "UTC") != "UTC":
            raise Unclear("off-peak weekdays of another time zone")
        for hours in _listed(rule.get("hours_utc")):
            window = _window(hours, days)
            if window.end < window.start and window.end and days != _EVERY_DAY:
                raise Unclear("off-peak hours over midnight of some weekdays")
            yield window


def _window(hours: object, days: frozenset[int]) -> Window:
    parts = _HOURS.fullmatch(hours) if isinstance(hours, str) else None
    if parts is None:
        raise Broken(f"off-peak hours {hours!r} are not HH:MM-HH:MM")
    start, end = int(parts[1]) * 60 + int(parts[2]), int(parts[3]) * 60 + int(parts[4])
    return Window(start, end % 1440, days)


def _listed(stated: object) -> list[object]:
    if stated is None:
        return []
    return stated if isinstance(stated, list) else [stated]


def _weekdays(stated: object) -> frozenset[int]:
    """1 is Monday; names in English will do."""
    if stated is None:
        return _EVERY_DAY
    days = [_weekday(day) for day in stated] if isinstance(stated, list) else []
    if not days:
        raise Broken("off-peak weekdays are no list")
    return frozenset(days)


def _weekday(day: object) -> int:
    if isinstance(day, int) and not isinstance(day, bool) and 1 <= day <= 7:
        return day
    if isinstance(day, str) and day.strip().lower()[:3] in _DAYS:
        return _DAYS.index(day.strip().lower()[:3]) + 1
    raise Broken(f"{day!r} is no weekday")
