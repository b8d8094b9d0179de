"""The past as alert rules see it: the ledger's calls, minute by minute, in the order in which they ended. Never writes.

Calls are read in the order of their start and put into the minute of their end, so an hour of them lies in memory. What
a call cost is what its row said first: nobody knew a later correction then.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from sqlalchemy import Select, func, select

from gateway.core.alerts.facts import DAY_US, HOUR_US, MINUTE_US, CallSeen, Minute, PriceSeen
from gateway.core.calls import End
from gateway.core.scopes import TAG
from gateway.core.usage import BUCKETS, Basis, Usage
from gateway.storage.engine import Database, ReadSession
from gateway.storage.retention import kept_since
from gateway.storage.tables import attempts, calls, charges

LONGEST_US = HOUR_US
"""A call that took longer counts in the first minute that was not told yet."""

_SEEN = ("key", "team", "model", "session", "end_user", "target", "provider")
_COLUMNS = (
    "started_us", "ended_us", *_SEEN, "labels", "end", "usage_basis", "cost_nano", "ttft_ms", "duration_ms", *BUCKETS,
)  # fmt: skip
_USAGE = slice(_COLUMNS.index(BUCKETS[0]), len(_COLUMNS))


class Minutes:
    """What happened in the ledger."""

    def __init__(self, db: Database, time_limit: float | None = None) -> None:
        """`time_limit`: seconds after which a statement is stopped with a `Fault` (timeout)."""
        self._db = db
        self._time_limit = time_limit

    async def kept_since(self) -> int:
        """From when on there is detail, microseconds UTC; what was before is known in sums alone. 0: all of it is."""
        async with self._db.read(self._time_limit) as session:
            return await kept_since(session)

    async def between(self, since_us: int, until_us: int, *, prices: bool = False) -> AsyncIterator[Minute]:
        """The minutes of [since, until) in which a call ended, in order and one view of the database. `prices`: each
        unit price too, in the minute of its first call of a day."""
        async with self._db.read(self._time_limit) as session:
            told = await _prices(session, since_us, until_us) if prices else {}
            sorting = _Sorting(since_us, until_us, told)
            async for rows in session.chunks(_calls(since_us, until_us)):
                for row in rows:
                    for minute in sorting.add(row.started_us, _call(row)):
                        yield minute
            for minute in sorting.rest():
                yield minute


class _Sorting:
    """Takes calls by their start, gives minutes by their end."""

    def __init__(self, since_us: int, until_us: int, prices: dict[int, list[PriceSeen]]) -> None:
        self._since_us, self._until_us = since_us, until_us
        self._prices = prices
        self._waiting: dict[int, list[CallSeen]] = {minute: [] for minute in prices}
        self._told = since_us // MINUTE_US
        """Minutes before were told."""

    def add(self, started_us: int, call: CallSeen) -> Iterator[Minute]:
        """Count a call; the minutes that are complete by it."""
        if self._since_us <= call.at_us < self._until_us:
            minute = max(call.at_us // MINUTE_US, self._told)
            self._waiting.setdefault(minute, []).append(call)
        yield from self._tell((started_us - LONGEST_US) // MINUTE_US)

    def rest(self) -> Iterator[Minute]:
        yield from self._tell(self._until_us // MINUTE_US + 1)

    def _tell(self, before: int) -> Iterator[Minute]:
        """All minutes before this one."""
        if before <= self._told:
            return
        self._told = before
        for minute in sorted(at for at in self._waiting if at < before):
            found = sorted(self._waiting.pop(minute), key=_ended)
            yield Minute(minute * MINUTE_US, tuple(found), (), tuple(self._prices.pop(minute, ())))


def _ended(call: CallSeen) -> int:
    return call.at_us


def _calls(since_us: int, until_us: int) -> Select[Any]:
    return (
        select(*(calls.c[name] for name in _COLUMNS))
        .where(calls.c.started_us >= since_us - LONGEST_US, calls.c.started_us < until_us)
        .order_by(calls.c.started_us, calls.c.seq)
    )


async def _prices(session: ReadSession, since_us: int, until_us: int) -> dict[int, list[PriceSeen]]:
    """Unit prices by the minute in which a call first started with them, each day anew."""
    day = (calls.c.started_us // DAY_US).label("day")
    first = func.min(calls.c.started_us).label("first_us")
    price = (attempts.c.target, charges.c.bucket, charges.c.usd_per_million)
    statement = (
        select(*price, first)
        .join(attempts, (attempts.c.call_id == charges.c.call_id) & (attempts.c.attempt == charges.c.attempt))
        .join(calls, calls.c.id == charges.c.call_id)
        .where(calls.c.started_us >= since_us, calls.c.started_us < until_us)
        .group_by(*price, day)
        .order_by(first, *price)
    )
    seen: dict[int, list[PriceSeen]] = {}
    for row in await session.all(statement):
        told = PriceSeen(row.target, row.bucket, row.usd_per_million)
        seen.setdefault(row.first_us // MINUTE_US, []).append(told)
    return seen


def _call(row: Sequence[Any]) -> CallSeen:
    """A row of `_COLUMNS` as rules see it."""
    started_us, ended_us, *seen = row[: 2 + len(_SEEN)]
    labels, end, basis, cost_nano, ttft_ms, duration_ms = row[2 + len(_SEEN) : _USAGE.start]
    usage = Usage(*row[_USAGE])
    tags = {f"{TAG}:{name}": tagged for name, tagged in json.loads(labels).items()} if labels != "{}" else {}
    return CallSeen(
        ended_us or started_us,
        dict(zip(_SEEN, seen, strict=True)) | tags,
        cost_nano,
        usage.prompt_tokens,
        usage.generated_tokens,
        End(end),
        Basis(basis),
        ttft_ms,
        duration_ms,
    )
