"""Percentages are told once in a window, whoever spent, whoever looks, and whoever was killed in between."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from gateway.core.accounts import Account
from gateway.core.alerts.finding import Armed
from gateway.core.alerts.threshold import Threshold
from gateway.core.budgets import Budget, Budgets, Mode
from gateway.core.escrow import Charged
from gateway.core.scopes import scope_of
from gateway.core.windows import Window
from gateway.jobs.thresholds import IMPLIED, Thresholds
from gateway.storage.accounts import Accounts
from gateway.storage.alerts import AlertRepository
from gateway.storage.deliveries import Outbox
from gateway.storage.engine import Database
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

BUDGET = Budget("dollar", 1000, Window.MONTH, alert_at=(50, 80, 100), mode=Mode.SOFT)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def thresholds(db: Database, clock: FakeClock, *rules: Armed, budgets: Sequence[Budget] = (BUDGET,)) -> Thresholds:
    index = Budgets(budgets, {budget.zone: ZoneInfo(budget.zone) for budget in budgets})
    alerts = AlertRepository(db, now_us=clock.now_us)
    return Thresholds(rules, Accounts(db, "one"), alerts, lambda: index, clock)


def account(clock: FakeClock, subject: str = "everything") -> Account:
    span = Budgets((BUDGET,), {"UTC": ZoneInfo("UTC")}).span(BUDGET, clock.now_us())
    return Account("dollar", subject, span.start_us)


async def spend(db: Database, looking: Thresholds, at: Account, nano: int) -> None:
    await Accounts(db, "one").charge({at: Charged(nano, held=False)})
    looking.charged([at])
    await looking.look()


async def raised(db: Database) -> list[tuple[str, str, str]]:
    page = await AlertRepository(db).page(1000)
    return sorted((alert.rule, alert.kind, alert.window.partition("/")[2]) for alert in page.items)


async def test_each_percentage_once(db: Database, clock: FakeClock) -> None:
    looking = thresholds(db, clock)
    implied = f"{IMPLIED}dollar"
    await spend(db, looking, account(clock), 499)
    assert await raised(db) == []
    await spend(db, looking, account(clock), 301)
    assert await raised(db) == [(implied, "budget.threshold", "50"), (implied, "budget.threshold", "80")]
    await spend(db, looking, account(clock), 1)
    assert len(await raised(db)) == 2
    await spend(db, looking, account(clock), 500)
    assert len(await raised(db)) == 3


async def test_several_processes_raise_it_once(db: Database, clock: FakeClock) -> None:
    one, other = thresholds(db, clock), thresholds(db, clock)
    await spend(db, one, account(clock), 500)
    await spend(db, other, account(clock), 1)
    assert len(await raised(db)) == 1


async def test_a_thousand_crossings_are_a_thousand_alerts_whoever_looks_and_however_often(
    db: Database, clock: FakeClock
) -> None:
    """Known faults 46, 47: two processes, each started anew three times over what was charged before."""
    each = replace(BUDGET, alert_at=(50, 100), scope=scope_of([("key", "*")]))
    rule = Armed(Threshold("spent", "dollar"), ("ops",))
    subjects = [account(clock, f"key=k{number}") for number in range(500)]
    for nano in (600, 500):
        await Accounts(db, "one").charge({at: Charged(nano, held=False) for at in subjects})
        for _ in range(3):
            one, other = (thresholds(db, clock, rule, budgets=[each]) for _ in range(2))
            for looking in (one, other):
                looking.charged(subjects)
            await asyncio.gather(one.look(), other.look())
    alerts = (await AlertRepository(db).page(2000)).items
    assert len(alerts) == len({(alert.subject, alert.window) for alert in alerts}) == 1000
    deliveries = (await Outbox(db).page(2000)).items
    assert len(deliveries) == len({one.alert for one in deliveries}) == 1000


async def test_what_a_killed_process_did_not_come_to_is_told_by_the_next(db: Database, clock: FakeClock) -> None:
    await Accounts(db, "one").charge({account(clock): Charged(900, held=False)})
    await thresholds(db, clock).look()
    assert len(await raised(db)) == 2


async def test_of_a_window_that_is_over_nobody_is_told(db: Database, clock: FakeClock) -> None:
    await Accounts(db, "one").charge({account(clock): Charged(900, held=False)})
    clock.forward(40 * 86_400)
    await thresholds(db, clock).look()
    assert await raised(db) == []


async def test_a_rule_has_percentages_and_channels_of_its_own(db: Database, clock: FakeClock) -> None:
    looking = thresholds(db, clock, Armed(Threshold("third", "dollar", (33,)), ("ops",)))
    await spend(db, looking, account(clock), 900)
    assert await raised(db) == [("third", "budget.threshold", "33")]


async def test_the_first_refusal_of_a_window_is_told(db: Database, clock: FakeClock) -> None:
    looking = thresholds(db, clock, budgets=[Budget("dollar", 1000, Window.MONTH)])
    for _ in range(3):
        looking.refused(account(clock))
        await looking.look()
    assert await raised(db) == [(f"{IMPLIED}dollar", "budget.exhausted", "exhausted")]


async def test_every_account_is_told_apart(db: Database, clock: FakeClock) -> None:
    looking = thresholds(db, clock)
    await spend(db, looking, account(clock, "key=a"), 600)
    await spend(db, looking, account(clock, "key=b"), 600)
    page = await AlertRepository(db).page()
    assert sorted(alert.subject for alert in page.items) == ["key=a", "key=b"]
