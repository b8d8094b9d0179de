"""Scheduled reports: made once for each period, by whichever process comes to it first.

The same figures as `usage`. A gateway that was off when one was due makes it after its start.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.alerts.event import Alert, alert_id
from gateway.core.budgets import Budget
from gateway.core.errors import Fault
from gateway.core.money import usd_text
from gateway.core.summary import BudgetLine, Due, Facts, Schedule, due, report_of
from gateway.core.windows import Span
from gateway.jobs.scheduler import wait
from gateway.ports import Clock
from gateway.storage.alerts import AlertRepository
from gateway.storage.budget_standings import BudgetStanding, BudgetStandings
from gateway.storage.reports import Reports

logger = logging.getLogger(__name__)

LOOK = 15.0
"""Seconds between two looks at the clock."""
BEHIND = 5.0
"""Seconds that the oldest record may wait for the ledger; beyond it a report waits too …"""
PATIENCE_US = 3600 * 1_000_000
"""… but no longer than this: then it says that calls may be missing."""
TOO_LATE_US = 3 * 24 * 3600 * 1_000_000
"""After which a report that nobody made is let go."""


class Summaries:
    """Makes the report of a period."""

    def __init__(self, reports: Reports, standings: BudgetStandings, budgets: Callable[[], Sequence[Budget]]) -> None:
        """`budgets`: those in force now."""
        self._reports = reports
        self._standings = standings
        self._budgets = budgets

    async def of(self, schedule: Schedule, period: Due, now_us: int, *, missing: bool = False) -> Alert:
        """`missing`: the ledger has not caught up. Raises `Fault` (unavailable, timeout)."""
        rows = {name: (await self._usage(period.span, name))["rows"] for name in schedule.by}
        standings = await self._standings.of(self._budgets())
        facts = Facts(
            totals=(await self._usage(period.span))["totals"],
            before=(await self._usage(period.before))["totals"],
            rows=rows,
            budgets=[_line(one) for one in sorted(standings, key=_used, reverse=True)],
            missing=missing,
        )
        return report_of(schedule, period, facts, now_us)

    async def _usage(self, span: Span, *group_by: str) -> Mapping[str, Any]:
        assert span.end_us is not None, "a period of a report ends"
        return (await self._reports.usage(group_by, span.start_us, span.end_us)).as_json()


def _line(standing: BudgetStanding) -> BudgetLine:
    spent = None if standing.figures is None else usd_text(standing.figures.spent)
    return BudgetLine(standing.budget.name, spent, usd_text(standing.limit) or "")


def _used(standing: BudgetStanding) -> float:
    """The share of its limit that is spent: for the order of the lines alone."""
    return -1.0 if standing.figures is None else standing.figures.spent / standing.limit


class ReportsJob:
    """`run` is the job."""

    def __init__(
        self,
        schedules: Sequence[Schedule],
        summaries: Summaries,
        alerts: AlertRepository,
        behind: Callable[[], float],
        clock: Clock,
    ) -> None:
        """`behind`: seconds that the oldest record waits for the ledger."""
        self._schedules = schedules
        self._summaries = summaries
        self._alerts = alerts
        self._behind = behind
        self._clock = clock
        self._made: dict[str, str] = {}
        """The last period of each schedule that has its report."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until told to stop. A database that fails is a state."""
        while not stopping.is_set():
            try:
                await self.look()
            except Fault as fault:
                logger.debug("a report waits: %s", fault.message)
            await wait(stopping, LOOK)

    async def look(self) -> None:
        """Make what is due and was not made. Raises `Fault` (unavailable); then the rest is made the next time."""
        for schedule in self._schedules:
            period = due(schedule, ZoneInfo(schedule.zone), self._clock.now_us())
            if self._made.get(schedule.name) != period.name and await self._done(schedule, period):
                self._made[schedule.name] = period.name

    async def _done(self, schedule: Schedule, period: Due) -> bool:
        """Whether it needs no further look."""
        now_us = self._clock.now_us()
        missing = self._behind() > BEHIND
        if now_us - period.at_us > TOO_LATE_US:
            return True
        if await self._alerts.get(alert_id(schedule.name, schedule.name, period.name)) is not None:
            return True
        if missing and now_us - period.at_us < PATIENCE_US:
            return False
        alert = await self._summaries.of(schedule, period, now_us, missing=missing)
        if await self._alerts.raise_alert(alert, schedule.channels, over=True):
            logger.info("the report %s of %s is ready", schedule.name, period.name)
        return True
