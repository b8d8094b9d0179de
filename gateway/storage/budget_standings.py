"""How budgets stand in their windows now: what is spent, in reserve, held, and left. Never writes.

A budget that counts values apart has an account for each: its figures are sums over them, and what remains of it is
what remains to the one that has the least.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import CTE, BigInteger, ColumnElement, Select, Text, and_, case, cast, column, func, select, values

from gateway.core.actions import Action
from gateway.core.budgets import Budget, Mode
from gateway.core.money import Nano
from gateway.core.value import value
from gateway.core.windows import Span, span_of
from gateway.storage.actions import in_force
from gateway.storage.budget_seeds import shape_of, shapes_of
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database
from gateway.storage.tables import budget_accounts, budget_leases

_accounts = budget_accounts.c
_leases = budget_leases.c


class Over(StrEnum):
    """What lets the spent part of a budget be more than its limit."""

    SOFT = "soft"
    """It is only watched."""
    LOWERED = "lowered"
    """The limit is below what was spent under another one, or before there was a budget."""
    CORRECTED = "corrected"
    """Corrections found that old calls cost more."""
    BILLED_BEYOND = "billed_beyond"
    """A provider billed more than its own limits allow, and so more than was held."""


@value(frozen=True)
class Figures:
    """Nano-dollars."""

    spent: Nano
    reserve: Nano
    held: Nano
    """In the open holds of all processes, when each last said so."""
    remaining: Nano
    """Never below 0."""
    over: Nano
    """What is spent and in reserve beyond the limit."""
    because: tuple[Over, ...] = ()
    """Why something is over."""


@value(frozen=True)
class BudgetStanding:
    """A budget in the window that this moment lies in."""

    budget: Budget
    span: Span
    limit: Nano
    """With what it is raised by."""
    figures: Figures | None
    """Null: it has not begun to count. One of the settings file begins when a gateway starts with it."""
    subjects: int
    """How many have an account in this window."""
    lowered_by: Action | None = None
    """The action of an alert rule that has lowered its limit."""


@value(frozen=True)
class SubjectStanding:
    """One of those that a budget counts apart."""

    subject: str
    figures: Figures


class BudgetStandings:
    """Asks once for many budgets, however many these are."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    async def of(self, budgets: Sequence[Budget]) -> list[BudgetStanding]:
        """Each of these budgets, in their order. Raises `Fault` (unavailable)."""
        if not budgets:
            return []
        now_us = self._now_us()
        spans = {budget.name: _span(budget, now_us) for budget in budgets}
        async with self._db.read() as session:
            lowered = (await in_force(session)).lowered
            budgets = [_lowered(budget, lowered) for budget in budgets]
            shapes = await shapes_of(session, list(spans))
            rows = await session.all(_summed(_wanted(budgets, spans, now_us)))
        found = {row.budget: row for row in rows}
        standings = [
            _standing(budget, spans[budget.name], now_us, found.get(budget.name), lowered.get(budget.name))
            for budget in budgets
        ]
        return [
            one if shapes.get(one.budget.name) == shape_of(one.budget) else replace(one, figures=None, subjects=0)
            for one in standings
        ]

    async def subjects(self, budget: Budget, limit: int = 50) -> list[SubjectStanding]:
        """Those that a budget counts apart, the dearest first. Raises `Fault` (unavailable)."""
        now_us = self._now_us()
        spans = {budget.name: _span(budget, now_us)}
        charged = _accounts.spent_nano + _accounts.reserve_nano
        async with self._db.read() as session:
            lowered = (await in_force(session)).lowered
            statement = _each(_wanted([_lowered(budget, lowered)], spans, now_us))
            rows = await session.all(statement.order_by(charged.desc(), _accounts.subject).limit(limit))
        return [SubjectStanding(row.subject, _figures(budget, row)) for row in rows]


def _lowered(budget: Budget, lowered: Mapping[str, Action]) -> Budget:
    """With what an alert rule has lowered it to."""
    action = lowered.get(budget.name)
    return replace(budget, lowered_nano=None if action is None else action.deed.limit_nano)


def _span(budget: Budget, now_us: int) -> Span:
    return span_of(budget.window, ZoneInfo(budget.zone), now_us)


def _wanted(budgets: Sequence[Budget], spans: Mapping[str, Span], now_us: int) -> CTE:
    """Name, window and limit of each, as a table to join."""
    columns = column("budget", Text), column("window_start_us", BigInteger), column("limit_nano", BigInteger)
    rows = [(budget.name, spans[budget.name].start_us, budget.limit_at(now_us)) for budget in budgets]
    return values(*columns, name="wanted").data(rows).cte("wanted")


def _each(wanted: CTE) -> Select[Any]:
    """Every account of these budgets in their windows, with what is held and left of it."""
    held = (
        select(func.coalesce(func.sum(_leases.held_nano), 0))
        .where(
            _leases.budget == _accounts.budget,
            _leases.subject == _accounts.subject,
            _leases.window_start_us == _accounts.window_start_us,
        )
        .scalar_subquery()
    )
    charged = _accounts.spent_nano + _accounts.reserve_nano
    over = charged - wanted.c.limit_nano
    corrected = case((_accounts.corrected_nano > 0, _accounts.corrected_nano), else_=0)
    same = and_(_accounts.budget == wanted.c.budget, _accounts.window_start_us == wanted.c.window_start_us)
    return select(
        _accounts.budget,
        _accounts.subject,
        _accounts.spent_nano.label("spent"),
        _accounts.reserve_nano.label("reserve"),
        cast(held, BigInteger).label("held"),
        (0 - over - held).label("remaining"),
        case((over > 0, over), else_=0).label("over"),
        # How much of it each can be, at most; what none of the others explains is the limit's.
        case((over > 0, corrected), else_=0).label("corrected"),
        case((over > 0, _accounts.beyond_nano), else_=0).label("beyond"),
        case((over > corrected + _accounts.beyond_nano, over), else_=0).label("lowered"),
    ).join_from(wanted, budget_accounts, same)


def _summed(wanted: CTE) -> Select[Any]:
    each = _each(wanted).subquery()
    sums: list[ColumnElement[Any]] = [
        func.sum(each.c[name]).label(name)
        for name in ("spent", "reserve", "held", "over", "corrected", "beyond", "lowered")
    ]
    least, number = func.min(each.c.remaining).label("remaining"), func.count().label("subjects")
    return select(each.c.budget, *sums, least, number).group_by(each.c.budget)


def _standing(budget: Budget, span: Span, now_us: int, row: Any, lowered_by: Action | None) -> BudgetStanding:
    limit = budget.limit_at(now_us)
    if row is None:
        return BudgetStanding(budget, span, limit, Figures(0, 0, 0, limit, 0), 0, lowered_by)
    return BudgetStanding(budget, span, limit, _figures(budget, row), row.subjects, lowered_by)


def _figures(budget: Budget, row: Any) -> Figures:
    """PostgreSQL sums whole numbers to decimals."""
    because: tuple[Over, ...] = ()
    if row.over:
        of_hard = {Over.LOWERED: row.lowered, Over.CORRECTED: row.corrected, Over.BILLED_BEYOND: row.beyond}
        because = (Over.SOFT,) if budget.mode is Mode.SOFT else tuple(one for one, nano in of_hard.items() if nano)
    return Figures(int(row.spent), int(row.reserve), int(row.held), max(0, int(row.remaining)), int(row.over), because)
