"""Accounts and leases in SQL: whoever does what, no more than the limit is ever spent or leased."""

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.core.accounts import Account
from gateway.core.escrow import Charged, Purse, Standing
from gateway.storage.accounts import Accounts, Granted, Lease, Want, charge, release, standing_of
from gateway.storage.engine import Database
from tests.databases import Operator, new_database

MONTH = Account("everything", "everything", 0)
KEY = Account("each-key", "key=ci", 0)
LATER = 60_000_000


def want(need: int, wish: int | None = None, *, limit: int = 100, generation: int = 0, of: Account = MONTH) -> Want:
    return Want(of, need, need if wish is None else wish, limit, generation)


async def leased(accounts: Accounts, *wants: Want) -> list[Granted]:
    granted = await accounts.lease(wants, LATER)
    return [granted[one.account] for one in wants]


async def standing(db: Database, account: Account = MONTH) -> Standing:
    async with db.read() as session:
        return await standing_of(session, account)


async def charged(db: Database, owner: str, spent: int, reserve: int = 0) -> None:
    async with db.write() as session:
        await charge(session, owner, {MONTH: Charged(spent, reserve)})


@pytest.mark.anyio
async def test_what_is_leased_is_not_left_for_others(db: Database) -> None:
    one, other = Accounts(db, "one"), Accounts(db, "other")
    assert await leased(one, want(60)) == [Granted(60, Standing(leased=60), 1)]
    assert await leased(other, want(41)) == [Granted(0, Standing(leased=60), 0)]
    assert await leased(other, want(40)) == [Granted(40, Standing(leased=100), 1)]


@pytest.mark.anyio
async def test_slices_shrink_as_a_budget_runs_out(db: Database) -> None:
    sizes = []
    for number in range(9):
        (granted,) = await leased(Accounts(db, f"worker {number}"), want(1, 100))
        sizes.append(granted.amount)
    assert sizes == [25, 18, 14, 10, 8, 6, 4, 3, 3]


@pytest.mark.anyio
async def test_several_accounts_are_asked_at_once_and_each_says_what_it_has(db: Database) -> None:
    accounts = Accounts(db, "one")
    assert await leased(accounts, want(10), want(200, of=KEY)) == [
        Granted(10, Standing(leased=10), 1),
        Granted(0, Standing(), 0),
    ]
    assert (await standing(db, KEY)).leased == 0


@pytest.mark.anyio
async def test_what_is_charged_moves_from_leased_to_spent(db: Database) -> None:
    accounts = Accounts(db, "one")
    await leased(accounts, want(60))
    await charged(db, "one", 20, 5)
    assert await standing(db) == Standing(20, 5, 35)
    await accounts.give_back({MONTH: 30})
    assert await standing(db) == Standing(20, 5, 5)
    await accounts.end([MONTH])
    assert await standing(db) == Standing(20, 5, 0)
    assert await leased(accounts, want(75)) == [Granted(75, Standing(20, 5, 75), 1)]


@pytest.mark.anyio
async def test_what_a_provider_bills_beyond_the_slice_takes_nobody_elses(db: Database, sql: Operator) -> None:
    await leased(Accounts(db, "one"), want(10))
    await leased(Accounts(db, "other"), want(50))
    await charged(db, "one", 30)
    assert await standing(db) == Standing(30, 0, 50)
    assert sql.one("SELECT beyond_nano FROM budget_accounts") == 20
    await charged(db, "soft", 5)
    assert await standing(db) == Standing(35, 0, 50)


@pytest.mark.anyio
async def test_a_lowered_limit_leases_nothing_more(db: Database) -> None:
    accounts = Accounts(db, "one")
    await leased(accounts, want(60))
    (granted,) = await leased(accounts, want(1, limit=50, generation=1))
    assert granted.amount == 0
    assert granted.standing.left(50) == -10


@pytest.mark.anyio
async def test_a_dead_owner_keeps_its_slices_until_its_journal_is_replayed(db: Database) -> None:
    await leased(Accounts(db, "dead"), want(60), want(10, of=KEY))
    assert await leased(Accounts(db, "other"), want(50)) == [Granted(0, Standing(leased=60), 0)]
    async with db.write() as session:
        await charge(session, "dead", {MONTH: Charged(7, 13)})
        await release(session, "dead")
    assert await standing(db) == Standing(7, 13, 0)
    assert await standing(db, KEY) == Standing()
    assert await Accounts(db, "other").leases(LATER + 1) == []


@pytest.mark.anyio
async def test_a_lease_whose_answer_got_lost_is_found_again(db: Database) -> None:
    accounts = Accounts(db, "one")
    await leased(accounts, want(60))
    assert await leased(accounts, want(10)) == [Granted(60, Standing(leased=60), 1)]
    assert await leased(accounts, want(70, generation=0)) == [Granted(70, Standing(leased=70), 1)]


@pytest.mark.anyio
async def test_a_lease_is_renewed_only_as_its_owner_knows_it(db: Database) -> None:
    accounts = Accounts(db, "one")
    await leased(accounts, want(10), want(10, of=KEY))
    assert await accounts.renew({MONTH: 1, KEY: 1}, 2 * LATER) == {MONTH: 2, KEY: 2}
    assert await accounts.renew({MONTH: 1, KEY: 2}, 3 * LATER) == {KEY: 3}
    assert await Accounts(db, "other").renew({MONTH: 2}, 3 * LATER) == {}


@pytest.mark.anyio
async def test_what_is_written_off_is_spent_and_its_owner_is_told(db: Database) -> None:
    accounts, doctor = Accounts(db, "gone"), Accounts(db, "doctor")
    await leased(accounts, want(60))
    assert await doctor.leases(LATER) == []
    (lease,) = await doctor.leases(LATER + 1)
    assert lease == Lease("gone", MONTH, 60, LATER)
    assert await doctor.write_off(lease)
    assert await standing(db) == Standing(spent=60)
    assert not await doctor.write_off(lease)
    assert await accounts.renew({MONTH: 1}, 2 * LATER) == {}
    assert await leased(accounts, want(1, generation=1)) == [Granted(0, Standing(spent=60), 2)]


@pytest.mark.anyio
async def test_a_lease_that_lives_again_is_not_written_off(db: Database) -> None:
    accounts = Accounts(db, "slow")
    await leased(accounts, want(60))
    (lease,) = await accounts.leases(LATER + 1)
    await accounts.renew({MONTH: 1}, 2 * LATER)
    assert not await accounts.write_off(lease)
    assert await standing(db) == Standing(leased=60)


@pytest.mark.anyio
async def test_many_at_once_never_lease_more_than_the_limit(database_url: str) -> None:
    """Each with a connection of its own, as processes have them."""
    databases = [Database(database_url) for _ in range(6)]
    try:
        for db in databases:
            await db.connect()

        async def takes(number: int, db: Database) -> int:
            accounts, got, generation = Accounts(db, f"worker {number}"), 0, 0
            for _ in range(10):
                (granted,) = await leased(accounts, want(3, 7, generation=generation))
                got, generation = got + granted.amount, granted.generation
            return got

        taken = await asyncio.gather(*(takes(number, db) for number, db in enumerate(databases)))
        after = await standing(databases[0])
    finally:
        for db in databases:
            await db.close()
    assert sum(taken) == after.leased
    assert 98 <= after.leased <= 100


# --- against a reference in a few lines -------------------------------------------------------------------------------

LIMITS = {MONTH: 1000, KEY: 400}
WORKERS = st.integers(0, 2)
AMOUNTS = st.integers(0, 500)


class Escrow(RuleBasedStateMachine):
    """Three processes that spend from two accounts, and die. The reference: what was held and charged in all."""

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.loop = self.stack.enter_context(asyncio.Runner())
        folder = self.stack.enter_context(TemporaryDirectory())
        self.db = Database(new_database(Path(folder)))
        self.lives = 3
        self.owners = [f"process {number}" for number in range(3)]
        self.purses = [Purse() for _ in range(3)]
        self.holds: list[list[int]] = [[], [], []]
        self.unshipped = [0, 0, 0]
        self.charged = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(work)

    def accounts(self, worker: int) -> Accounts:
        return Accounts(self.db, self.owners[worker])

    @rule(worker=WORKERS, amount=AMOUNTS, wish=AMOUNTS)
    def hold(self, worker: int, amount: int, wish: int) -> None:
        """From the slice, else from a larger one, else not at all."""
        purse = self.purses[worker]
        short = purse.short(LIMITS, amount, 0.0)
        if short:
            wants = [
                Want(account, need, max(need, wish), LIMITS[account], purse.of(account).generation)
                for account, need in short.items()
            ]
            for account, granted in self.run(self.accounts(worker).lease(wants, LATER)).items():
                if granted.amount:
                    purse.granted(account, granted.amount, granted.generation, 1.0)
        if not purse.short(LIMITS, amount, 0.0):
            purse.hold(LIMITS, amount)
            self.holds[worker].append(amount)

    @rule(worker=WORKERS, share=st.integers(0, 100))
    def settle(self, worker: int, share: int) -> None:
        if self.holds[worker]:
            amount = self.holds[worker].pop(0)
            cost = amount * share // 100
            self.purses[worker].settle(LIMITS, amount, cost)
            self.unshipped[worker] += cost
            self.charged += cost

    @rule(worker=WORKERS)
    def ship(self, worker: int) -> None:
        cost, self.unshipped[worker] = self.unshipped[worker], 0
        self.run(self.charge(worker, Charged(cost)))
        self.purses[worker].shipped(dict.fromkeys(LIMITS, cost))

    async def charge(self, worker: int, cost: Charged, *, last: bool = False) -> None:
        async with self.db.write() as session:
            await charge(session, self.owners[worker], dict.fromkeys(LIMITS, cost))
            if last:
                await release(session, self.owners[worker])

    @rule(worker=WORKERS, share=st.integers(0, 100))
    def give_back(self, worker: int, share: int) -> None:
        amounts = {account: one.free * share // 100 for account, one in self.purses[worker] if one.free > 0}
        for account, amount in amounts.items():
            self.purses[worker].give_back(account, amount)
        self.run(self.accounts(worker).give_back(amounts))

    @rule(worker=WORKERS)
    def die(self, worker: int) -> None:
        """Its journal is replayed: what had ended is spent; what was held may have been billed, and stays reserve."""
        held, cost = sum(self.holds[worker]), self.unshipped[worker]
        self.run(self.charge(worker, Charged(cost, held), last=True))
        self.charged += held
        self.holds[worker], self.unshipped[worker], self.purses[worker] = [], 0, Purse()
        self.owners[worker] = f"process {self.lives}"
        self.lives += 1

    @invariant()
    def no_more_than_the_limit_is_charged_and_held(self) -> None:
        assert self.charged + sum(map(sum, self.holds)) <= min(LIMITS.values())

    @invariant()
    def sql_and_memory_agree(self) -> None:
        for account, limit in LIMITS.items():
            there = self.run(standing(self.db, account))
            assert there.leased == sum(purse.of(account).granted for purse in self.purses)
            assert there.spent + there.reserve + sum(self.unshipped) == self.charged
            assert there.left(limit) >= 0

    def teardown(self) -> None:
        with self.stack:
            for worker in range(3):
                self.die(worker)
            for account in LIMITS:
                assert self.run(standing(self.db, account)).leased == 0
            self.run(self.db.close())


TestEscrow = Escrow.TestCase
TestEscrow.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
