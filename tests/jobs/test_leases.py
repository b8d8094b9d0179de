"""Slices of a process: calls hold from memory, and only one that does not fit asks SQL, or waits for others."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.accounts import Account
from gateway.core.budgets import Bound, Budget
from gateway.core.errors import Fault, Kind
from gateway.core.escrow import Charged, Obstacle, Standing
from gateway.core.windows import LIFETIME, Window
from gateway.jobs.leases import LIFE, MARGIN, TICK, Leases
from gateway.storage.accounts import Accounts, charge, release, standing_of
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database
from tests.databases import Operator, new_database, opened
from tests.fakes.clock import FakeClock

LIMIT = 1_000_000
ALL = Account("all", "everything", 0)


def bound(name: str = "all", limit: int = LIMIT) -> Bound:
    return Bound(Budget(name, limit, Window.LIFETIME), Account(name, "everything", 0), LIFETIME)


def unchanged(account: Account, now_us: int) -> None:
    """What limited a slice when it was leased limits it still."""


class RealClock:
    """`ports.Clock` for tests in which a call waits."""

    now_us = staticmethod(wall_clock_us)
    monotonic = staticmethod(time.monotonic)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def leases(db: Database, clock: FakeClock) -> Leases:
    return Leases(Accounts(db, "one"), clock, unchanged, patience=0.0)


@pytest.fixture
async def other(db: Database, clock: FakeClock) -> Leases:
    return Leases(Accounts(db, "other"), clock, unchanged, patience=0.0)


async def standing(db: Database, account: Account = ALL) -> Standing:
    async with db.read() as session:
        return await standing_of(session, account)


async def ticks(leases: Leases, clock: FakeClock, number: int) -> None:
    for _ in range(number):
        clock.forward(TICK)
        await leases.tick()


async def shipped(db: Database, leases: Leases, owner: str, spent: int) -> None:
    async with db.write() as session:
        await charge(session, owner, {ALL: Charged(spent)})
    leases.shipped({ALL: Charged(spent)})


@pytest.mark.anyio
async def test_the_first_call_asks_sql_and_the_next_hold_from_memory(db: Database, leases: Leases) -> None:
    assert await leases.hold([bound()], 100) is None
    assert (await standing(db)).leased == 100
    leases.settle([ALL], 100, 0)
    async with db.write():  # nobody can ask now
        assert await leases.hold([bound()], 100) is None


@pytest.mark.anyio
async def test_at_a_pace_a_slice_lasts_for_the_next_seconds(db: Database, leases: Leases, clock: FakeClock) -> None:
    for _ in range(10):
        assert await leases.hold([bound()], 100) is None
    await ticks(leases, clock, 1)
    assert leases.purse.of(ALL).free >= 8 * 1000


@pytest.mark.anyio
async def test_several_budgets_hold_all_or_none(db: Database, leases: Leases) -> None:
    lack = await leases.hold([bound(), bound("small", 50)], 100)
    assert lack is not None
    assert (lack.bound.budget.name, lack.obstacle, lack.left) == ("small", Obstacle.SPENT, 50)
    assert (leases.purse.of(ALL).held, leases.purse.of(Account("small", "everything", 0)).held) == (0, 0)


@pytest.mark.anyio
async def test_what_is_spent_is_refused_and_what_is_held_may_come_back(
    db: Database, leases: Leases, other: Leases
) -> None:
    assert await leases.hold([bound()], LIMIT) is None
    lack = await other.hold([bound()], 1)
    assert lack is not None
    assert (lack.obstacle, lack.left) == (Obstacle.HELD, LIMIT)
    leases.settle([ALL], LIMIT, LIMIT - 10)
    here = await leases.hold([bound()], 11)
    assert here is not None
    assert (here.obstacle, here.left) == (Obstacle.SPENT, 10)
    await shipped(db, leases, "one", LIMIT - 10)
    there = await other.hold([bound()], 11)
    assert there is not None
    assert (there.obstacle, there.left) == (Obstacle.SPENT, 10)


@pytest.mark.anyio
async def test_what_is_not_needed_goes_back_within_a_second(
    db: Database, leases: Leases, other: Leases, clock: FakeClock
) -> None:
    """Where others may miss it; the lease itself ends with it."""
    assert await leases.hold([bound()], LIMIT // 2) is None
    leases.settle([ALL], LIMIT // 2, 0)
    await ticks(leases, clock, 4)
    assert (await standing(db)).leased == 0
    await ticks(leases, clock, 1)
    assert await other.hold([bound()], LIMIT) is None
    assert [lease.owner for lease in await Accounts(db, "doctor").leases(2**62)] == ["other"]


@pytest.mark.anyio
async def test_where_there_is_plenty_a_caller_that_comes_now_and_then_keeps_its_slice(
    db: Database, leases: Leases, clock: FakeClock
) -> None:
    assert await leases.hold([bound()], 10_000) is None
    leases.settle([ALL], 10_000, 0)
    await ticks(leases, clock, 40)
    async with db.write():  # nobody can ask now
        assert await leases.hold([bound()], 10_000) is None
    leases.settle([ALL], 10_000, 0)
    await ticks(leases, clock, 300)
    assert (await standing(db)).leased == 0
    assert list(leases.purse) == []


@pytest.mark.anyio
async def test_what_is_held_or_settled_stays_however_long_it_takes(
    db: Database, leases: Leases, clock: FakeClock
) -> None:
    assert await leases.hold([bound()], 100) is None
    assert await leases.hold([bound()], 50) is None
    leases.settle([ALL], 50, 30)
    await ticks(leases, clock, 300)
    assert (await standing(db)).leased >= 130
    await shipped(db, leases, "one", 30)
    leases.settle([ALL], 100, 0)
    await ticks(leases, clock, 300)
    assert await standing(db) == Standing(spent=30)


@pytest.mark.anyio
async def test_a_call_that_comes_while_its_lease_is_ended_gets_another(
    db: Database, leases: Leases, clock: FakeClock
) -> None:
    assert await leases.hold([bound()], LIMIT // 2) is None
    leases.settle([ALL], LIMIT // 2, 0)
    await ticks(leases, clock, 4)
    _, lack = await asyncio.gather(leases.tick(), leases.hold([bound()], 100))
    assert lack is None
    assert (await standing(db)).leased == leases.purse.of(ALL).granted >= 100


@pytest.mark.anyio
async def test_leases_are_renewed_while_they_are_in_use(leases: Leases, clock: FakeClock) -> None:
    assert await leases.hold([bound()], 100) is None
    for _ in range(20):
        await ticks(leases, clock, 20)
        assert leases.purse.of(ALL).until - clock.monotonic() > LIFE / 2 - MARGIN


@pytest.mark.anyio
async def test_without_sql_a_slice_serves_until_its_lease_ends(leases: Leases, clock: FakeClock) -> None:
    assert await leases.hold([bound()], 100) is None
    leases.settle([ALL], 100, 0)
    nothing = Accounts(Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing"), "one")
    away = Leases(nothing, clock, unchanged, patience=0.0)
    away.purse = leases.purse
    clock.forward(LIFE - MARGIN - 1)
    with pytest.raises(Fault):
        await away.tick()
    assert await away.hold([bound()], 100) is None
    away.settle([ALL], 100, 0)
    clock.forward(1)
    with pytest.raises(Fault) as raised:
        await away.hold([bound()], 100)
    assert raised.value.kind is Kind.UNAVAILABLE


@pytest.mark.anyio
async def test_from_a_lease_that_was_written_off_nothing_is_opened(
    db: Database, leases: Leases, clock: FakeClock
) -> None:
    assert await leases.hold([bound()], 100) is None
    clock.forward(LIFE)
    doctor = Accounts(db, "doctor")
    (lease,) = await doctor.leases(clock.now_us() + 1)
    assert await doctor.write_off(lease)
    await leases.tick()
    assert leases.purse.of(ALL).free == 0
    assert await standing(db) == Standing(spent=100)
    assert await leases.hold([bound()], 100) is None
    assert (await standing(db)).leased >= 100


@pytest.mark.anyio
async def test_under_a_lower_limit_nothing_is_spent_of_what_was_leased_before(db: Database, clock: FakeClock) -> None:
    """Known fault 33: neither out of a slice that is there, nor by filling one up for calls that fit."""
    in_force = {"all": LIMIT}
    one, two = (
        Leases(Accounts(db, name), clock, lambda account, _: in_force.get(account.budget), patience=0.0)
        for name in ("one", "two")
    )
    for leases in (one, two):
        for _ in range(4):
            assert await leases.hold([bound()], 1000) is None
            leases.settle([ALL], 1000, 1000)
        await ticks(leases, clock, 1)
        assert leases.purse.of(ALL).free >= 1000
    in_force["all"] = 18_000
    for leases in (one, two):
        assert leases.take([ALL], 1000)
        leases.settle([ALL], 1000, 1000)
        await ticks(leases, clock, 1)
        assert not leases.take([ALL], 1000)
    assert (await standing(db)).leased == 10_000
    taken = 0
    for _ in range(40):
        for leases in (one, two):
            if await leases.hold([bound(limit=18_000)], 1000) is None:
                leases.settle([ALL], 1000, 1000)
                taken += 1
        await ticks(one, clock, 1)
        await ticks(two, clock, 1)
    assert taken == 8
    in_force["all"] = LIMIT
    assert await one.hold([bound()], 1000) is None


@pytest.mark.anyio
async def test_a_call_that_meets_the_lower_limit_first_is_a_sign_too(db: Database, clock: FakeClock) -> None:
    in_force = {"all": LIMIT}
    leases = Leases(Accounts(db, "one"), clock, lambda account, _: in_force.get(account.budget), patience=0.0)
    for _ in range(4):
        assert await leases.hold([bound()], 1000) is None
        leases.settle([ALL], 1000, 1000)
    await ticks(leases, clock, 1)
    assert leases.purse.of(ALL).free >= 1000
    in_force["all"] = 5000
    assert await leases.hold([bound(limit=5000)], LIMIT // 2) is not None
    assert leases.take([ALL], 1000)
    leases.settle([ALL], 1000, 1000)
    await ticks(leases, clock, 1)
    assert leases.purse.of(ALL).free == 0
    assert not leases.take([ALL], 1)


@asynccontextmanager
async def pair(database_url: str, patience: float = 30.0) -> AsyncIterator[tuple[Leases, Leases]]:
    """Two processes, each with its own connections, and calls that wait."""
    async with opened(database_url) as one, opened(database_url) as two:
        first, second = (
            Leases(Accounts(db, name), RealClock(), unchanged, patience=patience)
            for name, db in (("one", one), ("two", two))
        )
        yield first, second


@pytest.mark.anyio
async def test_a_call_waits_for_what_another_process_gives_back(database_url: str) -> None:
    async with pair(database_url) as (one, two):
        assert await one.hold([bound()], LIMIT) is None
        waiting = asyncio.create_task(two.hold([bound()], LIMIT))
        one.settle([ALL], LIMIT, 0)
        stopping = asyncio.Event()
        job = asyncio.create_task(one.run(stopping))
        assert await waiting is None
        stopping.set()
        await job


@pytest.mark.anyio
async def test_a_call_waits_for_what_another_call_here_ends(database_url: str) -> None:
    async with pair(database_url) as (one, _):
        assert await one.hold([bound()], LIMIT) is None
        waiting = [asyncio.create_task(one.hold([bound()], LIMIT // 4)) for _ in range(4)]
        done, _ = await asyncio.wait(waiting, timeout=0.02)
        assert not done
        one.settle([ALL], LIMIT, 0)
        assert await asyncio.gather(*waiting) == [None] * 4


@pytest.mark.anyio
async def test_hundreds_at_once_in_two_processes_use_it_up_and_no_more(database_url: str) -> None:
    price = LIMIT // 400

    async def spends(leases: Leases) -> int:
        got = 0
        while await leases.hold([bound()], price) is None:
            await asyncio.sleep(0)
            leases.settle([ALL], price, price)
            got += price
        return got

    async with pair(database_url, patience=0.3) as both:
        spent = await asyncio.gather(*(spends(leases) for leases in both for _ in range(100)))
    assert LIMIT * 99 // 100 <= sum(spent) <= LIMIT


@pytest.mark.anyio
async def test_the_dead_leave_nothing_behind(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(new_database(tmp_path)) as db:
        dead = Leases(Accounts(db, "dead"), clock, unchanged, patience=0.0)
        assert await dead.hold([bound()], LIMIT) is None
        async with db.write() as session:
            await charge(session, "dead", {ALL: Charged(0, 10)})
            await release(session, "dead")
        alive = Leases(Accounts(db, "alive"), clock, unchanged, patience=0.0)
        assert await alive.hold([bound()], LIMIT - 10) is None


@pytest.mark.anyio
async def test_everybody_can_see_what_is_held(db: Database, leases: Leases, sql: Operator, clock: FakeClock) -> None:
    await leases.hold([bound()], 100)
    await ticks(leases, clock, 4)
    assert sql.one("SELECT held_nano FROM budget_leases") == 100
    leases.settle([ALL], 100, 40)
    await ticks(leases, clock, 4)
    assert sql.one("SELECT held_nano FROM budget_leases") == 0


@pytest.mark.anyio
async def test_whoever_stops_gives_back_what_is_free(db: Database, leases: Leases) -> None:
    await leases.hold([bound()], 100)
    await leases.hold([bound()], 50)
    leases.settle([ALL], 100, 0)
    stopping = asyncio.Event()
    stopping.set()
    await leases.run(stopping)
    assert (await standing(db)).leased == 50


@pytest.mark.anyio
async def test_what_is_left_is_what_calls_have_left(db: Database, leases: Leases, other: Leases) -> None:
    """Known fault 38: from the same figures that refuse."""
    assert leases.remaining([]) is None
    assert leases.remaining([bound()]) == LIMIT
    await leases.hold([bound(), bound("small", 500)], 100)
    assert leases.remaining([bound(), bound("small", 500)]) == 400
    leases.settle([ALL, Account("small", "everything", 0)], 100, 30)
    assert leases.remaining([bound()]) == LIMIT - 30
    await shipped(db, leases, "one", 30)
    assert leases.remaining([bound()]) == LIMIT - 30
    await other.hold([bound()], 1000)
    assert other.remaining([bound()]) == LIMIT - 30 - 70 - 1000
