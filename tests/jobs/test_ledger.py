"""The ledger job: from the journal's files to SQL's rows, over failures, deaths and restarts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.calls import AttemptOpened, CallRecord
from gateway.jobs.ledger import LedgerJob
from gateway.jobs.scheduler import Scheduler
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter
from gateway.storage.ledger import Ledger
from gateway.storage.reports import Reports
from tests.databases import Operator
from tests.storage.calls import BOOK, START_US, a_call, call_id

MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    journals = tmp_path / "journal"
    journals.mkdir()
    return journals


@asynccontextmanager
async def writing(folder: Path, segment_bytes: int = MIB) -> AsyncIterator[JournalWriter]:
    """A journal that is written, and left as a dead process leaves it."""
    journal = JournalWriter(folder, max_bytes=64 * MIB, segment_bytes=segment_bytes)
    await journal.start()
    try:
        yield journal
    finally:
        await journal.stop()


@asynccontextmanager
async def shipping(journal: JournalWriter, folder: Path, db: Database) -> AsyncIterator[LedgerJob]:
    """The ledger job at work."""
    job = LedgerJob(journal, folder, Ledger(db, DeadLetters(folder)))
    scheduler = Scheduler(first_delay=0.01)
    scheduler.add("ledger", job.run)
    await scheduler.start()
    try:
        yield job
    finally:
        await scheduler.stop()
    assert scheduler.stats()["ledger"].crashes == 0


async def until(true: Callable[[], bool]) -> None:
    """Poll; the limit is for a machine that is busy with other tests."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


async def ids_in(db: Database) -> list[str]:
    return sorted(call.facts.id for call in (await Reports(db).calls(limit=10_000)).items)


def opening(record: CallRecord, index: int = 0) -> AttemptOpened:
    return AttemptOpened(record.facts, index, "openai/gpt-4o-mini", "openai", START_US, BOOK, 1000, "2")


@pytest.mark.anyio
async def test_a_call_is_in_the_ledger_soon_after_its_end(folder: Path, db: Database) -> None:
    async with writing(folder) as journal, shipping(journal, folder, db) as job:
        await until(lambda: job.stats().dead_journals == 0)
        journal.close_call(a_call(1))
        # The contract allows 300 ms; a machine that is busy with other tests may take longer.
        await until(lambda: job.stats().shipped == 1)
        stats = job.stats()
    assert await ids_in(db) == [call_id(1)]
    assert (stats.backlog_bytes, stats.oldest_age_seconds, stats.last_error) == (0, 0.0, None)


@pytest.mark.anyio
async def test_what_ends_last_is_shipped_before_the_job_ends(folder: Path, db: Database, sql: Operator) -> None:
    """… and nothing of the journal is left, not even its mark."""
    async with writing(folder) as journal:
        async with shipping(journal, folder, db) as job:
            for number in range(2500):
                journal.close_call(a_call(number))
        assert job.stats().shipped == 2500
        await journal.stop(job.mark)
        assert sql.rows("SELECT journal FROM journal_marks") == [(journal.id,)]
        await job.forget()
    assert list(folder.iterdir()) == []
    assert sql.count("journal_marks") == 0


@pytest.mark.anyio
async def test_segments_are_deleted_as_they_are_shipped(folder: Path, db: Database) -> None:
    async with writing(folder, segment_bytes=256 * 1024) as journal, shipping(journal, folder, db) as job:
        for number in range(2000):
            journal.close_call(a_call(number))
        await until(lambda: job.stats().shipped == 2000)
        await until(lambda: len(list(journal.directory.glob("*.seg"))) <= 3)


@pytest.mark.anyio
async def test_a_failing_database_makes_the_journal_grow_and_nothing_else(
    folder: Path, db: Database, sql: Operator
) -> None:
    """Known faults 29, 55: a database that is away loses nothing, and everybody can see that it is away."""
    async with writing(folder) as journal, shipping(journal, folder, db) as job:
        sql.run("ALTER TABLE rollups_hourly RENAME TO gone")
        journal.close_call(a_call(1))
        await until(lambda: job.stats().last_error is not None)
        journal.close_call(a_call(2))
        stats = job.stats()
        assert "rollups_hourly" in str(stats.last_error)
        assert stats.backlog_bytes > 0
        assert stats.oldest_age_seconds > 0
        assert await ids_in(db) == []
        sql.run("ALTER TABLE gone RENAME TO rollups_hourly")
        await until(lambda: job.stats().shipped == 2)
        await until(lambda: job.stats().last_error is None)
        assert job.stats().backlog_bytes == 0
    assert await ids_in(db) == [call_id(1), call_id(2)]


@pytest.mark.anyio
async def test_what_could_not_be_shipped_is_replayed_by_the_next_start(
    folder: Path, db: Database, sql: Operator
) -> None:
    async with writing(folder) as journal, shipping(journal, folder, db):
        sql.run("ALTER TABLE rollups_hourly RENAME TO gone")
        journal.close_call(a_call(1))
    sql.run("ALTER TABLE gone RENAME TO rollups_hourly")
    assert await ids_in(db) == []
    async with writing(folder) as journal, shipping(journal, folder, db) as job:
        await until(lambda: job.stats().shipped == 1)
    assert await ids_in(db) == [call_id(1)]


@pytest.mark.anyio
async def test_a_dead_journal_is_replayed_and_removed(folder: Path, db: Database, sql: Operator) -> None:
    """Known fault 59: a crash loses neither ended calls nor those that were under way."""
    ended, cut_short, retried = a_call(1), a_call(2), a_call(3)
    async with writing(folder) as dead:
        dead.open_attempt(opening(ended))
        dead.close_call(ended)
        dead.open_attempt(opening(cut_short))
        dead.open_attempt(opening(retried))
        dead.open_attempt(opening(retried, index=1))
    async with writing(folder) as journal, shipping(journal, folder, db) as job:
        await until(lambda: job.stats().shipped == 3 and job.stats().dead_journals == 0)
        assert not dead.directory.exists()
        assert journal.directory.exists()
    stored = {call.facts.id: call for call in (await Reports(db).calls()).items}
    assert [str(stored[call_id(number)].end) for number in (1, 2, 3)] == ["completed", "interrupted", "interrupted"]
    assert [stored[call_id(number)].cost_nano for number in (2, 3)] == [2_000_000, 4_000_000]
    assert stored[call_id(2)].ended_us is None
    assert sql.one("SELECT count(*) FROM journal_marks WHERE journal = :id", id=dead.id) == 0


@pytest.mark.anyio
async def test_a_journal_that_was_shipped_in_part_is_replayed_without_repeating(folder: Path, db: Database) -> None:
    async with writing(folder) as dead:
        job = LedgerJob(dead, folder, Ledger(db, DeadLetters(folder)))
        dead.close_call(a_call(1))
        stopping = asyncio.Event()
        stopping.set()
        await job.run(stopping)
        assert await ids_in(db) == [call_id(1)]
        dead.close_call(a_call(2))
    async with writing(folder) as journal, shipping(journal, folder, db) as job:
        await until(lambda: job.stats().dead_journals == 0 and not dead.directory.exists())
        assert job.stats().shipped == 1
    assert await ids_in(db) == [call_id(1), call_id(2)]


@pytest.mark.anyio
async def test_a_journal_whose_process_lives_is_left_alone(folder: Path, db: Database) -> None:
    async with (
        writing(folder) as theirs,
        writing(folder) as ours,
        shipping(ours, folder, db) as job,
    ):
        theirs.close_call(a_call(1))
        ours.close_call(a_call(2))
        await until(lambda: job.stats().shipped == 1)
        assert theirs.directory.exists()
    assert await ids_in(db) == [call_id(2)]
