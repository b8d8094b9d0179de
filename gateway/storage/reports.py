"""What was spent and what happened, read from the ledger. Never writes; has a time limit, so that it starves nobody.

Sums take whole hours from the rollups and the rest from the calls themselves, in one view of the database and with
one accumulator: for any period they equal the sum of its calls. A call that was corrected costs what the last of its
corrections says, here as in the rollups. Where detail was deleted (`retention`) hours are whole.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from sqlalchemy import Select, func, select

from gateway.core.errors import Fault, Kind
from gateway.storage.corrections import corrected, corrections_of
from gateway.storage.engine import Database, ReadSession
from gateway.storage.moments import Interval, moment
from gateway.storage.pages import Page, cut_page, read_cursor, write_cursor
from gateway.storage.retention import kept_since
from gateway.storage.rollup_rows import FIGURE_COLUMNS, HOUR_US, adder, stored_rollup
from gateway.storage.stored_calls import StoredCall, stored_attempt, stored_call
from gateway.storage.tables import DIMENSIONS, attempts, calls, charges, rollups_hourly
from gateway.storage.usage_report import Sums, UsageReport, UsageRow

__all__ = ["CallFilter", "Interval", "Reports", "StoredCall", "UsageReport", "UsageRow", "check_usage"]

_add_up = adder(FIGURE_COLUMNS)
_CALL_ID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
"""Call ids begin with the milliseconds of their start (RFC 9562, version 7)."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are wanted; null: any. Times are microseconds UTC of a call's start, `until_us` excluded."""

    key: str | None = None
    team: str | None = None
    model: str | None = None
    target: str | None = None
    provider: str | None = None
    path: str | None = None
    end: str | None = None
    session: str | None = None
    status: int | None = None
    since_us: int | None = None
    until_us: int | None = None

    def narrow(self, statement: Select[Any]) -> Select[Any]:
        """The same selection of `calls`, of wanted ones only."""
        for field in fields(self):
            wanted = getattr(self, field.name)
            if wanted is None:
                continue
            if field.name == "since_us":
                statement = statement.where(calls.c.started_us >= wanted)
            elif field.name == "until_us":
                statement = statement.where(calls.c.started_us < wanted)
            else:
                statement = statement.where(calls.c[field.name] == wanted)
        return statement


ANY_CALL = CallFilter()


class Reports:
    """`time_limit`: seconds after which a query gives up with a `Fault` (timeout)."""

    def __init__(self, db: Database, time_limit: float = 30.0) -> None:
        self._db = db
        self._time_limit = time_limit

    async def calls(
        self, wanted: CallFilter = ANY_CALL, limit: int = 50, cursor: str | None = None
    ) -> Page[StoredCall]:
        """Newest first, without attempts. Raises `Fault` (invalid) on a foreign cursor."""
        newest_first = (calls.c.started_us.desc(), calls.c.seq.desc())
        statement = wanted.narrow(select(*corrected(calls.c.keys()))).order_by(*newest_first).limit(limit + 1)
        if cursor is not None:
            started_us, seq = read_cursor(cursor, 2)
            before = (calls.c.started_us < started_us) | ((calls.c.started_us == started_us) & (calls.c.seq < seq))
            # The first condition is implied by the second; the index understands only the first.
            statement = statement.where(calls.c.started_us <= started_us, before)
        async with self._db.read(self._time_limit) as session:
            rows, more = cut_page(await session.all(statement), limit)
        following = write_cursor(rows[-1].started_us, rows[-1].seq) if more else None
        return Page([stored_call(row) for row in rows], following)

    async def call(self, call_id: str) -> StoredCall | None:
        """One call with its attempts and charges; None if the ledger has none of this id."""
        async with self._db.read(self._time_limit) as session:
            row = await session.first(select(*corrected(calls.c.keys())).where(calls.c.id == call_id))
            if row is None:
                return None
            of_call = attempts.c.call_id == call_id
            tried = await session.all(select(attempts).where(of_call).order_by(attempts.c.attempt))
            charged = await session.all(select(charges).where(charges.c.call_id == call_id))
            made = await corrections_of(session, [call_id])
        by_attempt = [[charge for charge in charged if charge.attempt == attempt.attempt] for attempt in tried]
        return stored_call(row, tuple(map(stored_attempt, tried, by_attempt)), tuple(made))

    async def absent(self, call_id: str) -> Fault:
        """Why the ledger has no call of this id: a `Fault` (not found) to be raised."""
        begun = _CALL_ID.fullmatch(call_id)
        async with self._db.read(self._time_limit) as session:
            kept_us = await kept_since(session)
        if begun is not None and int(begun[1] + begun[2], 16) * 1000 < kept_us:
            message = f"the detail of calls that started before {moment(kept_us)} was deleted"
            return Fault(Kind.NOT_FOUND, message, hint=f"what call {call_id} was is in the sums of its hour alone")
        return Fault(Kind.NOT_FOUND, f"there is no call {call_id}", hint="`tollkeeper calls` lists them with their ids")

    async def calls_after(self, seq: int, wanted: CallFilter = ANY_CALL, limit: int = 100) -> list[StoredCall]:
        """What reached the ledger after `seq`, in that order, without attempts: for following along."""
        statement = (
            wanted.narrow(select(*corrected(calls.c.keys())))
            .where(calls.c.seq > seq)
            .order_by(calls.c.seq)
            .limit(limit)
        )
        async with self._db.read(self._time_limit) as session:
            return [stored_call(row) for row in await session.all(statement)]

    async def last_seq(self) -> int:
        """The last `seq` given; 0 while the ledger is empty."""
        async with self._db.read(self._time_limit) as session:
            seq = await session.scalar(select(calls.c.seq).order_by(calls.c.seq.desc()).limit(1))
        return seq or 0

    async def usage(
        self,
        group_by: Sequence[str],
        since_us: int,
        until_us: int,
        interval: Interval | None = None,
        where: Mapping[str, str] | None = None,
    ) -> UsageReport:
        """Sums of the calls that started in [since, until), by the dimensions of `tables.DIMENSIONS`.

        `where` narrows by dimension; empty text means the calls that have none. Raises `Fault` (invalid) for an
        unknown dimension or interval, or a period that ends before it starts. Of an hour whose detail was deleted
        there is the sum alone: a period that cuts it counts it whole, and the report says so.
        """
        where = where or {}
        check_usage(group_by, since_us, until_us, interval, where)
        sums = Sums(group_by, interval)
        async with self._db.read(self._time_limit) as session:
            kept_us = await kept_since(session)
            begin_us, end_us = _whole_where_deleted(since_us, until_us, kept_us)
            await _sum_up(session, sums, begin_us, end_us, where)
        widened = (begin_us, end_us) != (since_us, until_us)
        return replace(sums.report(), whole_hours_before_us=kept_us if widened else None)


def check_usage(
    group_by: Sequence[str],
    since_us: int,
    until_us: int,
    interval: str | None = None,
    where: Mapping[str, str] | None = None,
) -> None:
    """Raises the `Fault` (invalid) that `Reports.usage` would raise, for whoever has no database open yet."""
    _require_dimensions(group_by, "group_by")
    for name in where or {}:
        _require_dimensions([name], name)
    if interval is not None and interval not in get_args(Interval):
        raise Fault(Kind.INVALID, f"{interval} is not an interval", hint="hour, day or month", param="interval")
    if until_us < since_us:
        raise Fault(Kind.INVALID, "the period ends before it starts", param="until")


def _require_dimensions(names: Sequence[str], param: str) -> None:
    for name in names:
        if name not in DIMENSIONS:
            raise Fault(Kind.INVALID, f"{name} is not a dimension", hint=f"one of {', '.join(DIMENSIONS)}", param=param)


def _whole_where_deleted(since_us: int, until_us: int, kept_us: int) -> tuple[int, int]:
    """The period, taken to full hours where it begins or ends before there is detail."""
    if since_us < until_us:
        since_us -= since_us % HOUR_US if since_us < kept_us else 0
        until_us += -until_us % HOUR_US if until_us < kept_us else 0
    return since_us, until_us


async def _sum_up(session: ReadSession, sums: Sums, since_us: int, until_us: int, where: Mapping[str, str]) -> None:
    """Whole hours from the rollups, parts of an hour from the calls."""
    first, last = -(-since_us // HOUR_US) * HOUR_US, until_us // HOUR_US * HOUR_US
    if first > last:
        await _sum_calls(session, sums, since_us, until_us, where)
        return
    # An hour cut off where nothing was is a whole hour: a report until now need not read the last hour's calls.
    if since_us < first and not await _any_call(session, first - HOUR_US, since_us):
        since_us = first = first - HOUR_US
    if last < until_us and not await _any_call(session, until_us, last + HOUR_US):
        until_us = last = last + HOUR_US
    await _sum_calls(session, sums, since_us, first, where)
    await _sum_rollups(session, sums, first, last, where)
    await _sum_calls(session, sums, last, until_us, where)


async def _any_call(session: ReadSession, since_us: int, until_us: int) -> bool:
    statement = select(calls.c.seq).where(calls.c.started_us >= since_us, calls.c.started_us < until_us).limit(1)
    return await session.first(statement) is not None


async def _sum_calls(session: ReadSession, sums: Sums, since_us: int, until_us: int, where: Mapping[str, str]) -> None:
    if since_us >= until_us:
        return
    statement = select(*corrected(FIGURE_COLUMNS)).where(
        calls.c.started_us >= since_us,
        calls.c.started_us < until_us,
        *(func.coalesce(calls.c[name], "") == value for name, value in where.items()),
    )
    async for rows in session.chunks(statement):
        for key, rollup in (await asyncio.to_thread(_add_up, rows)).items():
            sums.add(key, rollup)


async def _sum_rollups(
    session: ReadSession, sums: Sums, since_us: int, until_us: int, where: Mapping[str, str]
) -> None:
    statement = select(rollups_hourly).where(
        rollups_hourly.c.hour_us >= since_us,
        rollups_hourly.c.hour_us < until_us,
        *(rollups_hourly.c[name] == value for name, value in where.items()),
    )
    async for rows in session.chunks(statement):
        await asyncio.to_thread(_merge, sums, rows)


def _merge(sums: Sums, rows: Sequence[Any]) -> None:
    for row in rows:
        sums.add(*stored_rollup(row))
