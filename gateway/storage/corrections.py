"""What was found out about a call's cost after it had been written: rows beside it, never a change of it.

A call costs what the last of its corrections says. Whoever sums calls takes their columns from `corrected`; the hourly
sums are changed in the transaction that writes a correction. Why a cost changes is not known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, insert, select, update

from gateway.core.money import Nano
from gateway.storage.engine import ReadSession, WriteSession
from gateway.storage.rollup_rows import HOUR_US
from gateway.storage.tables import DIMENSIONS, calls, corrections, rollups_hourly


@dataclass(frozen=True, slots=True)
class Correction:
    """What a call costs from now on."""

    call_id: str
    made_us: int
    actor: str
    reason: str
    delta_nano: Nano
    """To be added to what it cost before; an unknown cost counts as 0."""
    cost_nano: Nano
    price_book: str | None
    """What it was priced with this time."""


def corrected(names: Iterable[str]) -> list[ColumnElement[Any]]:
    """Columns of `calls` by name, with the cost as it was corrected last."""
    last = (
        select(corrections.c.cost_nano)
        .where(corrections.c.call_id == calls.c.id)
        .order_by(corrections.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    cost = func.coalesce(last, calls.c.cost_nano)
    at_least = case((calls.c.cost_nano.is_(None) & last.is_(None), calls.c.cost_at_least_nano))
    own = {"cost_nano": cost.label("cost_nano"), "cost_at_least_nano": at_least.label("cost_at_least_nano")}
    return [own.get(name, calls.c[name]) for name in names]


async def corrections_of(session: ReadSession, call_ids: Sequence[str]) -> list[Correction]:
    """The corrections of some calls, the oldest first."""
    statement = select(corrections).where(corrections.c.call_id.in_(call_ids)).order_by(corrections.c.id)
    return [_correction(row) for row in await session.all(statement)]


async def append_corrections(session: WriteSession, made: Sequence[tuple[Row[Any], Correction]]) -> None:
    """Write corrections and what they do to the hourly sums; each with its call's row as it was corrected before."""
    if not made:
        return
    for row, correction in made:
        await session.run(insert(corrections).values(_columns(correction)))
        await session.run(_changed_sums(row, correction))


def _changed_sums(row: Row[Any], correction: Correction) -> Any:
    """The hour's sums of the call's group, with its new cost."""
    sums = rollups_hourly.c
    group = [sums[name] == (getattr(row, name) or "") for name in DIMENSIONS]
    statement = update(rollups_hourly).where(sums.hour_us == row.started_us - row.started_us % HOUR_US, *group)
    changes: dict[str, Any] = {"cost_nano": func.coalesce(sums.cost_nano, 0) + correction.delta_nano}
    if row.cost_nano is None:  # it is unpriced no more
        rest = sums.cost_at_least_nano - (row.cost_at_least_nano or 0)
        changes["unpriced_calls"] = sums.unpriced_calls - 1
        changes["cost_at_least_nano"] = case((sums.unpriced_calls > 1, rest))
    return statement.values(changes)


def _columns(correction: Correction) -> dict[str, object]:
    return {
        "call_id": correction.call_id,
        "made_us": correction.made_us,
        "actor": correction.actor,
        "reason": correction.reason,
        "delta_nano": correction.delta_nano,
        "cost_nano": correction.cost_nano,
        "price_book": correction.price_book,
    }


def _correction(row: Row[Any]) -> Correction:
    return Correction(row.call_id, row.made_us, row.actor, row.reason, row.delta_nano, row.cost_nano, row.price_book)
