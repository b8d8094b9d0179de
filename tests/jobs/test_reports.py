"""Scheduled reports: once for each period, over all processes, with the figures of `usage`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.core.alerts.event import Alert, State
from gateway.core.budgets import Budget
from gateway.core.errors import Fault, Kind
from gateway.core.money import usd_text
from gateway.core.summary import Schedule, due
from gateway.core.windows import Window
from gateway.jobs.reports import PATIENCE_US, TOO_LATE_US, ReportsJob, Summaries
from gateway.storage.alerts import AlertRepository
from gateway.storage.budget_standings import BudgetStandings
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.deliveries import Outbox
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.reports import Reports
from tests.fakes.clock import FakeClock
from tests.storage.calls import a_call

pytestmark = pytest.mark.anyio

DAILY = Schedule("daily", Window.DAY, channels=("ops",), by=("team",))
NOVEMBER = datetime(2026, 11, 1, 7, 59, 59, tzinfo=UTC)
"""A second before the report of 31 October is due, when the calls of these tests were made."""
ALL = Budget("all", 1_000_000_000, Window.MONTH)


def job(db: Database, clock: FakeClock, behind: Callable[[], float] = lambda: 0.0, *schedules: Schedule) -> ReportsJob:
    summaries = Summaries(Reports(db), BudgetStandings(db, clock.now_us), lambda: [ALL])
    alerts = AlertRepository(db, now_us=clock.now_us)
    return ReportsJob(schedules or (DAILY,), summaries, alerts, behind, clock)


async def made(db: Database) -> list[Alert]:
    return list((await AlertRepository(db).page()).items)


async def fill(db: Database, tmp_path: Path, calls: int = 3) -> None:
    await Ledger(db, DeadLetters(tmp_path)).append("j", [a_call(number) for number in range(calls)], Mark(1, 1))


async def test_it_is_made_when_it_is_due_and_once(db: Database, tmp_path: Path) -> None:
    await fill(db, tmp_path)
    clock = FakeClock(NOVEMBER)
    one, other = job(db, clock), job(db, clock)
    await one.look()
    assert [alert.window for alert in await made(db)] == ["2026-10-30"], "the day before, which nobody made"
    clock.forward(1)
    for each in (one, other, one, job(db, clock)):
        await each.look()
    newest, _ = await made(db)
    assert (newest.window, newest.kind, newest.state) == ("2026-10-31", "report.ready", State.RESOLVED)
    assert newest.because.startswith("2026-10-31 (UTC): $0.0048 for 3 calls, nothing the day before")
    assert "  platform: $0.0048 (100 %), 3 calls" in newest.because
    assert "  all: not counted yet, of $1.00" in newest.because
    told: list[Any] = [json.loads(one.message.body) for one in (await Outbox(db).page()).items]
    assert [(event["data"]["window"], event["data"]["state"]) for event in told] == [
        ("2026-10-31", "raised"),
        ("2026-10-30", "raised"),
    ]


async def test_its_figures_are_those_of_usage(db: Database, tmp_path: Path) -> None:
    await fill(db, tmp_path)
    clock = FakeClock(NOVEMBER)
    clock.forward(1)
    await job(db, clock).look()
    (alert,) = await made(db)
    span = due(DAILY, UTC, clock.now_us()).span
    report = await Reports(db).usage(["team"], span.start_us, span.end_us or 0)
    totals: Any = report.as_json()["totals"]
    assert {name: alert.facts[name] for name in ("calls", "cost_usd", "reserve_usd")} == {
        name: totals[name] for name in ("calls", "cost_usd", "reserve_usd")
    }
    assert alert.facts["cost_usd"] == usd_text(3 * 1_600_000)


async def test_a_gateway_that_was_off_makes_it_after_its_start_unless_it_is_old(db: Database) -> None:
    weekly = Schedule("weekly", Window.WEEK, channels=("ops",))
    clock = FakeClock(datetime(2026, 11, 2, 8, tzinfo=UTC))
    clock.forward(TOO_LATE_US / 1_000_000 + 1)
    await job(db, clock, lambda: 0.0, weekly).look()
    assert await made(db) == []
    clock = FakeClock(datetime(2026, 11, 4, 8, tzinfo=UTC))
    await job(db, clock, lambda: 0.0, weekly).look()
    assert [alert.window for alert in await made(db)] == ["2026-W44"]


async def test_it_waits_for_the_ledger_and_says_so_if_that_takes_too_long(db: Database) -> None:
    clock = FakeClock(NOVEMBER)
    clock.forward(1)
    behind = [60.0]
    waiting = job(db, clock, lambda: behind[-1])
    await waiting.look()
    assert await made(db) == []
    clock.forward(PATIENCE_US / 1_000_000)
    await waiting.look()
    (late,) = await made(db)
    assert "calls may be missing" in late.because
    behind.append(0.0)
    clock.forward(24 * 3600)
    await waiting.look()
    newest, _ = await made(db)
    assert "calls may be missing" not in newest.because


class Away(AlertRepository):
    """Fails until it is back."""

    back = False

    async def get(self, id: str) -> Alert | None:
        if not self.back:
            raise Fault(Kind.UNAVAILABLE, "away")
        return await super().get(id)


async def test_a_database_that_is_away_delays_it(db: Database) -> None:
    clock = FakeClock(NOVEMBER)
    alerts = Away(db, now_us=clock.now_us)
    summaries = Summaries(Reports(db), BudgetStandings(db, clock.now_us), list)
    waiting = ReportsJob((DAILY,), summaries, alerts, lambda: 0.0, clock)
    with pytest.raises(Fault, match="away"):
        await waiting.look()
    alerts.back = True
    await waiting.look()
    assert len(await made(db)) == 1
