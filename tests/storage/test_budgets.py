"""Budgets in SQL: what can be done to one, that every change is told, and that the index follows."""

from dataclasses import replace

import pytest

from gateway.core.budgets import Budget, Exhausted, Mode, Raise
from gateway.core.calls import CallFacts
from gateway.core.errors import Fault, Kind
from gateway.core.scopes import scope_of
from gateway.core.windows import Window
from gateway.storage.audit import AuditLog
from gateway.storage.budgets import BudgetRepository, BudgetStore
from gateway.storage.engine import Database
from tests.databases import Operator

NOW = 1_793_433_600_000_000
BUDGET = Budget(
    "search",
    500_000_000_000,
    Window.MONTH,
    "Europe/Berlin",
    Mode.SOFT,
    scope_of([("team", "search"), ("tag", "env=prod"), ("key", "*")]),
    (50, 80, 100),
    Exhausted.DOWNGRADE,
    "small",
    unpriced_allowed=True,
    raised=Raise(5, NOW + 1),
    since_us=NOW,
)
CALL = CallFacts("id", NOW, "/v1/chat/completions")


@pytest.fixture
def budgets(db: Database) -> BudgetRepository:
    return BudgetRepository(db, lambda: NOW)


def plain(name: str, limit: int = 1) -> Budget:
    return Budget(name, limit, Window.DAY)


@pytest.mark.anyio
async def test_a_budget_comes_back_as_it_was(budgets: BudgetRepository) -> None:
    await budgets.add(BUDGET, "cli")
    await budgets.add(plain("plain"), "cli")
    assert await budgets.all() == [BUDGET, plain("plain")]
    assert await budgets.get("search") == BUDGET
    assert await budgets.get("other") is None


@pytest.mark.anyio
async def test_a_name_is_taken_once(budgets: BudgetRepository) -> None:
    await budgets.add(BUDGET, "cli")
    with pytest.raises(Fault) as raised:
        await budgets.add(plain("search"), "cli")
    assert (raised.value.kind, raised.value.param) == (Kind.CONFLICT, "name")
    assert await budgets.all() == [BUDGET]


@pytest.mark.anyio
async def test_pages_come_newest_first(budgets: BudgetRepository) -> None:
    for number in range(5):
        await budgets.add(plain(f"b{number}"), "cli")
    first = await budgets.page(3)
    second = await budgets.page(3, first.next)
    assert [one.name for one in (*first.items, *second.items)] == ["b4", "b3", "b2", "b1", "b0"]
    assert second.next is None


@pytest.mark.anyio
async def test_what_can_change_changes_and_is_told(db: Database, budgets: BudgetRepository) -> None:
    await budgets.add(BUDGET, "cli")
    changed = await budgets.update("search", {"limit_nano": 7, "mode": Mode.HARD, "raised": None}, "admin")
    assert changed == replace(BUDGET, limit_nano=7, mode=Mode.HARD, raised=None)
    assert await budgets.get("search") == changed
    entry = (await AuditLog(db).page()).items[0]
    assert (entry.actor, entry.action, entry.subject) == ("admin", "budget.update", "search")
    assert entry.details == {"limit_nano": 7, "mode": "hard", "raised_nano": 0, "raised_until_us": None}


@pytest.mark.anyio
@pytest.mark.parametrize("field", ["window", "zone", "scope", "name", "since_us"])
async def test_what_makes_another_budget_of_it_cannot_change(budgets: BudgetRepository, field: str) -> None:
    await budgets.add(BUDGET, "cli")
    with pytest.raises(Fault) as raised:
        await budgets.update("search", {field: "x"}, "cli")
    assert (raised.value.kind, raised.value.param) == (Kind.INVALID, field)


@pytest.mark.anyio
async def test_a_budget_that_there_is_not_is_not_found(budgets: BudgetRepository) -> None:
    for attempt in (budgets.update("none", {}, "cli"), budgets.remove("none", "cli")):
        with pytest.raises(Fault) as raised:
            await attempt
        assert raised.value.kind is Kind.NOT_FOUND


@pytest.mark.anyio
async def test_a_removed_budget_is_gone_and_its_name_is_free(db: Database, budgets: BudgetRepository) -> None:
    await budgets.add(BUDGET, "cli")
    assert await budgets.remove("search", "cli") == BUDGET
    assert await budgets.all() == []
    await budgets.add(plain("search"), "cli")
    actions = [entry.action for entry in (await AuditLog(db).page()).items]
    assert actions == ["budget.create", "budget.remove", "budget.create"]


@pytest.mark.anyio
async def test_the_index_follows_every_change(budgets: BudgetRepository) -> None:
    store = BudgetStore(budgets, [plain("all", 3)])
    assert [bound.budget.limit_nano for bound in store.budgets.binding(CALL, "t", "p").bounds] == [3]
    await budgets.add(plain("more"), "cli")
    await budgets.add(plain("all", 9), "cli")
    assert await store.refresh()
    assert [(one.name, one.limit_nano) for one in store.budgets.all] == [("all", 3), ("more", 1)]
    assert not await store.refresh()
    await budgets.remove("more", "cli")
    assert await store.refresh()
    assert len(store.budgets) == 1


STARTS = "SELECT budget, shape FROM budget_starts ORDER BY budget"
ACCOUNTS = "SELECT budget, subject, spent_nano FROM budget_accounts ORDER BY budget, subject"


def account(sql: Operator, budget: str, spent: int, leased: int = 0) -> None:
    day = NOW - NOW % 86_400_000_000
    sql.run(
        "INSERT INTO budget_accounts VALUES (:budget, 'everything', :day, :spent, 0, :leased, 0, 0)",
        budget=budget, day=day, spent=spent, leased=leased,
    )  # fmt: skip


@pytest.mark.anyio
async def test_budgets_of_the_file_begin_when_the_gateway_starts_and_only_then(
    budgets: BudgetRepository, sql: Operator
) -> None:
    """What is counted of one that began stays; one of another shape counts anew, from the ledger."""
    await BudgetStore(budgets, [plain("a"), plain("b")]).refresh()
    assert sql.rows(STARTS) == [("a", "day UTC "), ("b", "day UTC ")]
    account(sql, "a", 5)
    account(sql, "b", 6)
    weekly = replace(plain("b"), scope=scope_of([("team", "x")]))
    store = BudgetStore(budgets, [plain("a", 9), weekly])
    await store.refresh()
    assert sql.rows(ACCOUNTS) == [("a", "everything", 5)]
    assert sql.rows(STARTS) == [("a", "day UTC "), ("b", "day UTC team=x")]


@pytest.mark.anyio
async def test_a_budget_that_left_the_file_begins_anew_when_it_comes_back(
    budgets: BudgetRepository, sql: Operator
) -> None:
    """Meanwhile nobody counted."""
    await BudgetStore(budgets, [plain("a")]).refresh()
    account(sql, "a", 5)
    await BudgetStore(budgets).refresh()
    assert sql.rows(STARTS) == []
    await BudgetStore(budgets, [plain("a")]).refresh()
    assert sql.rows(ACCOUNTS) == []


@pytest.mark.anyio
async def test_a_stored_budget_begins_when_it_is_made_and_is_forgotten_with_its_accounts(
    budgets: BudgetRepository, sql: Operator
) -> None:
    """Except what somebody has leased: that ends as it will."""
    for name in ("a", "b"):
        await budgets.add(plain(name), "cli")
    account(sql, "a", 5)
    account(sql, "b", 6, leased=1)
    await BudgetStore(budgets).refresh()
    assert sql.rows(ACCOUNTS) == [("a", "everything", 5), ("b", "everything", 6)]
    for name in ("a", "b"):
        await budgets.remove(name, "cli")
    assert sql.rows(ACCOUNTS) == [("b", "everything", 6)]
    assert sql.rows(STARTS) == []
