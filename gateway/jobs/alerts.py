"""Alert rules at work: what the ledger says of each minute that is over, shown to every rule; what they find is raised.

The same code that replays the past: a start reads as much of it as its rules learn from, and raises nothing of that.
An alert is raised once, however many processes look; one of them is enough.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from gateway.core.alerts.courses import Courses
from gateway.core.alerts.facts import DAY_US, MINUTE_US, Minute
from gateway.core.alerts.finding import Armed, Watch
from gateway.core.budgets import Budgets
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
        self._watches: list[tuple[Watch, Armed]] = []
        self._history_us = max((armed.rule.history_days for armed in rules), default=0) * DAY_US
        self._minutes = minutes
        self._raiser = Raiser(alerts, budgets)
        self._budgets = budgets
        self._behind = behind
        self._clock = clock
        self._seen_us: int | None = None
        """Up to when minutes were looked at."""
        self._courses: Courses | None = None

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
        if self._seen_us is None:
            self._seen_us = await self._learn(until_us)
        if until_us <= self._seen_us:
            return
        async for minute in self._minutes.between(self._seen_us, until_us, prices=True):
            self._show(minute, silent=minute.end_us < now_us - _PATIENCE_US)
            self._seen_us = minute.end_us  # a rule must not see a minute twice, whatever fails after it
        if self._seen_us < until_us:  # rules count quiet minutes too, and see how the ledger is
            self._show(Minute(until_us - MINUTE_US), silent=False)
            self._seen_us = until_us
        await self._raiser.raise_all()

    async def _learn(self, until_us: int) -> int:
        """Up to when the past was shown to new watches."""
        known = self._budgets().all
        self._courses = Courses(known, {budget.zone: ZoneInfo(budget.zone) for budget in known})
        self._watches = [(armed.rule.watch(), armed) for armed in self._rules]
        if self._history_us:
            async for minute in self._minutes.between(until_us - self._history_us, until_us, prices=True):
                self._show(minute, silent=True)
                await asyncio.sleep(0)  # calls go on meanwhile
        return until_us

    def _show(self, minute: Minute, *, silent: bool) -> None:
        """`silent`: rules learn from it, and what they find is let go."""
        assert self._courses is not None
        budgets = self._courses.add(minute.calls, minute.end_us)
        shown = replace(minute, budgets=budgets, behind_s=None if silent else self._behind())
        if silent:
            for watch, _ in self._watches:
                watch.see(shown)
        else:
            self._raiser.show(shown, self._watches)
