"""`forecast`: when a budget will be exhausted, as a range, from the last days whether they lie in its window or before.

A day of the future is like the days before: its sum by their median, its course over hours and weekdays by theirs. How
far those days lie apart gives the range: four times in five the truth is in it, if the days to come are like them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import DAY_US, HOUR_US, Minute
from gateway.core.alerts.finding import Finding, Told, day_of, dollars, moment_text
from gateway.core.alerts.robust import DAYS, WEEK_HOURS, Hours, median, spread
from gateway.core.alerts.sliding import Recent
from gateway.core.alerts.spending import Spending
from gateway.core.money import Nano
from gateway.core.value import value

_ACCOUNTS = 2_000
_FARTHEST = 400 * 24
"""Hours that a forecast looks ahead."""
_FOUR_IN_FIVE = 1.2816
"""Standard deviations on either side that hold 80 % of normal values."""
_EDGE = 0.01
"""Of the pace: rounding, and an hour that is not over."""


@value(frozen=True)
class Forecast:
    """A budget will be exhausted before its window ends."""

    name: str
    budget: str
    sure: bool = False
    """Tell only if the latest moment of the range, too, lies before the end of the window."""
    within_us: int | None = None
    """Tell only what will come so soon; a budget without an end of its window needs it."""
    after_hours: int = 6
    """Of course that must be known before anything is told."""

    @property
    def history_days(self) -> int:
        return DAYS

    def watch(self) -> "ForecastWatch":
        return ForecastWatch(self)


@value(frozen=True)
class Outlook:
    """When it will be exhausted, microseconds since 1970 UTC; null: not within 400 days at that pace."""

    earliest_us: int | None
    likely_us: int | None
    latest_us: int | None
    per_day_nano: Nano
    """The likely pace."""
    days: float
    """How many days it is worked out from."""


def outlook(hours: Hours, now_us: int, left_nano: Nano) -> Outlook | None:
    """When so much will be spent, from the hours that are over at `now_us`. Null without a whole hour of history."""
    known = min(hours.next - hours.first, DAYS * 24)
    if known < 1:
        return None
    center, scatter = _pace(hours, known)
    shape = _shape(hours, known)
    ahead = max(1.0, left_nano / center) if center else 1.0
    scale = scatter * _FOUR_IN_FIVE * (1 / max(known // 24, 1) + 1 / ahead) ** 0.5 + _EDGE * center
    slow, fast = max(0.0, center - scale), center + scale
    return Outlook(
        _exhausted(shape, fast, now_us, left_nano),
        _exhausted(shape, center, now_us, left_nano),
        _exhausted(shape, slow, now_us, left_nano),
        round(center),
        known / 24,
    )


def _pace(hours: Hours, known: int) -> tuple[float, float]:
    """What a day comes to, and how far days lie apart. With whole weeks the week's own course cancels out."""
    end = hours.next
    if known < 24:
        day = hours.sum(end - known, end) * 24 / known
        return day, 0.5 * day
    days = [hours.sum(end - 24 * (day + 1), end - 24 * day) for day in range(known // 24)]
    if len(days) < 7:
        return median(days), max(spread(days, median(days)), (max(days) - min(days)) / 4)
    weeks = [sum(days[at : at + 7]) / 7 for at in range(0, len(days) - 6, 7)]
    center = 0.5 * weeks[0] + 0.5 * median(weeks)
    apart = [days[at] - days[at + 7] for at in range(len(days) - 7)] or [round(day - center) for day in days]
    return center, spread(apart, 0.0)


def _shape(hours: Hours, known: int) -> list[float]:
    """How much of an average day falls into each hour of the week, by number modulo 168; all the same in total."""
    by = WEEK_HOURS if known >= 2 * WEEK_HOURS else 24 if known >= 48 else 1
    sums, counts = [0.0] * by, [0] * by
    for hour in range(hours.next - known, hours.next):
        sums[hour % by] += hours[hour]
        counts[hour % by] += 1
    means = [total / count if count else 0.0 for total, count in zip(sums, counts, strict=True)]
    whole = sum(means) * 24 / by
    flat = [mean / whole if whole else 1 / 24 for mean in means]
    return [flat[hour % by] for hour in range(WEEK_HOURS)]


def _exhausted(shape: Sequence[float], per_day: float, now_us: int, left_nano: Nano) -> int | None:
    """Walk through the hours to come until nothing is left."""
    if left_nano <= 0:
        return now_us
    if per_day <= 0:
        return None
    left, at = float(left_nano), now_us
    for _ in range(_FARTHEST):
        hour = at // HOUR_US
        part = ((hour + 1) * HOUR_US - at) / HOUR_US
        spent = shape[hour % WEEK_HOURS] * per_day * part
        if spent >= left:
            return at + round(left / spent * part * HOUR_US)
        left -= spent
        at = (hour + 1) * HOUR_US
    return None


@dataclass(slots=True)
class _Account:
    spending: Spending
    outlook: Outlook | None = None
    hour: int = -1
    """For which the outlook was made."""


class ForecastWatch:
    """Looks ahead once an hour for each account in which something is spent."""

    def __init__(self, rule: Forecast) -> None:
        self._rule = rule
        self._told = Told()
        self._accounts: Recent[str, _Account] = Recent(_ACCOUNTS)
        self._at_us = 0

    def see(self, minute: Minute) -> list[Finding]:
        self._at_us = minute.end_us
        found = []
        for now in minute.budgets:
            if now.budget != self._rule.budget:
                continue
            account = self._accounts.get(now.subject)
            if account is None:
                account = _Account(Spending(now, minute.end_us))
                self._accounts.put(now.subject, account)
            account.spending.see(now, minute.end_us)
            if account.hour != account.spending.hour:
                finding = self._looked_ahead(account)
                if finding is not None:
                    found.append(finding)
        return found

    def _looked_ahead(self, account: _Account) -> Finding | None:
        spending = account.spending
        now = spending.now
        account.hour = spending.hour
        account.outlook = seen = outlook(spending.hours, self._at_us, now.limit_nano - now.spent_nano)
        if seen is None:
            return None
        decides = seen.latest_us if self._rule.sure else seen.likely_us
        if decides is None or not self._tells(seen, decides, account):
            return None
        window = day_of(now.span.start_us)
        if now.spent_nano >= now.limit_nano or not self._told.first(now.subject, window):
            return None
        return Finding(
            rule=self._rule.name,
            kind="forecast",
            type="budget.forecast",
            subject=now.subject,
            window=window,
            severity=Severity.CRITICAL if decides - self._at_us < DAY_US else Severity.WARNING,
            at_us=self._at_us,
            because=_sentence(account, seen),
            facts={
                "spent_nano": now.spent_nano,
                "limit_nano": now.limit_nano,
                "per_day_nano": seen.per_day_nano,
                "earliest_us": seen.earliest_us,
                "likely_us": seen.likely_us,
                "latest_us": seen.latest_us,
            },
            concerns={"budget": now.budget},
        )

    def _tells(self, seen: Outlook, decides: int, account: _Account) -> bool:
        end, within = account.spending.now.span.end_us, self._rule.within_us
        if seen.days * 24 < self._rule.after_hours or (end is None and within is None):
            return False
        return (end is None or decides < end) and (within is None or decides - self._at_us <= within)

    def explain(self, subject: str) -> str:
        """The last outlook, and what it would have taken."""
        account = self._accounts.get(subject)
        if account is None:
            return f"nothing was spent yet of {self._rule.budget} ({subject})"
        if account.outlook is None:
            return f"{self._rule.budget} ({subject}): no hour of its course is known yet"
        needs = f"told from {self._rule.after_hours} hours of course on"
        if self._rule.within_us is not None:
            needs += f" and within {self._rule.within_us // HOUR_US} hours"
        return f"{_sentence(account, account.outlook)}; {needs}"


def _sentence(account: _Account, seen: Outlook) -> str:
    now = account.spending.now
    end = "and has no end" if now.span.end_us is None else f"which ends {moment_text(now.span.end_us)}"
    likely, earliest, latest = map(_when, (seen.likely_us, seen.earliest_us, seen.latest_us))
    return (
        f"{now.budget} ({now.subject}) has spent {dollars(now.spent_nano)} of {dollars(now.limit_nano)} in this "
        f"window, {end}; at {dollars(seen.per_day_nano)} a day, as in the last {seen.days:.1f} days, it is exhausted "
        f"{likely} (between {earliest} and {latest})"
    )


def _when(at_us: int | None) -> str:
    return "not within 400 days" if at_us is None else moment_text(at_us)
