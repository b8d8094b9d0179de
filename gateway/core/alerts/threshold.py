"""`threshold`: a share of a budget is spent, or the first call was refused for it (known fault 49: any number of them,
each once in a window)."""

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import BudgetNow, Minute
from gateway.core.alerts.finding import Finding, Told, day_of, dollars
from gateway.core.alerts.sliding import Recent
from gateway.core.value import value

_ACCOUNTS = 10_000
_FULL = 100


@value(frozen=True)
class Threshold:
    """Each percentage once in a window of the budget, over what is spent; holds do not count."""

    name: str
    budget: str
    at: tuple[int, ...] = ()
    """Percentages of the limit; none: those of the budget's `alert_at`."""

    @property
    def history_days(self) -> int:
        return 0

    def watch(self) -> "ThresholdWatch":
        return ThresholdWatch(self)


class ThresholdWatch:
    """Every account of the budget, whatever its mode (known fault 48)."""

    def __init__(self, rule: Threshold) -> None:
        self._rule = rule
        self._told = Told()
        self._last: Recent[str, BudgetNow] = Recent(_ACCOUNTS)

    def see(self, minute: Minute) -> list[Finding]:
        found = []
        for now in minute.budgets:
            if now.budget == self._rule.budget:
                self._last.put(now.subject, now)
                found += self._passed(now, minute.end_us)
        return found

    def _passed(self, now: BudgetNow, at_us: int) -> list[Finding]:
        begin = day_of(now.span.start_us)
        found = [
            self._finding(now, f"{begin}/{percent}", percent, at_us)
            for percent in self._rule.at or now.alert_at
            if now.spent_nano * 100 >= percent * now.limit_nano and self._told.first(now.subject, f"{begin}/{percent}")
        ]
        if now.refused_calls and self._told.first(now.subject, f"{begin}/exhausted"):
            found.append(self._finding(now, f"{begin}/exhausted", None, at_us))
        return found

    def _finding(self, now: BudgetNow, window: str, percent: int | None, at_us: int) -> Finding:
        state = f"{now.budget} ({now.subject}) has spent {dollars(now.spent_nano)} of {dollars(now.limit_nano)}"
        why = "and refused its first call" if percent is None else f"which passes {percent} %"
        grave = percent is None or percent >= _FULL
        return Finding(
            rule=self._rule.name,
            kind="threshold",
            type="budget.exhausted" if percent is None else "budget.threshold",
            subject=now.subject,
            window=window,
            severity=Severity.CRITICAL if grave else Severity.WARNING,
            at_us=at_us,
            because=f"{state}, {why}",
            facts={"spent_nano": now.spent_nano, "limit_nano": now.limit_nano, "percent": percent},
            concerns={"budget": now.budget},
        )

    def explain(self, subject: str) -> str:
        """What is spent, and the percentages that are watched."""
        now = self._last.get(subject)
        if now is None:
            return f"nothing was spent yet of {self._rule.budget} ({subject})"
        marks = self._rule.at or now.alert_at
        watched = ", ".join(f"{percent} %" for percent in marks) or "no percentage, for the budget has no alert_at"
        share = now.spent_nano * 100 / now.limit_nano
        return f"{subject}: {dollars(now.spent_nano)} of {dollars(now.limit_nano)} is {share:.1f} %; watched: {watched}"
