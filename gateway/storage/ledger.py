"""The ledger in SQL: calls, attempts, charges and the rollups over them, appended exactly once.

Append-only: no row of a call is ever changed here. Knows of a journal its id and its mark only.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import sleep
from typing import TypeAlias

from sqlalchemy import ColumnElement, Text, delete, func, literal, select

from gateway.core.accounts import Account
from gateway.core.calls import CallRecord
from gateway.core.errors import Fault, Kind
from gateway.core.escrow import Charged, charges_of
from gateway.storage.accounts import charge, release
from gateway.storage.address import DialectName
from gateway.storage.bulk import BulkInsert, BulkStatement
from gateway.storage.clock import wall_clock_us
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, ReadSession, Refused, Rows, WriteSession
from gateway.storage.journal_reader import Mark
from gateway.storage.lean import ARRAY, insert
from gateway.storage.ledger_rows import CALL_COLUMNS, LedgerRows, mended, rows_of
from gateway.storage.rollup_rows import (
    KEY_COLUMNS,
    ROLLUP_COLUMNS,
    Rollups,
    adder,
    merge_stored,
    rollup_row,
    select_rollups,
)
from gateway.storage.tables import attempts, calls, charges, journal_marks, rollups_hourly

_KEYS_AT_ONCE = 4000
"""SQLite takes 32,766 parameters in one statement; the key of a rollup has eight."""

_ROWS_AT_ONCE = 100
_SUMS_AT_ONCE = 500
"""Calls that are dealt with before the event loop has a turn: compiled code never lets go of the interpreter by itself,
and an answer would wait for a whole batch."""

_CALLS = BulkInsert(calls, CALL_COLUMNS)
_ATTEMPTS = BulkInsert(attempts, attempts.c.keys())
_CHARGES = BulkInsert(charges, charges.c.keys())
_ROLLUPS = BulkInsert(rollups_hourly, ROLLUP_COLUMNS, unique=KEY_COLUMNS)
_add_up = adder(CALL_COLUMNS)


Charging: TypeAlias = Callable[[str, Mapping[Account, Charged]], None]
"""(journal id, what its calls have added to the accounts of budgets)."""


class Ledger:
    """Appends batches of ended calls; each batch is one transaction together with the journal's mark."""

    def __init__(
        self,
        db: Database,
        dead_letters: DeadLetters,
        now_us: Callable[[], int] = wall_clock_us,
        charged: Charging = lambda _journal_id, _charges: None,
    ) -> None:
        """`charged` is told after each commit what it has added to the accounts of budgets."""
        self._charged = charged
        self._db = db
        self._dead_letters = dead_letters
        self._now_us = now_us

    @property
    def dead_letters(self) -> int:
        """How many calls SQL has refused for good."""
        return self._dead_letters.count

    async def mark(self, journal_id: str) -> Mark:
        """How far a journal has been taken over; its very begin if nothing was. Raises `Fault` (unavailable)."""
        statement = select(journal_marks.c.segment, journal_marks.c.offset).where(journal_marks.c.journal == journal_id)
        async with self._db.read() as session:
            row = await session.first(statement)
        return Mark() if row is None else Mark(row.segment, row.offset)

    async def append(
        self, journal_id: str, records: Sequence[CallRecord], mark: Mark, *, last: bool = False
    ) -> Sequence[CallRecord]:
        """Take over calls, charge their budgets and move the journal's mark, in one transaction; the calls that were
        new.

        A call whose id the ledger has already is passed over. A call that SQL refuses goes to the dead letters, once,
        and holds nobody up; its budgets are charged all the same. `last`: nothing of this journal is still held.
        Raises `Fault` (unavailable) if the database fails; then nothing has happened.
        """
        fresh = list({record.facts.id: record for record in records}.values())
        refused: list[tuple[CallRecord, str]] = []
        async with self._db.write() as session:
            if not await _added(session, fresh):
                fresh = await _not_yet_known(session, fresh)
                if not await _added(session, fresh):
                    refused = await _add_most(session, fresh)
            charges = charges_of(fresh)
            if charges:
                await charge(session, journal_id, charges)
            if last:
                await release(session, journal_id)
            await _move(session, journal_id, mark)
            if refused:
                await self._bury(refused)
        if charges:
            self._charged(journal_id, charges)
        without_row = {record.facts.id for record, _ in refused}
        return [record for record in fresh if record.facts.id not in without_row]

    async def forget(self, journal_ids: Sequence[str]) -> None:
        """Drop the marks of journals that are gone, and what their processes leased. Raises `Fault` (unavailable)."""
        async with self._db.write() as session:
            for journal_id in journal_ids:
                await release(session, journal_id)
            await session.run(delete(journal_marks).where(journal_marks.c.journal.in_(journal_ids)))

    async def _bury(self, refused: Sequence[tuple[CallRecord, str]]) -> None:
        # Before the commit: after a crash between the two the calls come again, and have their letters already.
        try:
            await asyncio.to_thread(self._dead_letters.add, refused, self._now_us())
        except OSError as error:
            raise Fault(Kind.UNAVAILABLE, f"{self._dead_letters.path} cannot be written: {error}") from error


async def _added(session: WriteSession, records: Sequence[CallRecord]) -> bool:
    """Whether SQL has taken all of these calls as they are; else it has taken none."""
    try:
        async with session.savepoint():
            await _add(session, records, rows_of)
    except Refused:
        return False
    return True


async def _add(
    session: WriteSession, records: Sequence[CallRecord], rows_from: Callable[[Sequence[CallRecord]], LedgerRows]
) -> None:
    """Rows and sums of calls that the ledger does not have. Whatever takes long is done in another thread."""
    if not records:
        return
    statements, rollups = await asyncio.to_thread(_prepare, records, rows_from, session.dialect)
    await session.run_bulk(statements)
    stored = await _stored(session, rollups)
    await session.run_bulk(await asyncio.to_thread(_merge, rollups, stored, session.dialect))


def _prepare(
    records: Sequence[CallRecord], rows_from: Callable[[Sequence[CallRecord]], LedgerRows], dialect: DialectName
) -> tuple[list[BulkStatement], Rollups]:
    rows = LedgerRows()
    for start in range(0, len(records), _ROWS_AT_ONCE):
        some = rows_from(records[start : start + _ROWS_AT_ONCE])
        rows.calls += some.calls
        rows.attempts += some.attempts
        rows.charges += some.charges
        sleep(0)
    rollups: Rollups = {}
    for start in range(0, len(rows.calls), _SUMS_AT_ONCE):
        _add_up(rows.calls[start : start + _SUMS_AT_ONCE], rollups)
        sleep(0)
    tables = ((_CALLS, rows.calls), (_ATTEMPTS, rows.attempts), (_CHARGES, rows.charges))
    statements = []
    for insertion, values in tables:
        statements += insertion.of(values, dialect)
        sleep(0)
    return statements, rollups


def _mended_rows_of(records: Sequence[CallRecord]) -> LedgerRows:
    return mended(rows_of(records))


async def _stored(session: ReadSession, rollups: Rollups) -> Rows:
    """The rollups of the same keys; nobody else writes them while this transaction lasts."""
    keys = list(rollups)
    chunks = [keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE)]
    return [row for chunk in chunks for row in await session.all(select_rollups(chunk, session.dialect))]


def _merge(rollups: Rollups, stored: Rows, dialect: DialectName) -> list[BulkStatement]:
    merge_stored(rollups, stored)
    return _ROLLUPS.of([rollup_row(key, sums) for key, sums in rollups.items()], dialect)


async def _not_yet_known(session: ReadSession, records: Sequence[CallRecord]) -> list[CallRecord]:
    known: set[str] = set()
    for start in range(0, len(records), _KEYS_AT_ONCE):
        ids = [record.facts.id for record in records[start : start + _KEYS_AT_ONCE]]
        known.update(row.id for row in await session.all(select(calls.c.id).where(_is_one_of(ids, session.dialect))))
    return [record for record in records if record.facts.id not in known]


def _is_one_of(ids: Sequence[str], dialect: DialectName) -> ColumnElement[bool]:
    return calls.c.id.in_(ids) if dialect == "sqlite" else calls.c.id == func.any(literal(ids, ARRAY(Text)))


async def _add_most(session: WriteSession, records: Sequence[CallRecord]) -> list[tuple[CallRecord, str]]:
    """Add all that SQL takes, half by half down to the single call; those that it does not take, with the reasons."""
    try:
        async with session.savepoint():
            await _add(session, records, _mended_rows_of)
    except Refused as refusal:
        if len(records) == 1:
            return [(records[0], str(refusal))]
        middle = len(records) // 2
        return [*await _add_most(session, records[:middle]), *await _add_most(session, records[middle:])]
    return []


async def _move(session: WriteSession, journal_id: str, mark: Mark) -> None:
    place = {"segment": mark.segment, "offset": mark.offset}
    moved = insert(journal_marks).values(journal=journal_id, **place)
    await session.run(moved.on_conflict_do_update(index_elements=["journal"], set_=place))
