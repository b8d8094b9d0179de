"""Hundreds of clients spend a hard budget at once, over several processes: the upstream's own bill is the judge.

The test of the second promise, in both its forms. Known faults 32, 36, 37, 42, 43.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

from benchmarks.spending import USD_PER_MILLION_IN, USD_PER_MILLION_OUT
from benchmarks.spending.clients import Crowd, Spent
from gateway.core.budgets import Budget
from gateway.core.money import NANO_PER_USD
from gateway.core.windows import Window
from gateway.storage.budgets import BudgetRepository
from gateway.storage.engine import Database, upgrade
from tests.databases import KINDS, Operator, fresh, operator
from tests.e2e.gateway import Served, serving, until
from tests.e2e.workers import kill, replayed, settled, workers_of

HOUSE = Path(__file__).parents[2]
CLIENTS = 400
WORKERS = 4
SETTINGS = f"""\
server: {{{{keys: optional}}}}
database: {{{{url: env:BOOKS}}}}
providers:
  up: {{{{kind: openai, base_url: "http://127.0.0.1:{{port}}/v1"}}}}
prices: {{{{up/*: {{{{usd_per_million: {{{{input: "{USD_PER_MILLION_IN}", output: "{USD_PER_MILLION_OUT}"}}}}}}}}}}}}
"""


@dataclass(frozen=True)
class Books:
    """What SQL says when all is over; nano-dollars."""

    spent: int
    reserve: int
    leased: int
    held: int
    cost_in_rows: int
    reserve_in_rows: int


def books(sql: Operator) -> Books:
    accounts = sql.rows("SELECT sum(spent_nano), sum(reserve_nano), sum(leased_nano) FROM budget_accounts")[0]
    held = sql.one("SELECT coalesce(sum(held_nano), 0) FROM budget_leases")
    rows = sql.rows("SELECT sum(cost_nano), sum(reserve_nano) FROM calls")[0]
    spent, reserve, leased = map(int, accounts)
    return Books(spent, reserve, leased, int(held), int(rows[0]), int(rows[1]))


@dataclass
class Spending:
    """Gateways with a hard budget of a dollar, and the upstream's bill."""

    gateways: list[Served]
    bill: Path
    url: str

    @property
    def billed(self) -> int:
        return sum(map(int, self.bill.read_text(encoding="ascii").split()))

    @property
    def calls(self) -> int:
        return len(self.bill.read_text(encoding="ascii").split())

    def spend(self, cut: float = 0.0) -> Spent:
        crowd = Crowd([gateway.port for gateway in self.gateways], CLIENTS, "up/any", cut=cut)
        return asyncio.run(crowd.spend())

    def books(self, calls: int) -> Books:
        """When so many calls at least have their row, and nothing is held or leased any more."""
        with operator(self.url) as sql:
            until(lambda: sql.count("attempts") >= calls, "all rows")
            until(lambda: books(sql).held == 0, "every hold's end")
            return books(sql)


@contextmanager
def spending(folder: Path, url: str, gateways: int, workers: int) -> Iterator[Spending]:
    upgrade(url)
    asyncio.run(set_budget(url))
    bill = folder / "bill"
    bill.touch()
    command = [sys.executable, "-m", "benchmarks.spending.upstream", str(bill)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HOUSE) as upstream, ExitStack() as all_of_it:
        all_of_it.callback(upstream.kill)
        assert upstream.stdout is not None
        settings = SETTINGS.format(port=int(upstream.stdout.readline()))
        served = [
            all_of_it.enter_context(
                serving(folder / f"replica{number}", settings, "--workers", str(workers), BOOKS=url)
            )
            for number in range(gateways)
        ]
        yield Spending(served, bill, url)


async def set_budget(url: str) -> None:
    db = Database(url)
    await db.connect()
    try:
        await BudgetRepository(db).add(Budget("dollar", NANO_PER_USD, Window.MONTH), "test")
    finally:
        await db.close()


@pytest.fixture(params=["sqlite", "postgresql", "two replicas"])
def dollar(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spending]:
    kind = request.param if request.param in KINDS else "postgresql"
    replicas = 1 if request.param in KINDS else 2
    with (
        fresh(kind, tmp_path, lambda: request.getfixturevalue("postgres")) as url,
        spending(tmp_path, url, replicas, WORKERS // replicas) as made,
    ):
        yield made


def test_a_budget_is_spent_to_its_end_and_never_beyond(dollar: Spending) -> None:
    seen = dollar.spend()
    after = dollar.books(dollar.calls)
    assert 0.99 * NANO_PER_USD <= dollar.billed <= NANO_PER_USD, seen.answers
    assert (after.spent, after.reserve, after.held) == (dollar.billed, 0, 0)
    assert (after.cost_in_rows, after.reserve_in_rows) == (dollar.billed, 0)
    assert seen.whole == dollar.calls
    assert set(seen.answers) <= {"whole", "insufficient_quota", "rate_limit_exceeded"}


def test_nor_by_clients_that_leave_and_processes_that_die(dollar: Spending) -> None:
    over = Event()
    killer = Thread(target=kill_some, args=(dollar.gateways, over))
    killer.start()
    try:
        dollar.spend(cut=1 / 3)
    finally:
        over.set()
        killer.join()
    each = WORKERS // len(dollar.gateways)
    until(lambda: all(replayed(gateway, each) for gateway in dollar.gateways), "the journals of the dead")
    after = dollar.books(dollar.calls)
    charged = after.spent + after.reserve
    assert dollar.billed <= charged <= NANO_PER_USD
    assert charged >= 0.99 * NANO_PER_USD
    assert charged - dollar.billed <= after.reserve_in_rows
    assert after.held == 0


def kill_some(gateways: list[Served], over: Event) -> None:
    """One process after the other, each when all of its gateway have lived for a while."""
    while not over.wait(0.2):
        for gateway in gateways:
            if settled(gateway, WORKERS // len(gateways)):
                kill(workers_of(gateway)[0])
