"""Statistics that a few wild values do not move, and an hourly memory of four weeks."""

from array import array
from collections.abc import Sequence

WEEK_HOURS = 168
DAYS = 28
HOURS = DAYS * 24
_MAD_TO_SIGMA = 1.4826


def median(numbers: Sequence[float]) -> float:
    """The middle one; 0 of none."""
    ordered = sorted(numbers)
    half, odd = divmod(len(ordered), 2)
    if not ordered:
        return 0.0
    return float(ordered[half]) if odd else (ordered[half - 1] + ordered[half]) / 2


def spread(numbers: Sequence[float], center: float) -> float:
    """The median distance from the centre, scaled to a standard deviation of normal values; 0 of none."""
    return _MAD_TO_SIGMA * median([abs(number - center) for number in numbers])


def high(numbers: Sequence[int]) -> int:
    """The largest but one, for one wild value is no rule; 0 of fewer than two."""
    return sorted(numbers)[-2] if len(numbers) > 1 else 0


class Hours:
    """A whole number for each of the last 672 hours; hours that were passed over hold 0."""

    __slots__ = ("_values", "first", "next")

    def __init__(self, first: int) -> None:
        """`first`: the number of the hour that comes first (hours since 1970 UTC)."""
        self._values = array("q", bytes(8 * HOURS))
        self.first = first
        self.next = first

    def append(self, number: int) -> None:
        """The value of the next hour."""
        self._values[self.next % HOURS] = number
        self.next += 1

    def __getitem__(self, hour: int) -> int:
        """The value of an hour; 0 for one that is not known (yet, or any more)."""
        return self._values[hour % HOURS] if max(self.first, self.next - HOURS) <= hour < self.next else 0

    def sum(self, begin: int, end: int) -> int:
        """Of the hours [begin, end), as far as they are known."""
        begin, end = max(begin, self.first, self.next - HOURS), min(end, self.next)
        if begin >= end:
            return 0
        low, high = begin % HOURS, (end - 1) % HOURS + 1
        return sum(self._values[low:high]) if low < high else sum(self._values[low:]) + sum(self._values[:high])

    def around(self, hour: int, days: int) -> int:
        """The largest value of that hour and its two neighbours, so many days before, 27 at most: what begins a little
        earlier or later than usual is still usual."""
        values, same = self._values, (hour - 24 * days) % HOURS
        return max(values[same - 1], values[same], values[(same + 1) % HOURS])


class Usual:
    """What is usual for an hour: from the same hour of the week, the fewer weeks there are the more from the same hour
    of every day."""

    __slots__ = ("center", "days", "high", "spread", "steady")

    def __init__(self, hours: Hours, hour: int) -> None:
        self.days = min(DAYS - 1, (hour - hours.first) // 24)
        by_day = [hours.around(hour, day) for day in range(1, self.days + 1)]
        by_week = by_day[6::7]
        day_center, week_center = median(by_day), median(by_week)
        trust = len(by_week) / (len(by_week) + 2)
        self.center = trust * week_center + (1 - trust) * day_center
        """The usual value."""
        self.spread = trust * spread(by_week, week_center) + (1 - trust) * spread(by_day, day_center)
        """How far values usually are from it, as a standard deviation."""
        self.high = high(by_day)
        """What was reached before."""
        self.steady = self.days >= 5 and sum([value > 0 for value in by_day]) >= 0.8 * self.days
        """There was something in this hour nearly every day: the hour can be judged by itself."""
