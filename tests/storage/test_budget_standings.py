"""How budgets stand: exactly what accounts and leases say of the window that is now."""

from dataclasses import replace

import pytest

from gateway.core.budgets import Budget, Mode, Raise
from gateway.core.scopes import scope_of
from gateway.core.windows import Window
from gateway.storage.budget_seeds import shape_of
from gateway.storage.budget_standings import BudgetStanding, BudgetStandings, Figures, Over
from gateway.storage.engine import Database
from tests.databases import Operator

pytestmark = pytest.mark.anyio

NOW = 1_793_433_600_000_000
"""2026-10-31T08:00:00Z, a Saturday."""
DAY_US = 86_400_000_000
DAY = NOW - NOW % DAY_US
MONTH = DAY - 30 * DAY_US
BERLIN_MONTH = MONTH - 2 * 3_600_000_000
PER_KEY = scope_of([("key", "*")])


@pytest.fixture
def standings(db: Database) -> BudgetStandings:
    return BudgetStandings(db, lambda: NOW)


def account(
    sql: Operator, budget: str, subject: str, start_us: int, spent: int, reserve: int = 0, leased: int = 0
) -> None:
    sql.run(
        "INSERT INTO budget_accounts VALUES (:budget, :subject, :start, :spent, :reserve, :leased, 0, 0)",
        budget=budget, subject=subject, start=start_us, spent=spent, reserve=reserve, leased=leased,
    )  # fmt: skip


def lease(sql: Operator, owner: str, budget: str, subject: str, start_us: int, held: int) -> None:
    sql.run(
        "INSERT INTO budget_leases (owner, budget, subject, window_start_us, granted_nano, generation, expires_us, "
        "held_nano) VALUES (:owner, :budget, :subject, :start, :held, 1, 1, :held)",
        owner=owner, budget=budget, subject=subject, start=start_us, held=held,
    )  # fmt: skip


async def stand(db: Database, sql: Operator, *budgets: Budget) -> list[tuple[BudgetStanding, Figures]]:
    """These budgets, which have begun."""
    for budget in budgets:
        sql.run("DELETE FROM budget_starts WHERE budget = :name", name=budget.name)
        sql.run("INSERT INTO budget_starts VALUES (:name, :shape, 0)", name=budget.name, shape=shape_of(budget))
    standings = await BudgetStandings(db, lambda: NOW).of(budgets)
    return [(one, one.figures) for one in standings if one.figures is not None]


async def test_one_that_has_not_begun_has_no_figures(standings: BudgetStandings, sql: Operator) -> None:
    """Nobody has counted what was spent, and that is not 0. One of another shape is another one."""
    account(sql, "b", "everything", MONTH, 7)
    budget = Budget("b", 100, Window.MONTH)
    assert [one.figures for one in await standings.of([budget])] == [None]
    sql.run("INSERT INTO budget_starts VALUES ('b', :shape, 0)", shape=shape_of(budget))
    (one,) = await standings.of([replace(budget, limit_nano=9)])
    assert one.figures == Figures(7, 0, 0, 2, 0)
    assert [one.figures for one in await standings.of([replace(budget, scope=PER_KEY)])] == [None]


async def test_what_nobody_spent_from_is_all_there(db: Database, sql: Operator) -> None:
    assert await stand(db, sql) == []
    ((one, figures),) = await stand(db, sql, Budget("b", 100, Window.MONTH))
    assert figures == Figures(0, 0, 0, 100, 0)
    assert (one.subjects, one.span.start_us, one.limit) == (0, MONTH, 100)


async def test_what_remains_is_neither_spent_nor_in_reserve_nor_held(db: Database, sql: Operator) -> None:
    """What is leased and not held is left: it comes back when somebody else needs it."""
    account(sql, "b", "everything", MONTH, 50, 7, leased=30)
    lease(sql, "one", "b", "everything", MONTH, 10)
    lease(sql, "two", "b", "everything", MONTH, 1)
    ((_, figures),) = await stand(db, sql, Budget("b", 100, Window.MONTH))
    assert figures == Figures(50, 7, 11, 32, 0)


async def test_what_is_beyond_the_limit_is_shown_and_nothing_remains(db: Database, sql: Operator) -> None:
    """Known fault 44: a limit that was lowered, or a provider that billed beyond its own."""
    account(sql, "b", "everything", MONTH, 120, 30)
    ((_, figures),) = await stand(db, sql, Budget("b", 100, Window.MONTH))
    assert figures == Figures(120, 30, 0, 0, 50, (Over.LOWERED,))
    ((raised, now),) = await stand(db, sql, Budget("b", 100, Window.MONTH, raised=Raise(60, NOW + 1)))
    assert (raised.limit, now) == (160, Figures(120, 30, 0, 10, 0))
    ((_, no_more),) = await stand(db, sql, Budget("b", 100, Window.MONTH, raised=Raise(60, NOW)))
    assert no_more == figures


@pytest.mark.parametrize(
    ("limit", "mode", "corrected", "beyond", "because"),
    [
        (150, Mode.HARD, 40, 40, ()),
        (100, Mode.HARD, 0, 0, (Over.LOWERED,)),
        (100, Mode.HARD, 50, 0, (Over.CORRECTED,)),
        (100, Mode.HARD, 0, 60, (Over.BILLED_BEYOND,)),
        (100, Mode.HARD, 20, 30, (Over.CORRECTED, Over.BILLED_BEYOND)),
        (100, Mode.HARD, 10, 30, (Over.LOWERED, Over.CORRECTED, Over.BILLED_BEYOND)),
        (100, Mode.HARD, -10, 0, (Over.LOWERED,)),
        (100, Mode.SOFT, 10, 0, (Over.SOFT,)),
    ],
)
async def test_what_is_over_has_its_reasons(
    db: Database, sql: Operator, limit: int, mode: Mode, corrected: int, beyond: int, because: tuple[Over, ...]
) -> None:
    account(sql, "b", "everything", MONTH, 120, 30)
    sql.run("UPDATE budget_accounts SET corrected_nano = :c, beyond_nano = :b", c=corrected, b=beyond)
    ((_, figures),) = await stand(db, sql, Budget("b", limit, Window.MONTH, mode=mode))
    assert (figures.over, figures.because) == (150 - limit, because)


async def test_many_budgets_each_in_its_own_window(db: Database, sql: Operator) -> None:
    """Known fault 45: the window is that of the calendar in the budget's zone."""
    for start_us, spent in ((MONTH, 1), (BERLIN_MONTH, 2), (DAY, 4), (0, 8)):
        account(sql, "b", "everything", start_us, spent)
        account(sql, "other", "everything", start_us, 100 * spent)
    budgets = [
        Budget("other", 1000, Window.DAY),
        Budget("b", 1000, Window.MONTH, "Europe/Berlin"),
        Budget("none", 1000, Window.LIFETIME),
    ]
    found = await stand(db, sql, *budgets)
    assert [(one.budget.name, figures.spent) for one, figures in found] == [("other", 400), ("b", 2), ("none", 0)]
    ((_, month),) = await stand(db, sql, replace(budgets[1], zone="UTC"))
    ((one, ever),) = await stand(db, sql, Budget("b", 1000, Window.LIFETIME))
    assert (month.spent, ever.spent, one.span.end_us) == (1, 8, None)


async def test_a_page_of_a_thousand_is_asked_for_at_once(db: Database, sql: Operator) -> None:
    for number in range(0, 1000, 100):
        account(sql, f"b{number}", "everything", MONTH, number)
    found = await stand(db, sql, *(Budget(f"b{number}", 1, Window.MONTH) for number in range(1000)))
    assert (len(found), sum(figures.spent for _, figures in found)) == (1000, 4500)


async def test_values_counted_apart_are_summed_and_the_poorest_says_what_remains(db: Database, sql: Operator) -> None:
    for subject, spent, reserve, held in (("key=a", 10, 0, 5), ("key=b", 90, 5, 0), ("key=c", 101, 9, 1)):
        account(sql, "b", subject, MONTH, spent, reserve)
        lease(sql, "one", "b", subject, MONTH, held)
    account(sql, "b", "key=old", DAY, 999)
    budget = Budget("b", 100, Window.MONTH, scope=PER_KEY)
    ((one, figures),) = await stand(db, sql, budget)
    assert (figures, one.subjects) == (Figures(201, 14, 6, 0, 10, (Over.LOWERED,)), 3)
    standings = BudgetStandings(db, lambda: NOW)
    each = await standings.subjects(budget)
    assert [(one.subject, one.figures) for one in each] == [
        ("key=c", Figures(101, 9, 1, 0, 10, (Over.LOWERED,))),
        ("key=b", Figures(90, 5, 0, 5, 0)),
        ("key=a", Figures(10, 0, 5, 85, 0)),
    ]
    assert [one.subject for one in await standings.subjects(budget, 1)] == ["key=c"]
