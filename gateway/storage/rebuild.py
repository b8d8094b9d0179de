"""`rollups_hourly` made anew from the ledger, hour by hour, beside a working gateway; or only compared with it.

An hour is counted while others write, and what they have added meanwhile is counted in the transaction that puts the
sums right: that one is short, and no reader sees a total that is neither the old nor the new one. Hours whose detail
was deleted are left alone: their sums are all there is of them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, func, select

from gateway.storage.bulk import BulkInsert
from gateway.storage.corrections import corrected
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.hours import Difference, add, calls_of, difference, hour_differs, next_hour, stored_sums
from gateway.storage.retention import kept_since
from gateway.storage.rollup_rows import FIGURE_COLUMNS, HOUR_US, KEY_COLUMNS, ROLLUP_COLUMNS, RollupKey, Rollups
from gateway.storage.tables import calls, corrections, rollups_hourly

_ROLLUPS = BulkInsert(rollups_hourly, ROLLUP_COLUMNS, unique=KEY_COLUMNS)
_STARTED = FIGURE_COLUMNS.index("started_us")


@dataclass(frozen=True, slots=True)
class SeenHour:
    """One hour that was looked at."""

    hour_us: int
    differed: bool
    """Its sums were not those of its calls."""


@dataclass(frozen=True, slots=True)
class _Count:
    """The sums of an hour's calls in one view of the database, and how far that view reached."""

    sums: Rollups
    last_call: int
    """The last `calls.seq`."""
    last_correction: int
    """The last `corrections.id`."""


class Rebuild:
    """Over the hours of [since, until), microseconds UTC: an hour that they cut is taken whole."""

    def __init__(self, db: Database, since_us: int = 0, until_us: int | None = None) -> None:
        self._db = db
        self._since_us = since_us - since_us % HOUR_US
        self._until_us = until_us

    async def expected_hours(self) -> int:
        """How many hours there are to look at, by the sums that are stored: for a progress bar."""
        async with self._db.read() as session:
            hours = rollups_hourly.c.hour_us >= max(self._since_us, await kept_since(session))
            statement = select(func.count(rollups_hourly.c.hour_us.distinct())).where(hours)
            if self._until_us is not None:
                statement = statement.where(rollups_hourly.c.hour_us < self._until_us)
            return int(await session.scalar(statement))

    async def kept_since(self) -> int:
        """Hours before are left alone, for their detail was deleted; 0 if nothing was."""
        async with self._db.read() as session:
            return await kept_since(session)

    async def compare(self) -> AsyncIterator[SeenHour]:
        """Hold every hour against its calls. Changes nothing."""
        async for hour_us in self._hours():
            async with self._db.read() as session:
                if hour_us >= await kept_since(session):
                    yield SeenHour(hour_us, await hour_differs(session, hour_us))

    async def run(self) -> AsyncIterator[SeenHour]:
        """Put every hour right, each in a transaction of its own. May be stopped at any time and repeated."""
        async for hour_us in self._hours():
            differed = None
            while differed is None:
                differed = await self._put_right(hour_us)
            yield SeenHour(hour_us, differed)

    async def _hours(self) -> AsyncIterator[int]:
        from_us = max(self._since_us, await self.kept_since())
        while True:
            async with self._db.read() as session:
                hour_us = await next_hour(session, from_us)
            if hour_us is None or (self._until_us is not None and hour_us >= self._until_us):
                return
            yield hour_us
            from_us = hour_us + HOUR_US

    async def _put_right(self, hour_us: int) -> bool | None:
        """Whether there was something to put right; None if the count was overtaken and must be made again."""
        async with self._db.read() as session:
            count = await _counted(session, hour_us)
        async with self._db.write() as session:
            if hour_us < await kept_since(session):
                return False  # its detail has been deleted since
            if await _corrected_since(session, hour_us, count.last_correction):
                return None
            came_since = select(*corrected(FIGURE_COLUMNS)).where(calls.c.seq > count.last_call)
            rows = [row for row in await session.all(came_since) if 0 <= row[_STARTED] - hour_us < HOUR_US]
            await add(count.sums, rows)
            found = difference(count.sums, await stored_sums(session, hour_us))
            await _write(session, found)
        return bool(found)


async def _counted(session: ReadSession, hour_us: int) -> _Count:
    last_call = await session.scalar(select(func.max(calls.c.seq)))
    last_correction = await session.scalar(select(func.max(corrections.c.id)))
    sums: Rollups = {}
    async for rows in session.chunks(calls_of(hour_us)):
        await add(sums, rows)
    return _Count(sums, last_call or 0, last_correction or 0)


async def _corrected_since(session: ReadSession, hour_us: int, last_correction: int) -> bool:
    of_this_hour = select(calls.c.seq).where(
        calls.c.id == corrections.c.call_id, calls.c.started_us >= hour_us, calls.c.started_us < hour_us + HOUR_US
    )
    statement = select(corrections.c.id).where(corrections.c.id > last_correction, exists(of_this_hour)).limit(1)
    return await session.first(statement) is not None


async def _write(session: WriteSession, found: Difference) -> None:
    for key in found.surplus:
        await session.run(delete(rollups_hourly).where(*_is(key)))
    await session.run_bulk(_ROLLUPS.of(list(found.rows), session.dialect))


def _is(key: RollupKey) -> list[ColumnElement[bool]]:
    return [rollups_hourly.c[name] == value for name, value in zip(KEY_COLUMNS, (key.hour_us, *key.group), strict=True)]
