"""Limits in SQL, and the index of them in memory that the data plane asks.

What is counted by them is in `budget_accounts`, in other units; it is known here neither for whom nor how much.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from gateway.core.accounts import Account
from gateway.core.budgets import MAX_SUBJECTS
from gateway.core.errors import Fault, Kind
from gateway.core.limits import Limit, Limits
from gateway.core.scopes import Scope
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.pages import Page, newest_first
from gateway.storage.revisions import Followed, advance, revision_of
from gateway.storage.tables import limits

RATES = ("rpm", "tpm", "in_flight")
"""The fields of a limit that `update` takes."""

_NOUN = "limits"


class LimitRepository:
    """Limits made by the admin API, or with a key. Every change leaves an audit entry in its transaction."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    async def add(self, limit: Limit, actor: str) -> None:
        """Store a new limit. Raises `Fault`: conflict if there is one of this name."""
        async with self._db.write() as session:
            await add_limit(session, limit, actor, self._now_us())

    async def all(self) -> list[Limit]:
        """Every limit, oldest first."""
        async with self._db.read() as session:
            return [_limit(row) for row in await session.all(select(limits).order_by(limits.c.number))]

    async def page(self, limit: int = 50, cursor: str | None = None) -> Page[Limit]:
        """Newest first. Raises `Fault` (invalid) on a foreign cursor."""
        return await newest_first(self._db, limits.c.number, _limit, limit, cursor)

    async def get(self, name: str) -> Limit | None:
        async with self._db.read() as session:
            return await find_limit(session, name)

    async def update(self, name: str, changes: Mapping[str, int | None], actor: str) -> Limit:
        """Set some of `RATES`; null: no limit of that kind. The limit as it is now.

        Raises `Fault`: not found, invalid for another field and if nothing is left of it.
        """
        unknown = sorted(set(changes) - set(RATES))
        if unknown:
            hint = f"these can be: {', '.join(RATES)}; remove the limit and make another one"
            raise Fault(Kind.INVALID, f"`{unknown[0]}` of a limit cannot be changed", hint=hint, param=unknown[0])
        async with self._db.write() as session:
            changed = with_rates(await _require(session, name), changes)
            if not limits_something(changed):
                hint = "keep rpm, tpm or in_flight, or remove it"
                raise Fault(Kind.INVALID, f"nothing would be left of the limit {name}", hint=hint)
            return await change_limit(session, changed, changes, actor, self._now_us())

    async def remove(self, name: str, actor: str) -> Limit:
        """End a limit. Raises `Fault`: not found."""
        async with self._db.write() as session:
            limit = await _require(session, name)
            await remove_limit(session, name, actor, self._now_us())
        return limit

    async def revision(self) -> int:
        """A number that grows with every change of any limit by any process."""
        async with self._db.read() as session:
            return await revision_of(session, _NOUN)


class LimitStore(Followed[Limit]):
    """The limits in force: those of the settings file, and the stored ones. Of one name the file's holds.

    Answers from memory. Until the first `refresh` it knows the file's limits only.
    """

    def __init__(
        self, repository: LimitRepository, file_limits: Sequence[Limit] = (), max_subjects: int = MAX_SUBJECTS
    ) -> None:
        """`max_subjects`: how many values each limit counts apart in a minute."""
        super().__init__(repository)
        self._max_subjects = max_subjects
        self._file_limits = tuple(file_limits)
        self.limits = Limits((), max_subjects)
        self._arrange(())

    def limit_of(self, account: Account, now_us: int) -> int | None:
        """What a counter may come to; null if its limit is gone."""
        return self.limits.limit_of(account)

    def _arrange(self, stored: Sequence[Limit]) -> None:
        known = {limit.name: limit for limit in (*stored, *self._file_limits)}
        self.limits = Limits(known.values(), self._max_subjects, self.limits)


def limits_something(limit: Limit) -> bool:
    return (limit.rpm, limit.tpm, limit.in_flight) != (None, None, None)


def with_rates(limit: Limit, rates: Mapping[str, int | None]) -> Limit:
    """The same limit with some of `RATES` set anew."""
    rpm, tpm, in_flight = (rates.get(rate, getattr(limit, rate)) for rate in RATES)
    return Limit(limit.name, limit.scope, rpm, tpm, in_flight, limit.source)


async def find_limit(session: ReadSession, name: str) -> Limit | None:
    row = await session.first(select(limits).where(limits.c.name == name))
    return None if row is None else _limit(row)


async def limits_named(session: ReadSession, names: Sequence[str]) -> list[Limit]:
    """Those of these names that there are."""
    return [_limit(row) for row in await session.all(select(limits).where(limits.c.name.in_(names)))]


async def add_limit(session: WriteSession, limit: Limit, actor: str, now_us: int) -> None:
    """Store a new limit, in a transaction of somebody else. Raises `Fault`: conflict if there is one of this name."""
    if await find_limit(session, limit.name) is not None:
        message = f"there is a limit named {limit.name} already"
        raise Fault(Kind.CONFLICT, message, hint="take another name, or change that one", param="name")
    await session.run(insert(limits).values(**_columns(limit), since_us=now_us))
    shown = {**{rate: getattr(limit, rate) for rate in RATES}, "scope": limit.scope.as_text()}
    await _changed(session, AuditEntry(now_us, actor, "limit.create", limit.name, shown))


async def change_limit(
    session: WriteSession, limit: Limit, changes: Mapping[str, object], actor: str, now_us: int
) -> Limit:
    """Store a limit as it is now; `changes` is what the audit entry tells."""
    await session.run(update(limits).where(limits.c.name == limit.name).values(_columns(limit)))
    await _changed(session, AuditEntry(now_us, actor, "limit.update", limit.name, dict(changes)))
    return limit


async def remove_limit(session: WriteSession, name: str, actor: str, now_us: int) -> None:
    """End a limit if there is one of this name."""
    if await session.run(delete(limits).where(limits.c.name == name)):
        await _changed(session, AuditEntry(now_us, actor, "limit.remove", name, {}))


async def _changed(session: WriteSession, entry: AuditEntry) -> None:
    await record_change(session, entry)
    await advance(session, _NOUN)


async def _require(session: ReadSession, name: str) -> Limit:
    limit = await find_limit(session, name)
    if limit is None:
        raise Fault(Kind.NOT_FOUND, f"there is no limit {name}", hint="GET /admin/limits names them")
    return limit


def _columns(limit: Limit) -> dict[str, object]:
    return {
        "name": limit.name,
        "scope": json.dumps(limit.scope.parts, ensure_ascii=False),
        **{rate: getattr(limit, rate) for rate in RATES},
    }


def _limit(row: Row[Any]) -> Limit:
    parts = tuple((dimension, fixed) for dimension, fixed in json.loads(row.scope))
    return Limit(row.name, Scope(parts), row.rpm, row.tpm, row.in_flight)
