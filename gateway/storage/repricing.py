"""Goes through the calls of a period, as they were stored, and writes what a second look at their cost found.

How a cost is found is handed in. Runs beside a working gateway: each page is a transaction of its own, and a page that
was corrected already is left as it is.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Row, select

from gateway.core.budgets import Budget
from gateway.core.calls import Attempt
from gateway.core.money import Nano
from gateway.storage.account_corrections import correct_accounts
from gateway.storage.clock import wall_clock_us
from gateway.storage.corrections import Correction, append_corrections, corrected
from gateway.storage.engine import Database, ReadSession
from gateway.storage.stored_calls import stored_attempt
from gateway.storage.tables import attempts, calls

_PAGE = 500

Recost: TypeAlias = Callable[[Sequence[Attempt]], tuple[Nano | None, str | None]]
"""A call's attempts → what it costs, null if that cannot be told, and the book that says so."""


@dataclass(frozen=True, slots=True)
class SecondLook:
    """One call, and what it was found to cost."""

    call_id: str
    target: str | None
    before_nano: Nano | None
    after_nano: Nano | None
    """Null: it could not be told; what was known stays."""
    price_book: str | None

    @property
    def differs(self) -> bool:
        return self.after_nano is not None and self.after_nano != self.before_nano


@dataclass(frozen=True, slots=True)
class Period:
    """Calls that started in [since, until), microseconds UTC; of one target only, if one is named."""

    since_us: int
    until_us: int
    target: str | None = None


class Repricing:
    """`look` changes nothing; `apply` writes corrections for all that differs, with the hourly sums and budgets."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us, budgets: Sequence[Budget] = ()) -> None:
        """`budgets`: those in force, whose accounts follow what is corrected."""
        self._db = db
        self._now_us = now_us
        self._budgets = budgets

    async def look(self, period: Period, recost: Recost) -> AsyncIterator[list[SecondLook]]:
        """What a second look finds, page by page, the oldest calls first."""
        after: tuple[int, int] | None = (period.since_us, -1)
        while after is not None:
            async with self._db.read() as session:
                seen, after = await _page(session, period, after, recost)
            yield [look for _, look in seen]

    async def apply(self, period: Period, recost: Recost, actor: str, reason: str) -> AsyncIterator[list[SecondLook]]:
        """The same, each page written before it is told. To be repeated safely: what is right already is left alone."""
        after: tuple[int, int] | None = (period.since_us, -1)
        while after is not None:
            async with self._db.write() as session:
                seen, after = await _page(session, period, after, recost)
                made = [(row, self._correction(look, actor, reason)) for row, look in seen if look.differs]
                await append_corrections(session, made)
                await correct_accounts(session, self._budgets, made)
            yield [look for _, look in seen]

    def _correction(self, look: SecondLook, actor: str, reason: str) -> Correction:
        assert look.after_nano is not None, "only what is known corrects"
        delta = look.after_nano - (look.before_nano or 0)
        return Correction(look.call_id, self._now_us(), actor, reason, delta, look.after_nano, look.price_book)


async def _page(
    session: ReadSession, period: Period, after: tuple[int, int], recost: Recost
) -> tuple[list[tuple[Row[Any], SecondLook]], tuple[int, int] | None]:
    """Some calls with what a second look finds, and where the next page begins; null at the end."""
    started_us, seq = after
    statement = (
        select(*corrected(calls.c.keys()))
        .where(calls.c.started_us >= started_us, calls.c.started_us < period.until_us, calls.c.attempts > 0)
        .where((calls.c.started_us > started_us) | (calls.c.seq > seq))
        .order_by(calls.c.started_us, calls.c.seq)
        .limit(_PAGE)
    )
    if period.target is not None:
        statement = statement.where(calls.c.target == period.target)
    rows = await session.all(statement)
    tried: dict[str, list[Attempt]] = {row.id: [] for row in rows}
    of_these = select(attempts).where(attempts.c.call_id.in_(list(tried))).order_by(attempts.c.attempt)
    for row in await session.all(of_these) if rows else ():
        tried[row.call_id].append(stored_attempt(row, ()))
    seen = []
    for row in rows:
        cost, book = recost(tried[row.id])
        seen.append((row, SecondLook(row.id, row.target, row.cost_nano, cost, book)))
    return seen, (rows[-1].started_us, rows[-1].seq) if len(rows) == _PAGE else None
