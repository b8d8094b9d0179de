"""Rates over SQL: what several processes count together, told often and forgotten soon."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.calls import CallFacts
from gateway.core.limits import MINUTE_US, Limit, Limits, Rate
from gateway.jobs.leases import TICK
from gateway.jobs.rates import KEPT_US, Rates
from gateway.storage.accounts import Accounts
from gateway.storage.engine import Database
from tests.databases import Operator
from tests.fakes.clock import FakeClock
from tests.jobs.test_leases import unchanged

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def rate(clock: FakeClock, **most: int) -> Rate:
    (found,) = Limits([Limit("l", **most)]).binding(CallFacts("c", clock.now_us(), "/v1/x"))  # type: ignore[arg-type]  # numbers all of them
    return found


async def took(rates: Rates, one: Rate, amount: int = 1) -> bool:
    accounts = [one.bound.account]
    return rates.take(accounts, amount) or await rates.hold([one.bound], amount) is None


async def test_processes_count_together(db: Database, clock: FakeClock) -> None:
    one, other = Rates(Accounts(db, "one"), clock, unchanged), Rates(Accounts(db, "other"), clock, unchanged)
    requests = rate(clock, rpm=40)
    taken = 0
    for _ in range(60):
        for rates in (one, other):
            if await took(rates, requests):
                rates.settle([requests.bound.account], 1, 1)
                taken += 1
        clock.forward(TICK)
        await one.tick()
        await other.tick()
    assert taken == 40
    assert one.remaining([requests.bound]) == 0


async def test_what_was_used_is_told_and_forgotten(db: Database, clock: FakeClock, sql: Operator) -> None:
    rates = Rates(Accounts(db, "one"), clock, unchanged)
    requests = rate(clock, rpm=10)
    assert await took(rates, requests)
    rates.settle([requests.bound.account], 1, 1)
    await rates.tick()
    assert sql.rows("SELECT budget, spent_nano FROM budget_accounts") == [("rpm:l", 1)]
    for _ in range(250):
        clock.forward(TICK)
        await rates.tick()
    clock.forward((KEPT_US + MINUTE_US) / 1e6)
    await rates.tick()
    assert sql.count("budget_accounts") == 0
    assert sql.count("budget_leases") == 0


async def test_calls_in_flight_come_back(db: Database, clock: FakeClock) -> None:
    one, other = Rates(Accounts(db, "one"), clock, unchanged), Rates(Accounts(db, "other"), clock, unchanged)
    calls = rate(clock, in_flight=1)
    assert await took(one, calls)
    assert not await took(other, calls)
    one.settle([calls.bound.account], 1, 0)
    for _ in range(8):
        clock.forward(TICK)
        await one.tick()
    assert await took(other, calls)


async def test_whoever_stops_tells_what_was_used(db: Database, clock: FakeClock, sql: Operator) -> None:
    rates = Rates(Accounts(db, "one"), clock, unchanged)
    requests = rate(clock, rpm=10)
    assert await took(rates, requests)
    rates.settle([requests.bound.account], 1, 1)
    stopping = asyncio.Event()
    stopping.set()
    await rates.run(stopping)
    assert sql.rows("SELECT spent_nano, leased_nano FROM budget_accounts") == [(1, 0)]


class Counted(Accounts):
    """Counts the questions about what can be forgotten."""

    asked = 0

    async def forget(self, prefixes: Sequence[str], before_us: int) -> None:
        self.asked += 1
        await super().forget(prefixes, before_us)


async def test_whoever_counts_nothing_asks_nothing(db: Database, clock: FakeClock) -> None:
    accounts = Counted(db, "one")
    rates = Rates(accounts, clock, unchanged)
    for _ in range(10):
        clock.forward(MINUTE_US / 1e6)
        await rates.tick()
    asked = accounts.asked
    assert asked <= 6, "only what others may have left behind"
    clock.forward(3600)
    await rates.tick()
    assert accounts.asked == asked
    assert await took(rates, rate(clock, rpm=10))
    await rates.tick()
    assert accounts.asked == asked + 1
