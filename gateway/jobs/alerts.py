"""Alert rules at work: what the ledger says of each minute that is over, shown to every rule; what they find is raised.

The same code that replays the past: a start reads as much of it as its rules learn from, and raises nothing of that. So
does a rule whose budget is made, or counts in another way, later on. An alert is raised once, however many processes
look; one of them is enough.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from gateway.core.alerts.courses import Courses
from gateway.core.alerts.facts import DAY_US, MINUTE_US, Minute
from gateway.core.alerts.finding import Armed
from gateway.core.budgets import Budget, Budgets
from gateway.core.errors import Fault
from gateway.jobs.raiser import Raiser
from gateway.jobs.scheduler import wait
from gateway.ports import Clock
from gateway.storage.alerts import AlertRepository
from gateway.storage.minutes import Minutes

logger = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two looks for a minute that is over."""
SETTLED_US = 2_000_000
"""So long after a minute its calls are in the ledger, while all is well."""
_PATIENCE_US = 15 * MINUTE_US
"""Of a ledger that stood still, so much is looked at late; what is older is only learnt from."""


class _Seeing:
    """A rule at work, and where the budget stands that it watches, if it watches one."""

    def __init__(self, armed: Armed, budget: Budget | None) -> None:
        self.armed = armed
        self.watch = armed.rule.watch()
        self.budget = budget
        self._courses = None if budget is None else Courses([budget], {budget.zone: ZoneInfo(budget.zone)})

    def shown(self, minute: Minute) -> Minute:
        """A minute as this rule sees it."""
        if self._courses is None:
            return minute
        return replace(minute, budgets=self._courses.add(minute.calls, minute.end_us))

    def follows(self, budget: Budget | None) -> bool:
        """Whether it goes on with its budget as that is now; else it must begin anew."""
        if budget is None or self.budget is None or self._courses is None:
            return budget is self.budget
        if _counts(budget) != _counts(self.budget):
            return False
        if budget != self.budget:
            self._courses.follow(budget)
            self.budget = budget
        return True


def _counts(budget: Budget) -> tuple[object, ...]:
    """What decides which calls it counts, and where."""
    return budget.window, budget.zone, budget.scope


class AlertsJob:
    """`run` is the job."""

    def __init__(
        self,
        rules: Sequence[Armed],
        minutes: Minutes,
        alerts: AlertRepository,
        budgets: Callable[[], Budgets],
        behind: Callable[[], float],
        clock: Clock,
    ) -> None:
        """`budgets`: those in force now; `behind`: seconds that the oldest record waits for the ledger."""
        self._rules = rules
        self._seeing: list[_Seeing] = []
        self._minutes = minutes
        self._raiser = Raiser(alerts, budgets)
        self._budgets = budgets
        self._behind = behind
        self._clock = clock
        self._seen_us: int | None = None
        """Up to when minutes were looked at."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until told to stop. A database that fails is a state."""
        while not stopping.is_set():
            try:
                await self.look()
            except Fault as fault:
                logger.debug("alert rules wait: %s", fault.message)
            await wait(stopping, LOOK)

    async def look(self) -> None:
        """Every minute that is over and was not looked at. Raises `Fault` (unavailable); then the rest is looked at,
        and raised, the next time."""
        await self._raiser.raise_all()
        now_us = self._clock.now_us()
        until_us = (now_us - SETTLED_US) // MINUTE_US * MINUTE_US
        await self._follow(until_us if self._seen_us is None else self._seen_us)
        if self._seen_us is None:
            self._seen_us = until_us
        if until_us <= self._seen_us:
            return
        async for minute in self._minutes.between(self._seen_us, until_us, prices=True):
            self._show(minute, silent=minute.end_us < now_us - _PATIENCE_US)
            self._seen_us = minute.end_us  # a rule must not see a minute twice, whatever fails after it
        if self._seen_us < until_us:  # rules count quiet minutes too, and see how the ledger is
            self._show(Minute(until_us - MINUTE_US), silent=False)
            self._seen_us = until_us
        await self._raiser.raise_all()

    async def _follow(self, until_us: int) -> None:
        """Have every rule at work; those that begin now have seen the past up to a moment. Raises `Fault`."""
        known = self._budgets().named
        going = {one.armed.rule.name: one for one in self._seeing}
        seeing, anew = [], []
        for armed in self._rules:
            budget = known.get(getattr(armed.rule, "budget", ""))
            one = going.get(armed.rule.name)
            if one is None or not one.follows(budget):
                one = _Seeing(armed, budget)
                anew.append(one)
            seeing.append(one)
        history_us = max((one.armed.rule.history_days for one in anew), default=0) * DAY_US
        if history_us:
            async for minute in self._minutes.between(until_us - history_us, until_us, prices=True):
                for one in anew:
                    one.watch.see(replace(one.shown(minute), behind_s=None))
                await asyncio.sleep(0)  # calls go on meanwhile
        self._seeing = seeing

    def _show(self, minute: Minute, *, silent: bool) -> None:
        """`silent`: rules learn from it, and what they find is let go."""
        minute = replace(minute, behind_s=None if silent else self._behind())
        for one in self._seeing:
            if silent:
                one.watch.see(one.shown(minute))
            else:
                self._raiser.show(one.shown(minute), [(one.watch, one.armed)])
