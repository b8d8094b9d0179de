"""One hour of the ledger: the sums of its calls as they would be made today, held against those that are stored.

Two rows of sums are the same if all their bytes are. Knows nothing of what is done about a difference.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Select, func, select

from gateway.storage.bulk import Values
from gateway.storage.corrections import corrected
from gateway.storage.engine import ReadSession, Rows
from gateway.storage.rollup_rows import FIGURE_COLUMNS, HOUR_US, KEY_COLUMNS, RollupKey, Rollups, adder, rollup_row
from gateway.storage.tables import calls, rollups_hourly

_add_up = adder(FIGURE_COLUMNS)

StoredRows: TypeAlias = Mapping[RollupKey, Values]


@dataclass(frozen=True, slots=True)
class Difference:
    """What would make the stored sums of an hour those of its calls."""

    rows: Sequence[Values]
    """To be written: values of `ROLLUP_COLUMNS`."""
    surplus: Sequence[RollupKey]
    """To go: sums of no call."""

    def __bool__(self) -> bool:
        return bool(self.rows or self.surplus)


def difference(counted: Rollups, stored: StoredRows) -> Difference:
    """Between the sums of an hour's calls and what is stored of that hour."""
    wanted = {key: rollup_row(key, sums) for key, sums in counted.items()}
    return Difference(
        [row for key, row in wanted.items() if stored.get(key) != row], [key for key in stored if key not in wanted]
    )


async def hour_differs(session: ReadSession, hour_us: int) -> bool:
    """Whether the stored sums of an hour are not those of its calls, in one view of the database."""
    rollups: Rollups = {}
    async for rows in session.chunks(calls_of(hour_us)):
        await add(rollups, rows)
    return bool(difference(rollups, await stored_sums(session, hour_us)))


def calls_of(hour_us: int) -> Select[Any]:
    """What matters to the sums, of the calls that started in an hour: values of `FIGURE_COLUMNS`."""
    return select(*corrected(FIGURE_COLUMNS)).where(
        calls.c.started_us >= hour_us, calls.c.started_us < hour_us + HOUR_US
    )


async def add(rollups: Rollups, rows: Rows) -> None:
    """Add calls to the sums; in another thread, because an hour may have millions."""
    for key, sums in (await asyncio.to_thread(_add_up, rows)).items():
        if key in rollups:
            rollups[key].merge(sums)
        else:
            rollups[key] = sums


async def stored_sums(session: ReadSession, hour_us: int) -> StoredRows:
    """The rows of `rollups_hourly` of an hour."""
    rows = await session.all(select(rollups_hourly).where(rollups_hourly.c.hour_us == hour_us))
    return {RollupKey(row[0], tuple(row[1 : len(KEY_COLUMNS)])): tuple(row) for row in rows}


async def next_hour(session: ReadSession, from_us: int) -> int | None:
    """The first hour that begins there or later and has a call or a sum; None after the last."""
    called = await session.scalar(select(func.min(calls.c.started_us)).where(calls.c.started_us >= from_us))
    summed = await session.scalar(select(func.min(rollups_hourly.c.hour_us)).where(rollups_hourly.c.hour_us >= from_us))
    begins = [us - us % HOUR_US for us in (called, summed) if us is not None]
    return min(begins, default=None)
