"""Where budgets stood minute by minute, worked out from the calls alone: for replays, and for a watch that starts anew.

A call counts in the window of its start; the facts say when it ended, so a call over the edge of a window may be
counted in the next one. Corrections and reserves are not in it.
"""

from collections.abc import Iterable, Mapping
from datetime import tzinfo

from gateway.core.alerts.facts import BudgetNow, CallSeen
from gateway.core.alerts.sliding import Recent
from gateway.core.budgets import Budget
from gateway.core.money import Nano
from gateway.core.scopes import subject_of
from gateway.core.windows import Span, span_of

_ACCOUNTS = 20_000


class Courses:
    """What was spent in the current window of each account."""

    def __init__(self, budgets: Iterable[Budget], zones: Mapping[str, tzinfo]) -> None:
        """`zones` holds every zone that a budget names."""
        self._budgets = tuple(budgets)
        self._zones = zones
        self._spent: Recent[tuple[str, str], tuple[Span, Nano]] = Recent(_ACCOUNTS)

    def follow(self, budget: Budget) -> None:
        """A budget has other terms now, and counts as it did: its limit, a raise, percentages."""
        self._budgets = tuple(budget if one.name == budget.name else one for one in self._budgets)

    def add(self, calls: Iterable[CallSeen], at_us: int) -> list[BudgetNow]:
        """Count the calls of a minute that ends at `at_us`; where the accounts stand that they count in."""
        touched: dict[tuple[str, str], BudgetNow] = {}
        for call in calls:
            for budget in self._budgets:
                subject = subject_of(budget.scope, call.seen) if call.cost_nano else None
                if subject is not None:
                    now = self._count(budget, subject, call.at_us, call.cost_nano or 0, at_us)
                    touched[budget.name, subject] = now
        return list(touched.values())

    def _count(self, budget: Budget, subject: str, ended_us: int, cost: Nano, at_us: int) -> BudgetNow:
        span, spent = self._spent.get((budget.name, subject)) or (None, 0)
        if span is None or not span.holds(ended_us):
            span, spent = span_of(budget.window, self._zones[budget.zone], ended_us), 0
        self._spent.put((budget.name, subject), (span, spent + cost))
        return BudgetNow(budget.name, subject, span, budget.limit_at(at_us), spent + cost, budget.alert_at)
