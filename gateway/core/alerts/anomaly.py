"""`anomaly`: a subject spends more than it usually does in these hours (known fault 51: minutes, not days).

Two looks at the same course. Bursts: the sum of the last minutes against the highest such sums of the same hours
before, with robust statistics. Creep: the sum of the last days against the same days of the weeks before. Neither
fires below a minimum of dollars beyond what is usual.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from gateway.core.alerts.course import Course
from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import HOUR_US, MINUTE_US, Minute, costs_of
from gateway.core.alerts.finding import Finding, Told, concerned, day_of, dollars, span_text, week_of
from gateway.core.alerts.robust import Hours, Usual, high, median, spread
from gateway.core.alerts.sliding import Recent
from gateway.core.money import NANO_PER_USD, Nano
from gateway.core.scopes import Scope
from gateway.core.value import value

WINDOWS = (5, 15, 60, 360)
"""Minutes over which bursts are summed."""
_LATELY, _HOUR = WINDOWS.index(15), WINDOWS.index(60)
_CREEPS = ((3, 2.5), (7, 1.75))
"""Days over which creep is summed, and how many times the usual it is at least: short sums go astray more often."""
_SUBJECTS = 2_000
_UNTRUSTED_DAYS = 3
"""A history of so many days counts as much as knowing nothing."""
_WEEK = 7
_BEYOND_PEAKS = 2.5
"""What more than one day has reached must be passed by this: some courses are wilder than their spread says."""
_DRIFT = 0.05
"""Of what is usual for some days: levels move by about so much from week to week without anything being wrong."""
_DAY_MINUTES = 1440
_FOLLOWS = 1.75
"""A busy day is often followed by another, so sums of days scatter more than days by themselves would make them."""


@value(frozen=True)
class Anomaly:
    """Against the subject's own past, of 28 days at most."""

    name: str
    scope: Scope = Scope((("key", "*"),))
    """Whose sums are watched, each by itself."""
    min_nano: Nano = 5 * NANO_PER_USD
    """Less than this beyond the usual tells nobody."""
    deviations: float = 20.0
    """How far beyond the usual a burst is, in robust standard deviations."""
    creep_deviations: float = 2.4
    """How far beyond the usual the sum of days is; infinite: creep is not looked for."""

    @property
    def history_days(self) -> int:
        return 28

    def watch(self) -> "AnomalyWatch":
        return AnomalyWatch(self)


@value(frozen=True)
class Bound:
    """How much may be spent in a window before it is told, and from what that was worked out."""

    minutes: int
    usual_nano: int
    bound_nano: int
    days: int
    """Of history."""


@dataclass(slots=True)
class _Bounds:
    """The bounds of one hour, worked out as they are asked for."""

    hour: int
    bursts: list[Bound | None]
    creeps: list[tuple[Bound, Nano]] | None = None
    """Each with what was spent in the days up to this hour."""


class AnomalyWatch:
    """The courses of the subjects that were seen last."""

    def __init__(self, rule: Anomaly) -> None:
        self._rule = rule
        self._told = Told()
        self._courses: Recent[str, Course] = Recent(_SUBJECTS)
        self._bounds: Recent[str, _Bounds] = Recent(_SUBJECTS)
        self._at_us = 0

    def see(self, minute: Minute) -> list[Finding]:
        """A subject that spends nothing is not looked at."""
        self._at_us = minute.end_us
        found = []
        for subject, cost in costs_of(minute.calls, self._rule.scope).items():
            course = self._courses.get(subject)
            if course is None:
                course = Course(WINDOWS, minute.start_us // HOUR_US)
                self._courses.put(subject, course)
            course.advance(minute.start_us // MINUTE_US)
            course.add(cost)
            finding = self._judged(subject, course)
            if finding is not None:
                found.append(finding)
        return found

    def _judged(self, subject: str, course: Course) -> Finding | None:
        hit: tuple[Bound, Nano] | None = None
        for bound, spent in self._passed(subject, course):
            hit = hit or (bound, spent)
        if hit is None:
            return None
        bound, spent = hit
        window = _window(bound, self._at_us - 1)
        if not self._told.first(subject, window):
            return None
        return Finding(
            rule=self._rule.name,
            kind="anomaly",
            type="spend.anomaly",
            subject=subject,
            window=window,
            severity=Severity.CRITICAL if spent > 2 * bound.bound_nano else Severity.WARNING,
            at_us=self._at_us,
            because=_sentence(subject, bound, spent),
            facts={
                "spent_nano": spent,
                "usual_nano": bound.usual_nano,
                "bound_nano": bound.bound_nano,
                "minutes": bound.minutes,
                "history_days": bound.days,
            },
            concerns=concerned(subject),
        )

    def _passed(self, subject: str, course: Course) -> Iterator[tuple[Bound, Nano]]:
        """The bounds that are passed; what goes beyond one is not learned as usual."""
        least = self._rule.min_nano
        for place, window in enumerate(course.windows):
            if window.sum > least:
                bound = self._burst(subject, course, place)
                if window.sum > bound.bound_nano:
                    hour = self._burst(subject, course, _HOUR)
                    course.limit(place, bound.bound_nano, hour.usual_nano)
                    if _goes_on(course, bound):
                        yield bound, window.sum
        for bound, before in self._creeps(subject, course):
            if before + course.kept_nano > bound.bound_nano:
                yield bound, before + course.kept_nano

    def _hour(self, subject: str, course: Course) -> _Bounds:
        known = self._bounds.get(subject)
        if known is None or known.hour != course.hour:
            known = _Bounds(course.hour, [None] * len(course.windows))
            self._bounds.put(subject, known)
        return known

    def _burst(self, subject: str, course: Course, place: int) -> Bound:
        known = self._hour(subject, course)
        bound = known.bursts[place]
        if bound is None:
            bound = known.bursts[place] = burst_bound(self._rule, course, place)
        return bound

    def _creeps(self, subject: str, course: Course) -> list[tuple[Bound, Nano]]:
        known = self._hour(subject, course)
        if known.creeps is None:
            bounds = [creep_bound(self._rule, course.costs, course.hour, *creep) for creep in _CREEPS]
            known.creeps = [one for one in bounds if one is not None]
        return known.creeps

    def explain(self, subject: str) -> str:
        """Each window's sum and the bound that it is held against."""
        course = self._courses.get(subject)
        if course is None:
            return f"{subject} has spent nothing yet, so there is nothing to compare"
        course.advance(self._at_us // MINUTE_US - 1)
        windows = enumerate(course.windows)
        lines = [_sentence(subject, self._burst(subject, course, place), window.sum) for place, window in windows]
        lines += [
            _sentence(subject, bound, before + course.kept_nano) for bound, before in self._creeps(subject, course)
        ]
        told = self._told.has(subject, day_of(self._at_us - 1))
        return ("told already today; " if told else "") + "; ".join(lines)


def _goes_on(course: Course, bound: Bound) -> bool:
    """The last minutes have their part in it: what is over is not told again because a new day has begun."""
    return bound.minutes <= WINDOWS[_LATELY] or (
        2 * course.windows[_LATELY].sum * bound.minutes >= bound.bound_nano * WINDOWS[_LATELY]
    )


def _window(bound: Bound, at_us: int) -> str:
    """A burst is told once a day, a creep once a week: the days of its sum are mostly the same tomorrow."""
    return week_of(at_us) if bound.minutes >= _DAY_MINUTES else day_of(at_us)


def burst_bound(rule: Anomaly, course: Course, place: int) -> Bound:
    """How much a window may hold in this hour: what the days' peaks allow, and in hours that are never quiet what the
    peaks of the same hours allow. While history is short both are wide."""
    least = rule.min_nano
    usual = Usual(course.peaks[place], course.hour)
    days = course.busiest[place] or [course.today[place]]
    center = median(days)
    doubt = _UNTRUSTED_DAYS / (usual.days + _UNTRUSTED_DAYS)
    prior = least + max(days) if usual.days < 1 else (least + center) / 2
    bound = center + rule.deviations * ((1 - doubt) * spread(days, center) + doubt * prior)
    bound = max(bound, _BEYOND_PEAKS * high(days))
    if usual.steady:
        scale = (1 - doubt) * max(usual.spread, 0.1 * usual.center) + doubt * (least + usual.center) / 2
        bound = min(bound, max(usual.center + rule.deviations * scale, _BEYOND_PEAKS * usual.high))
    bound = max(bound, usual.center + least)
    return Bound(course.windows[place].minutes, round(usual.center), round(bound), usual.days)


def creep_bound(rule: Anomaly, costs: Hours, hour: int, days: int, times: float) -> tuple[Bound, Nano] | None:
    """How much the last `days` may hold, this hour included, and what they hold without it. Null while there is too
    little history to tell."""
    weeks = (hour - costs.first - 24 * days) // (24 * _WEEK)
    if weeks < 1:
        return None
    begin = hour + 1 - 24 * days
    before = costs.sum(begin, hour)
    lags = [24 * _WEEK * week for week in range(1, min(weeks, 3) + 1)]
    usual = median([costs.sum(begin - lag, hour + 1 - lag) for lag in lags])
    scale = _daily_spread(costs, hour) * days**0.5 * (1 + 1 / len(lags)) ** 0.5
    scale = _FOLLOWS * scale + _DRIFT * usual
    beyond = rule.creep_deviations * scale
    beyond += beyond**2 / (2 * max(usual, beyond, 1.0))  # days scatter by factors: it is the begin of an exponential
    bound = max(usual + max(rule.min_nano, beyond), times * usual)
    return Bound(_DAY_MINUTES * days, round(usual), round(bound), 7 * weeks), before


def _daily_spread(costs: Hours, hour: int) -> float:
    """How far a day's sum usually is from that of the day before, in which a creep hardly shows. Where most days are
    quiet the median says that nothing ever happens: then the mean counts."""
    known = min((hour - costs.first) // 24, 27)
    sums = [costs.sum(hour - 24 * (day + 1), hour - 24 * day) for day in range(known)]
    apart = [one - before for one, before in pairwise(sums)]
    mean = sum(map(abs, apart)) / max(len(apart), 1)
    return max(spread(apart, 0.0), 0.8 * mean) / 2**0.5


def _sentence(subject: str, bound: Bound, spent: Nano) -> str:
    passed = "passes" if spent > bound.bound_nano else "is within"
    return (
        f"{subject} spent {dollars(spent)} in {span_text(bound.minutes)}, which {passed} the bound of "
        f"{dollars(bound.bound_nano)}; usual is {dollars(bound.usual_nano)}, from {bound.days} days of history"
    )
