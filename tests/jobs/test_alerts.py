"""Rules see every minute of the ledger once, live; what was before a start is learnt from, and raises nothing."""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.core.alerts.burn_rate import BurnRate
from gateway.core.alerts.finding import Armed, Rule
from gateway.core.alerts.prices import PriceUnknown
from gateway.core.alerts.service import Errors
from gateway.core.budgets import Budget, Budgets
from gateway.core.calls import CallRecord, End
from gateway.core.windows import Window
from gateway.jobs.alerts import AlertsJob
from gateway.storage.alerts import AlertRepository
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.minutes import Minutes
from tests.fakes.clock import FakeClock
from tests.storage.calls import a_call, an_attempt

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def job(db: Database, clock: FakeClock, rule: Rule) -> AlertsJob:
    alerts = AlertRepository(db, now_us=clock.now_us)
    none = Budgets((), {"UTC": ZoneInfo("UTC")})
    return AlertsJob([Armed(rule, ("ops",))], Minutes(db), alerts, lambda: none, lambda: 0.0, clock)


async def happen(db: Database, folder: Path, clock: FakeClock, first: int, *, unpriced: bool = False) -> None:
    attempt = an_attempt(0)
    if unpriced:
        attempt = replace(attempt, cost_nano=None, cost_at_least_nano=0, charges=(), unpriced_because="none")
    calls: list[CallRecord] = [
        a_call(number, at_us=clock.now_us(), attempts=[replace(attempt, end=End.COMPLETED)])
        for number in range(first, first + 30)
    ]
    calls = [replace(call, ended_us=clock.now_us()) for call in calls]
    await Ledger(db, DeadLetters(folder)).append("j", calls, Mark(1, first + 1))


async def count(db: Database) -> int:
    return len((await AlertRepository(db).page(1000)).items)


async def test_a_minute_is_looked_at_when_it_is_over(db: Database, clock: FakeClock, tmp_path: Path) -> None:
    watching = job(db, clock, PriceUnknown("unpriced"))
    await watching.look()
    await happen(db, tmp_path, clock, 0, unpriced=True)
    await watching.look()
    assert await count(db) == 0
    clock.forward(63)
    await watching.look()
    (alert,) = (await AlertRepository(db).page()).items
    assert (alert.kind, alert.rule) == ("price.unknown", "unpriced")
    assert alert.because
    await watching.look()
    clock.forward(60)
    await watching.look()
    assert await count(db) == 1


async def test_what_was_before_the_start_raises_nothing(db: Database, clock: FakeClock, tmp_path: Path) -> None:
    await happen(db, tmp_path, clock, 0, unpriced=True)
    clock.forward(120)
    watching = job(db, clock, PriceUnknown("unpriced"))
    await watching.look()
    clock.forward(60)
    await watching.look()
    assert await count(db) == 0


async def test_quiet_minutes_raise_nothing(db: Database, clock: FakeClock) -> None:
    watching = job(db, clock, Errors("errors"))
    for _ in range(5):
        await watching.look()
        clock.forward(60)
    assert await count(db) == 0


BURN = BurnRate("burn", "late")
LATE = Budget("late", 1_000_000_000, Window.DAY)


async def spend(db: Database, folder: Path, clock: FakeClock, first: int, nano: int) -> None:
    """A call that costs so much and ends now."""
    attempt = replace(an_attempt(0), cost_nano=nano, charges=())
    call = replace(a_call(first, at_us=clock.now_us(), attempts=[attempt]), ended_us=clock.now_us())
    await Ledger(db, DeadLetters(folder)).append("j", [call], Mark(1, first + 1))


async def test_a_budget_that_is_made_later_is_watched_without_a_restart(
    db: Database, clock: FakeClock, tmp_path: Path
) -> None:
    """What it spent before is learnt from and raises nothing; other terms change nothing of that; removed, it rests."""
    zones = {"UTC": ZoneInfo("UTC")}
    in_force = [Budgets((), zones)]
    alerts = AlertRepository(db, now_us=clock.now_us)
    watching = AlertsJob([Armed(BURN)], Minutes(db), alerts, lambda: in_force[-1], lambda: 0.0, clock)
    await watching.look()

    async def minutes(first: int, count: int, nano: int) -> None:
        for number in range(first, first + count):
            await spend(db, tmp_path, clock, number, nano)
            clock.forward(60)
            await watching.look()

    await minutes(0, 70, 2_000_000_000)
    assert await count(db) == 0, "there is no such budget yet"
    in_force.append(Budgets([LATE], zones))
    await watching.look()
    assert await count(db) == 0, "the past raises nothing"
    in_force.append(Budgets([replace(LATE, limit_nano=10**15)], zones))
    await minutes(100, 70, 2_000_000_000)
    assert await count(db) == 0, "its limit is far away"
    in_force.append(Budgets((), zones))
    await minutes(200, 5, 10**15)
    assert await count(db) == 0, "it was removed"
    in_force.append(Budgets([replace(LATE, limit_nano=10**12)], zones))
    clock.forward(24 * 3600)
    await minutes(300, 70, 10**11)
    assert {alert.rule for alert in (await alerts.page()).items} == {"burn"}
