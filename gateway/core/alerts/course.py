"""What one subject spends: sums of the last minutes, the peak of each in every hour, the cost of every hour.

Knows no bound; what is beyond one is told to it, so that it does not count as usual afterwards.
"""

from collections.abc import Sequence

from gateway.core.alerts.robust import DAYS, HOURS, Hours
from gateway.core.alerts.sliding import Sliding
from gateway.core.money import Nano

_HOUR_MINUTES = 60


class Course:
    """Over four weeks; minutes come in order, and those in which nothing was spent may be left out."""

    __slots__ = ("_limits", "_tops", "busiest", "costs", "hour", "hour_nano", "peaks", "today", "windows")

    def __init__(self, windows: Sequence[int], hour: int) -> None:
        """`windows` in minutes; `hour`: the number of the hour in which it begins."""
        self._begin(windows, hour)

    def _begin(self, windows: Sequence[int], hour: int) -> None:
        self.windows = [Sliding(minutes) for minutes in windows]
        self.peaks = [Hours(hour) for _ in windows]
        """Of every hour that is over, the highest sum of each window."""
        self.busiest: list[list[int]] = [[] for _ in windows]
        """The highest peak of each window on each of the days that are over, 28 at most."""
        self.today = [0] * len(self.windows)
        """… and of the hours that are over since."""
        self.costs = Hours(hour)
        """Of every hour that is over."""
        self.hour = hour
        self.hour_nano: Nano = 0
        self._tops = [0] * len(self.windows)
        self._limits: dict[int, tuple[Nano, Nano]] = {}

    def advance(self, minute: int) -> None:
        """Go on to a minute (its number since 1970)."""
        hour = minute // _HOUR_MINUTES
        if hour - self.hour > HOURS:  # nothing is left of what was
            self._begin([window.minutes for window in self.windows], hour)
        while self.hour < hour:
            self._end_hour()
        for window in self.windows:
            window.advance(minute)

    def add(self, cost: Nano) -> None:
        """What was spent in the minute that it has gone on to."""
        self.hour_nano += cost
        for place, window in enumerate(self.windows):
            window.add(cost)
            if window.sum > self._tops[place]:
                self._tops[place] = window.sum

    def limit(self, place: int, peak: Nano, cost: Nano) -> None:
        """Remember no more than this of the hour's peak and of its cost: what is told is not usual, and does not become
        it at once."""
        self._limits[place] = peak, cost

    @property
    def kept_nano(self) -> Nano:
        """What will be remembered of the cost of the hour that is not over."""
        return min([self.hour_nano, *(cost for _, cost in self._limits.values())])

    def _end_hour(self) -> None:
        for place, top in enumerate(self._tops):
            kept = min(top, self._limits[place][0]) if place in self._limits else top
            self.peaks[place].append(kept)
            self.today[place] = max(self.today[place], kept)
        self.costs.append(self.kept_nano)
        self.hour += 1
        self.hour_nano = 0
        self._limits.clear()
        for place, window in enumerate(self.windows):
            window.advance(self.hour * _HOUR_MINUTES)
            self._tops[place] = window.sum
        if (self.hour - self.costs.first) % 24 == 0:
            self._end_day()

    def _end_day(self) -> None:
        for place, top in enumerate(self.today):
            self.busiest[place] = [*self.busiest[place][1 - DAYS :], top]
            self.today[place] = 0
