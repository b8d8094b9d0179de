"""From settings to scheduled reports. Opens nothing."""

from collections.abc import Callable, Sequence

from gateway.core.budgets import Budget
from gateway.core.summary import DEFAULT_BY, Schedule
from gateway.core.windows import Window
from gateway.jobs.reports import ReportsJob, Summaries
from gateway.ports import Clock
from gateway.settings import Settings
from gateway.storage.alerts import AlertRepository
from gateway.storage.budget_standings import BudgetStandings
from gateway.storage.engine import Database
from gateway.storage.reports import Reports


def schedules_of(settings: Settings) -> dict[str, Schedule]:
    """Every report that the file wants, by name."""
    return {
        name: Schedule(
            name,
            Window(given.every),
            given.timezone,
            given.at,
            DEFAULT_BY if given.by is None else given.by,
            given.top,
            given.channels,
        )
        for name, given in settings.alerts.reports.items()
    }


def summaries_on(database: Database, budgets: Callable[[], Sequence[Budget]], now_us: Callable[[], int]) -> Summaries:
    """What makes a report out of a database."""
    return Summaries(Reports(database), BudgetStandings(database, now_us), budgets)


def reports_job(
    settings: Settings,
    database: Database,
    alerts: AlertRepository,
    budgets: Callable[[], Sequence[Budget]],
    behind: Callable[[], float],
    clock: Clock,
) -> ReportsJob | None:
    """Null if the file wants none."""
    schedules = schedules_of(settings)
    if not schedules:
        return None
    return ReportsJob(list(schedules.values()), summaries_on(database, budgets, clock.now_us), alerts, behind, clock)
