"""What a budget begins with: the cost of the calls of its window that are in the ledger already.

Written in the transaction that puts the budget in force; writers follow one another, so no call is counted twice. Sums
come from the rollups where these tell apart what the scope does, else from the calls. A call that was corrected costs
what the last of its corrections says. What calls will cost is not known here.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import JSON, ColumnElement, Select, Subquery, case, cast, delete, func, null, or_, select, update

from gateway.core.budgets import Budget, Mode
from gateway.core.money import Nano
from gateway.core.scopes import ANY, OF_TARGET, TAG, Scope, subject_of
from gateway.storage.address import DialectName
from gateway.storage.bulk import BulkInsert, BulkStatement
from gateway.storage.corrections import corrected
from gateway.storage.engine import ReadSession, WriteSession
from gateway.storage.lean import insert
from gateway.storage.retention import kept_since
from gateway.storage.rollup_rows import HOUR_US
from gateway.storage.tables import attempts, budget_accounts, budget_starts, calls, rollups_hourly

_OF_ROLLUPS = frozenset({"key", "team", "model"})
"""What rollups know of a call. They know its last target too, and not what its other attempts cost."""
_PLAIN_NAME = re.compile(r"[^\"\\\x00-\x1f]+")
"""A name that is written in JSON as it is."""
_ACCOUNTS = BulkInsert(budget_accounts, budget_accounts.c.keys())

_Sums: TypeAlias = dict[str, tuple[Nano, Nano]]
"""Subject → spent and reserve."""


def shape_of(budget: Budget) -> str:
    """What makes its accounts what they are: its window, zone and scope."""
    return f"{budget.window} {budget.zone} {budget.scope.as_text()}"


async def shapes_of(session: ReadSession, names: Sequence[str]) -> dict[str, str]:
    """The shapes that budgets of these names have counted in since they began; those that have not begun have none."""
    starts = budget_starts.c
    rows = await session.all(select(starts.budget, starts.shape).where(starts.budget.in_(names)))
    return {row.budget: row.shape for row in rows}


async def begun(session: ReadSession, budget: Budget) -> bool:
    """Whether a budget of this name and shape counts already."""
    return (await shapes_of(session, [budget.name])).get(budget.name) == shape_of(budget)


async def seed(session: WriteSession, budget: Budget, window_start_us: int, now_us: int) -> None:
    """Have a budget begin: its accounts of the window say what the ledger does, and what was leased stays leased."""
    sums = await _sums(session, budget.scope, window_start_us)
    accounts = budget_accounts.c
    of_window = (accounts.budget == budget.name) & (accounts.window_start_us == window_start_us)
    await session.run(delete(budget_accounts).where(of_window, accounts.leased_nano == 0))
    for row in await session.all(select(accounts.subject).where(of_window)):
        spent, reserve = _charged(budget, sums.pop(row.subject, (0, 0)))
        of_subject = update(budget_accounts).where(of_window, accounts.subject == row.subject)
        anew = {"corrected_nano": 0, "beyond_nano": 0}
        await session.run(of_subject.values(spent_nano=spent, reserve_nano=reserve, **anew))
    # In a thread: there may be as many as users.
    await session.run_bulk(await asyncio.to_thread(_added, budget, window_start_us, sums, session.dialect))
    start = {"shape": shape_of(budget), "since_us": now_us}
    begins = insert(budget_starts).values(budget=budget.name, **start)
    await session.run(begins.on_conflict_do_update(index_elements=["budget"], set_=start))


async def forget(session: WriteSession, names: Iterable[str]) -> None:
    """These budgets count no more: if one of such a name comes again, it begins anew."""
    await session.run(delete(budget_starts).where(budget_starts.c.budget.in_(list(names))))


async def clear(session: WriteSession, name: str) -> None:
    """What was counted under a name is gone, except what somebody has leased."""
    of_name = budget_accounts.c.budget == name
    await session.run(delete(budget_accounts).where(of_name, budget_accounts.c.leased_nano == 0))
    await forget(session, [name])


def _added(budget: Budget, window_start_us: int, sums: _Sums, dialect: DialectName) -> list[BulkStatement]:
    rows = [
        (budget.name, subject, window_start_us, *_charged(budget, found), 0, 0, 0) for subject, found in sums.items()
    ]
    return _ACCOUNTS.of(rows, dialect)


def _charged(budget: Budget, found: tuple[Nano, Nano]) -> tuple[Nano, Nano]:
    """Spent and reserve; a soft budget keeps nothing in reserve."""
    spent, reserve = found
    return max(0, spent), reserve if budget.mode is Mode.HARD else 0


async def _sums(session: ReadSession, scope: Scope, since_us: int) -> _Sums:
    """What the calls since then have cost, by the subject that the scope counts them under."""
    sums: _Sums = {}
    if {dimension for dimension, _ in scope.parts} <= _OF_ROLLUPS:
        first_hour = -(-since_us // HOUR_US) * HOUR_US
        if since_us < await kept_since(session):  # of an hour without detail there is the sum alone
            first_hour = since_us - since_us % HOUR_US
        await _add(session, sums, scope, _of_rollups(scope, first_hour))
        if since_us < first_hour:
            await _add(session, sums, scope, _of_calls(scope, since_us, first_hour, session.dialect))
    else:
        await _add(session, sums, scope, _of_calls(scope, since_us, None, session.dialect))
    return sums


async def _add(session: ReadSession, sums: _Sums, scope: Scope, statement: Select[Any]) -> None:
    """Rows of such a selection, each with the values of the scope's dimensions, or with labels that hold them."""
    dimensions = [dimension for dimension, _ in scope.parts]
    async for rows in session.chunks(statement):
        for row in rows:
            seen = dict(zip(dimensions, row, strict=False))
            odd_labels, spent, reserve = row[len(dimensions) :]
            if odd_labels is not None:
                labels = json.loads(odd_labels)
                seen |= {name: labels.get(name.partition(":")[2]) for name in dimensions if _is_tag(name)}
            subject = subject_of(scope, seen)
            if subject is not None:
                had_spent, had_reserve = sums.get(subject, (0, 0))
                sums[subject] = had_spent + int(spent), had_reserve + int(reserve)


def _of_rollups(scope: Scope, since_us: int) -> Select[Any]:
    """Whole hours. Where a call has none of a dimension, it is the empty text there."""
    columns = rollups_hourly.c
    found = [func.nullif(columns[dimension], "").label(f"d{place}") for place, (dimension, _) in _numbered(scope)]
    amount = func.coalesce(columns.cost_nano, 0) + func.coalesce(columns.cost_at_least_nano, 0)
    inner = select(
        *found, null().label("odd"), amount.label("spent"), columns.reserve_nano.label("reserve")
    ).where(columns.hour_us >= since_us)  # fmt: skip
    return _summed(scope, inner.subquery())


def _of_calls(scope: Scope, since_us: int, until_us: int | None, dialect: DialectName) -> Select[Any]:
    """Calls one by one; where the scope tells targets apart, their attempts."""
    cost, at_least = corrected(("cost_nano", "cost_at_least_nano"))
    now = func.coalesce(cost, at_least, 0)
    odd = _odd_labels(scope)
    found = [
        _value(dimension, odd, dialect).label(f"d{place}") for place, (dimension, _) in _numbered(scope)
    ]  # fmt: skip
    spent: ColumnElement[Any] = now
    reserve: ColumnElement[Any] = calls.c.reserve_nano
    if scope.by_target:
        # A correction is of the call, and what a call keeps in reserve is mostly of its last attempt: both count there.
        last = attempts.c.attempt == calls.c.attempts - 1
        before = func.coalesce(calls.c.cost_nano, calls.c.cost_at_least_nano, 0)
        own = func.coalesce(attempts.c.cost_nano, attempts.c.cost_at_least_nano, 0)
        spent, reserve = own + case((last, now - before), else_=0), case((last, calls.c.reserve_nano), else_=0)
    inner = select(*found, odd.label("odd"), spent.label("spent"), reserve.label("reserve"))
    if scope.by_target:
        inner = inner.join_from(calls, attempts, attempts.c.call_id == calls.c.id)
    inner = inner.where(calls.c.started_us >= since_us)
    if until_us is not None:
        inner = inner.where(calls.c.started_us < until_us)
    return _summed(scope, inner.subquery())


def _summed(scope: Scope, rows: Subquery) -> Select[Any]:
    """The sums of rows, of those that the scope can count, by what it counts them under."""
    columns: Sequence[ColumnElement[Any]] = [rows.c[f"d{place}"] for place, _ in _numbered(scope)]
    statement = select(*columns, rows.c.odd, func.sum(rows.c.spent), func.sum(rows.c.reserve))
    for column, (_, fixed) in zip(columns, scope.parts, strict=True):
        fits = column.is_not(None) if fixed == ANY else column == fixed
        statement = statement.where(or_(rows.c.odd.is_not(None), fits))
    return statement.group_by(*columns, rows.c.odd)


def _value(dimension: str, odd: ColumnElement[Any], dialect: DialectName) -> ColumnElement[Any]:
    """What a call, or its attempt, has in a dimension."""
    if dimension in OF_TARGET:
        return attempts.c[dimension]
    if not _is_tag(dimension):
        return calls.c[dimension]
    name = dimension.partition(":")[2]
    if dialect == "sqlite":
        found = func.json_extract(calls.c.labels, f'$."{name}"')
    else:
        found = func.json_extract_path_text(cast(calls.c.labels, JSON), name)
    return case((odd.is_(None), found))


def _odd_labels(scope: Scope) -> ColumnElement[Any]:
    """Labels as they are stored, where they hold what a database cannot read out of them as text; else null."""
    tags = [name.partition(":")[2] for name, _ in scope.parts if _is_tag(name)]
    if not tags:
        return null()
    if not all(map(_PLAIN_NAME.fullmatch, tags)):
        return calls.c.labels
    return case((calls.c.labels.contains("\\u", autoescape=True), calls.c.labels))


def _numbered(scope: Scope) -> Iterable[tuple[int, tuple[str, str]]]:
    return enumerate(scope.parts)


def _is_tag(dimension: str) -> bool:
    return dimension.startswith(f"{TAG}:")
