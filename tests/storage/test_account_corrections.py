"""Budgets have spent what their calls cost, after a correction as before it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.core.accounts import Account
from gateway.core.budgets import Budget
from gateway.core.calls import Attempt
from gateway.core.escrow import Charged
from gateway.core.scopes import OTHERS, Part, scope_of
from gateway.core.windows import Window, span_of
from gateway.storage.accounts import Accounts
from gateway.storage.budgets import BudgetRepository
from gateway.storage.engine import Database
from gateway.storage.repricing import Period, Repricing
from tests.databases import Operator
from tests.storage.calls import START_US, a_call, with_facts
from tests.storage.test_budget_seeds import NOW, at, ship

pytestmark = pytest.mark.anyio


def _costs(found: tuple[int, str], attempts: object) -> tuple[int, str]:
    return found


async def begin(db: Database, *scope: Part, name: str = "b") -> Budget:
    budget = Budget(name, 1000, Window.MONTH, scope=scope_of(scope))
    await BudgetRepository(db, lambda: NOW).add(budget, "me")
    return budget


async def correct(db: Database, cost: int, *budgets: Budget) -> None:
    async for _ in Repricing(db, budgets=budgets).apply(Period(0, NOW), partial(_costs, (cost, "book")), "cli", "test"):
        pass


def spent(sql: Operator, name: str = "b") -> Mapping[str, int]:
    rows = sql.rows("SELECT budget, subject, spent_nano FROM budget_accounts")
    return {subject: nano for budget, subject, nano in rows if budget == name}


@pytest.mark.parametrize(("scope", "before", "after"), [
    ([], {"everything": 400_005}, {"everything": 207}),
    ([("session", "*")], {"session=session-1": 400_005}, {"session=session-1": 207}),
    ([("tag", "feature=*")], {"tag:feature=search": 400_005}, {"tag:feature=search": 207}),
    ([("target", "gpu/b")], {"everything": 400_000}, {"everything": 202}),
    ([("team", "another")], {}, {}),
])  # fmt: skip
async def test_they_follow_every_correction(
    db: Database, sql: Operator, tmp_path: Path, scope: list[Part], before: dict[str, int], after: dict[str, int]
) -> None:
    # Of the second attempt 400,000 is known.
    attempts: list[Attempt] = [at("openai/a", 0, 5), at("gpu/b", 1, None)]
    await ship(db, tmp_path, [a_call(1, attempts=attempts)])
    budget = await begin(db, *scope)
    assert spent(sql) == before
    for cost in (99, 207, 207):
        await correct(db, cost, budget)
    assert spent(sql) == after
    added = {subject: after[subject] - cost for subject, cost in before.items()}
    assert dict(sql.rows("SELECT subject, corrected_nano FROM budget_accounts")) == added
    begun_later = await begin(db, *scope, name="later")
    assert begun_later.scope == budget.scope
    assert spent(sql, "later") == after, "as one that begins now"


async def test_only_those_that_count_already_are_corrected(db: Database, sql: Operator, tmp_path: Path) -> None:
    await ship(db, tmp_path, [a_call(1, attempts=[at("openai/a", 0, 5)])])
    declared = Budget("declared", 1000, Window.MONTH)
    await correct(db, 99, declared)
    assert spent(sql, "declared") == {}


async def test_what_shares_an_account_is_corrected_there(db: Database, sql: Operator, tmp_path: Path) -> None:
    budget = await begin(db, ("session", "*"))
    start = span_of(budget.window, ZoneInfo("UTC"), START_US).start_us
    await ship(db, tmp_path, [with_facts(a_call(1, attempts=[at("openai/a", 0, 5)]), session="late")])
    await Accounts(db, "one").charge({Account("b", OTHERS, start): Charged(5, held=False)})
    await correct(db, 99, budget)
    assert spent(sql) == {OTHERS: 99}
    assert await Accounts(db, "one").spent([Account("b", OTHERS, start)]) == {Account("b", OTHERS, start): 99}
