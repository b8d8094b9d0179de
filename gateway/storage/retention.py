"""How far the detail of calls has been deleted, and the deleting: old calls go, their hourly sums stay.

Before an hour's calls go its sums are held against them, for afterwards nobody could. The horizon moves before the
first row goes, so that no reader ever adds up half an hour; a deletion that was cut short is finished by the next one.
A whole partition that has ended is dropped, the rest goes row by row.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from gateway.core.errors import Fault, Kind
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.hours import hour_differs, next_hour
from gateway.storage.lean import insert
from gateway.storage.moments import moment
from gateway.storage.partitions import drop, ended
from gateway.storage.rollup_rows import HOUR_US
from gateway.storage.tables import attempts, calls, charges, corrections, retention

AT_ONCE = 500
"""Calls that one transaction deletes: a few hundredths of a second."""

_NOUN = "calls"


async def kept_since(session: ReadSession) -> int:
    """From when on every call is in the ledger with its detail, microseconds UTC, a full hour; 0: all of them are."""
    horizon = await session.scalar(select(retention.c.kept_since_us).where(retention.c.noun == _NOUN))
    return horizon or 0


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a deletion would take."""

    before_us: int
    """Calls that started before; a full hour."""
    calls: int
    oldest_us: int | None
    """When the first of them started; null without one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deletion is, after one of its transactions."""

    calls: int
    """Deleted so far."""
    hours: int
    """Hours that have their sums alone since it began."""


class Retention:
    """Deletes the detail of old calls in small transactions, beside a working gateway. For one deletion."""

    def __init__(
        self,
        db: Database,
        now_us: Callable[[], int] = wall_clock_us,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`now_us`: microseconds UTC, for the audit; `pause`: waits so many seconds, for others who read or write."""
        self._db = db
        self._now_us = now_us
        self._pause = pause
        self._calls = self._hours = 0
        self._recorded = False

    async def prospect(self, before_us: int) -> Prospect:
        """What `prune` would take, counted. Changes nothing."""
        before_us -= before_us % HOUR_US
        old = calls.c.started_us < before_us
        async with self._db.read() as session:
            count = await session.scalar(select(func.count()).select_from(calls).where(old))
            oldest_us = await session.scalar(select(func.min(calls.c.started_us)).where(old))
        return Prospect(before_us, count, oldest_us)

    async def prune(self, before_us: int, actor: str) -> AsyncIterator[Progress]:
        """Delete the calls that started before, cut to a full hour, oldest hour first; told after each transaction.

        May be stopped at any time and repeated. Raises `Fault`: conflict if the sums of an hour are not those of its
        calls; what came before that hour is deleted by then.
        """
        before_us -= before_us % HOUR_US
        async with self._db.read() as session:
            months = await ended(session, before_us)
        for one in months:
            async for _ in self._given_up(one.until_us, before_us, actor):
                yield Progress(self._calls, self._hours)
            self._calls += await drop(self._db, one, self._pause)
            yield Progress(self._calls, self._hours)
        async for progress in self._emptied(await self._horizon()):
            yield progress
        async for hour_us in self._given_up(before_us, before_us, actor):
            async for progress in self._emptied(hour_us + HOUR_US):
                yield progress

    async def _given_up(self, until_us: int, before_us: int, actor: str) -> AsyncIterator[int]:
        """The hours up to there, each when its sums have been found right and the horizon has passed it."""
        from_us = await self._horizon()
        while (hour_us := await self._next(from_us, until_us)) is not None:
            from_us = hour_us + HOUR_US
            await self._require_right(hour_us)
            await self._move(from_us, before_us, actor)
            self._hours += 1
            yield hour_us
        if await self._horizon() < until_us:  # the hours up to there are empty: nothing of them can come back in half
            await self._move(until_us, before_us, actor)

    async def _horizon(self) -> int:
        async with self._db.read() as session:
            return await kept_since(session)

    async def _next(self, hour_us: int, before_us: int) -> int | None:
        """The first hour from there on that has something, if it may go."""
        async with self._db.read() as session:
            found = await next_hour(session, hour_us)
        return found if found is not None and found < before_us else None

    async def _require_right(self, hour_us: int) -> None:
        async with self._db.read() as session:
            # Who else deletes may have passed it: then its calls are no longer all there.
            differs = hour_us >= await kept_since(session) and await hour_differs(session, hour_us)
        if differs:
            message = f"the sums of the hour from {moment(hour_us)} are not those of its calls, so these stay"
            raise Fault(Kind.CONFLICT, message, hint="run `tollkeeper db rebuild-rollups`, then this again")

    async def _move(self, horizon_us: int, before_us: int, actor: str) -> None:
        async with self._db.write() as session:
            if await kept_since(session) >= horizon_us:
                return  # somebody else is at it as well
            moved = insert(retention).values(noun=_NOUN, kept_since_us=horizon_us)
            await session.run(moved.on_conflict_do_update(index_elements=["noun"], set_={"kept_since_us": horizon_us}))
            if not self._recorded:
                details: dict[str, object] = {"before": moment(before_us)}
                await record_change(session, AuditEntry(self._now_us(), actor, "calls.prune", _NOUN, details))
        self._recorded = True

    async def _emptied(self, horizon_us: int) -> AsyncIterator[Progress]:
        """Deletes everything that started before."""
        gone = AT_ONCE
        while gone == AT_ONCE:
            begun = time.monotonic()
            async with self._db.write() as session:
                gone = await _delete_some(session, horizon_us)
            self._calls += gone
            yield Progress(self._calls, self._hours)
            if gone:
                # As long as it took: on SQLite whoever waits to write looks for its turn only now and then.
                await self._pause(time.monotonic() - begun)


async def _delete_some(session: WriteSession, horizon_us: int) -> int:
    """How many calls went; their corrections, charges and attempts before them."""
    oldest = select(calls.c.id).where(calls.c.started_us < horizon_us).order_by(calls.c.started_us).limit(AT_ONCE)
    ids = [row.id for row in await session.all(oldest)]
    if ids:
        for table in (corrections, charges, attempts):
            await session.run(delete(table).where(table.c.call_id.in_(ids)))
        await session.run(delete(calls).where(calls.c.id.in_(ids)))
    return len(ids)
