"""The ledger's months on PostgreSQL: made before they come, and dropped whole. SQLite has none, and nothing here to do.

A call id begins with the milliseconds of its making, so a month is a range of ids; that keeps an id unique over all of
them. What belongs to a call lies in the partition of the same name, bound to its calls there: a month leaves in one
step, and no other is asked. Ids that fit no month are in `…_other`, refused nowhere.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.core.errors import Fault, Kind
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.tables import PARTITIONED

AHEAD = 3
"""Months that are made before they come: time enough for whoever has to see why they are not."""
OTHER = "other"

_NUMBERED = {"calls": "seq", "corrections": "id"}
_LOCK_PATIENCE = "2s"
"""How long a change of the partitions waits for readers: whoever comes after it waits as long.

Longer than the server's `deadlock_timeout`, after which a vacuum of its own makes way."""
_VIEW_PATIENCE = 60.0
"""Seconds that a drop waits for the end of transactions that are older; a report may take 30."""
_BOUND = re.compile(r"FOR VALUES FROM \((MINVALUE|'[^']*')\) TO \('([^']*)'\)")

_list = text(
    "SELECT relname, pg_get_expr(relpartbound, pg_class.oid) AS bound FROM pg_inherits"
    " JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass('calls') AND relispartition"
)
_limit_waits = text(f"SELECT set_config('lock_timeout', '{_LOCK_PATIENCE}', true)")
_lock = text("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
_now = text("SELECT clock_timestamp()")
_older_views = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend' AND backend_xmin IS NOT NULL AND xact_start < :moment"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A range of ids, in each of the tables."""

    name: str
    """What follows `calls_`."""
    from_id: str
    """Empty: from the first on."""
    until_id: str
    """The first that is beyond."""

    @property
    def until_us(self) -> int:
        """The moment that its ids end before."""
        return int(self.until_id[:8] + self.until_id[9:13], 16) * 1000


def first_id(at_us: int) -> str:
    """An id that no call made then or later lies before, and none made earlier after."""
    moment = f"{at_us // 1000:012x}"
    return f"{moment[:8]}-{moment[8:]}-7000-8000-000000000000"


def month(at_us: int, later: int = 0) -> Partition:
    """The calendar month (UTC) of a time, or one so many months later."""
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    number = at.year * 12 + at.month - 1 + later
    return Partition(
        f"{number // 12:04}{number % 12 + 1:02}", first_id(_begin_us(number)), first_id(_begin_us(number + 1))
    )


def _begin_us(number: int) -> int:
    return int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


async def partitions(session: ReadSession) -> list[Partition]:
    """Those that are there, but for `other`; none on SQLite."""
    if session.dialect == "sqlite":
        return []
    found = []
    for row in await session.all(_list):
        bound = _BOUND.fullmatch(row.bound)
        if bound is not None:
            found.append(
                Partition(row.relname.removeprefix("calls_"), bound[1].strip("'").removeprefix("MINVALUE"), bound[2])
            )
    return sorted(found, key=lambda partition: partition.until_id)


class Months:
    """Makes the partitions of this month and the next ones. Any number of processes may, again and again."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    async def make(self) -> list[str]:
        """Make what is missing; the names. Calls that are in `other` and belong there move with it.

        Raises `Fault`: unavailable while somebody reads and will not end; what is missing then is made the next time.
        """
        wanted = [month(self._now_us(), later) for later in range(AHEAD + 1)]
        async with self._db.read() as session:
            if session.dialect == "sqlite":
                return []
            missing = _missing(wanted, await partitions(session))
        for one in missing:
            async with self._db.write() as session:
                await _lock_out(session)
                if _missing([one], await partitions(session)):
                    await _carve(session, one)
        return [one.name for one in missing]


def _missing(wanted: Collection[Partition], there: Collection[Partition]) -> list[Partition]:
    return [one for one in wanted if not any(has.from_id <= one.from_id < has.until_id for has in there)]


async def _lock_out(session: WriteSession) -> None:
    """Have the tables alone. Through `calls` first, as every reader comes: so nobody waits for one another."""
    await session.all(_limit_waits)
    try:
        await session.run(_lock)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        message = (
            f"somebody has been reading calls for longer than {_LOCK_PATIENCE}, so their partitions stay as they are"
        )
        raise Fault(Kind.UNAVAILABLE, message, hint="repeat it when long reports and dumps are done") from error


async def _carve(session: WriteSession, one: Partition) -> None:
    """Make a partition of what is in `other`, which is little: what came from a clock that was ahead."""
    for table in PARTITIONED:
        await _do(session, f"CREATE TABLE {table}_{one.name} (LIKE {table} INCLUDING DEFAULTS)")
        if table in _NUMBERED:
            await _do(session, f"ALTER TABLE {table}_{one.name} ADD PRIMARY KEY ({_NUMBERED[table]})")
    for table, key in reversed(PARTITIONED.items()):
        range_ = f"{key} >= '{one.from_id}' AND {key} < '{one.until_id}'"
        moved = f"DELETE FROM {table}_{OTHER} WHERE {range_} RETURNING *"  # noqa: S608 (names and ids of ours)
        await _do(session, f"WITH moved AS ({moved}) INSERT INTO {table}_{one.name} SELECT * FROM moved")  # noqa: S608
    for table in PARTITIONED:
        values = f"FOR VALUES FROM ('{one.from_id}') TO ('{one.until_id}')"
        await _do(session, f"ALTER TABLE {table} ATTACH PARTITION {table}_{one.name} {values}")
        if table != "calls":
            reference = f"FOREIGN KEY (call_id) REFERENCES calls_{one.name} (id)"
            await _do(session, f"ALTER TABLE {table}_{one.name} ADD CONSTRAINT fk_{table}_call_id {reference}")


async def _do(session: WriteSession, statement: str) -> None:
    await session.run(text(statement))


async def ended(session: ReadSession, before_us: int) -> list[Partition]:
    """The partitions that end before and hold no call that started after their end; the oldest first."""
    over = [one for one in await partitions(session) if one.until_us <= before_us]
    return [one for one in over if not await _holds_later(session, one)]


async def _holds_later(session: ReadSession, one: Partition) -> bool:
    """An id tells when it was made; when the call started is what decides, and the two need not agree."""
    statement = text(f"SELECT 1 FROM calls_{one.name} WHERE started_us >= :end LIMIT 1")  # noqa: S608 (a name of ours)
    return await session.first(statement.bindparams(end=one.until_us)) is not None


async def drop(db: Database, one: Partition, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> int:
    """Drop a partition that has ended, if it is still there; how many calls went.

    The horizon must have moved past it before: whoever looked earlier is waited for, because rows of a partition that
    is gone are in no view, however old. `pause` waits so many seconds between looks. Raises `Fault` (unavailable) if
    somebody goes on reading.
    """
    await _outlive_views(db, pause)
    async with db.read() as session:
        if one not in await partitions(session):
            return 0
        count: int = await session.scalar(text(f"SELECT count(*) FROM calls_{one.name}"))  # noqa: S608 (a name of ours)
    async with db.write() as session:
        await _lock_out(session)
        if one not in await ended(session, one.until_us):
            return 0
        await _do(session, f"DROP TABLE {', '.join(f'{table}_{one.name}' for table in reversed(PARTITIONED))}")
    return count


async def _outlive_views(db: Database, pause: Callable[[float], Awaitable[None]]) -> None:
    """Wait for the end of every transaction that began before now."""
    async with db.read() as session:
        older = _older_views.bindparams(moment=await session.scalar(_now))
    deadline = time.monotonic() + _VIEW_PATIENCE
    while True:
        async with db.read() as session:
            left = await session.scalar(older)
        if not left:
            return
        if time.monotonic() > deadline:
            message = f"{left} transactions have been reading the database for longer than {_VIEW_PATIENCE:g} seconds"
            raise Fault(Kind.UNAVAILABLE, message, hint="repeat it when long reports and dumps are done")
        await pause(0.05)
