"""The ledger job over a database that is slow and fails at nothing: the state says how far behind it is, always."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.calls import CallRecord
from gateway.jobs.ledger import LATE, LedgerJob
from gateway.jobs.scheduler import Scheduler
from gateway.storage.clock import wall_clock_us
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from tests.databases import new_database, new_postgres, opened, operator
from tests.jobs.test_ledger import ids_in, opening, shipping, until, writing
from tests.postgres_server import PostgresServer
from tests.slow_line import slow_line
from tests.storage.calls import START_US, a_call, call_id

pytestmark = pytest.mark.anyio

SECOND_US = 1_000_000


class PatientLedger(Ledger):
    """Takes a batch when it is let through, however long that is."""

    def __init__(self, db: Database, folder: Path) -> None:
        super().__init__(db, DeadLetters(folder))
        self.asked: list[int] = []
        """How many calls each batch had that came to be taken."""
        self.let_through = asyncio.Semaphore(0)

    async def append(
        self, journal_id: str, records: Sequence[CallRecord], mark: Mark, *, last: bool = False
    ) -> Sequence[CallRecord]:
        self.asked.append(len(records))
        await self.let_through.acquire()
        return await super().append(journal_id, records, mark, last=last)


def ended(number: int, at_us: int) -> CallRecord:
    return replace(a_call(number), ended_us=at_us)


def is_well(job: LedgerJob) -> bool:
    stats = job.stats()
    return (stats.backlog_bytes, stats.oldest_age_seconds, stats.last_error) == (0, 0.0, None)


async def test_bytes_and_age_are_told_while_a_batch_is_on_its_way(db: Database, tmp_path: Path) -> None:
    """Known fault 29: nothing fails, so that no error told of the calls that wait."""
    folder, clock = tmp_path / "journal", [START_US]
    ledger = PatientLedger(db, folder)
    async with writing(folder) as journal:
        job = LedgerJob(journal, folder, ledger, lambda: clock[0])

        def lag() -> tuple[int, float, float, str | None]:
            stats = job.stats()
            return stats.backlog_bytes, stats.oldest_age_seconds, stats.own_age_seconds, stats.last_error

        scheduler = Scheduler()
        scheduler.add("ledger", job.run)
        assert lag() == (0, 0.0, 0.0, None)
        journal.open_attempt(opening(a_call(9)))
        assert lag() == (0, 0.0, 0.0, None), "what has not ended cannot be in the ledger"
        journal.close_call(ended(1, START_US))
        first = job.stats().backlog_bytes
        assert first > 0, "told before the job has looked"
        await scheduler.start()
        await until(lambda: ledger.asked == [1])
        clock[0] += 10 * SECOND_US
        assert lag() == (first, 10.0, 10.0, None)
        journal.close_call(ended(2, clock[0]))
        journal.close_call(ended(3, clock[0] + 3 * SECOND_US))
        clock[0] += 5 * SECOND_US
        both = job.stats().backlog_bytes
        assert lag() == (both, 15.0, 15.0, None)
        assert both > first
        ledger.let_through.release()
        await until(lambda: ledger.asked == [1, 2])
        assert job.stats().shipped == 1
        assert lag() == (both - first, 5.0, 5.0, None)
        ledger.let_through.release()
        await until(lambda: job.stats().shipped == 3)
        assert lag() == (0, 0.0, 0.0, None)
        await scheduler.stop()


async def test_a_lag_that_memory_does_not_hold_is_told_too(db: Database, tmp_path: Path) -> None:
    """More calls end during one batch than are kept in memory: the files have them."""
    folder, clock = tmp_path / "journal", START_US + 100 * SECOND_US
    ledger = PatientLedger(db, folder)
    async with writing(folder) as journal:
        job = LedgerJob(journal, folder, ledger, lambda: clock)
        scheduler = Scheduler()
        scheduler.add("ledger", job.run)
        await scheduler.start()
        journal.close_call(ended(0, START_US))
        await until(lambda: ledger.asked == [1])
        for number in range(1, 8100):
            journal.close_call(ended(number, START_US + 10 * SECOND_US + number))
        ledger.let_through.release()
        await until(lambda: len(ledger.asked) == 2)
        assert job.stats().own_age_seconds == pytest.approx(90, abs=0.1)
        for batches in range(3, 7):
            ledger.let_through.release()
            await until(lambda batches=batches: len(ledger.asked) == batches)  # type: ignore[misc]
            assert job.stats().own_age_seconds == pytest.approx(90, abs=0.1)
            assert job.stats().backlog_bytes > 0
        for _ in range(10):
            ledger.let_through.release()
        await until(lambda: job.stats().shipped == 8100)
        stats = job.stats()
        assert (stats.backlog_bytes, stats.oldest_age_seconds) == (0, 0.0)
        await scheduler.stop()


async def test_a_dead_journal_that_waits_counts_too(db: Database, tmp_path: Path) -> None:
    """Its calls are missing in the figures as any others; that the ledger is slow it does not mean."""
    folder, clock = tmp_path / "journal", START_US + 60 * SECOND_US
    async with writing(folder) as dead:
        dead.close_call(ended(1, START_US))
    size = len((folder / dead.id / "00000001.seg").read_bytes().rstrip(b"\0"))
    ledger = PatientLedger(db, folder)
    async with writing(folder) as journal:
        job = LedgerJob(journal, folder, ledger, lambda: clock)
        scheduler = Scheduler()
        scheduler.add("ledger", job.run)
        await scheduler.start()
        await until(lambda: ledger.asked == [1])
        stats = job.stats()
        assert (stats.backlog_bytes, stats.oldest_age_seconds, stats.own_age_seconds) == (size, 60.0, 0.0)
        ledger.let_through.release()  # its ended call
        ledger.let_through.release()  # those that never ended
        await until(lambda: job.stats().dead_journals == 0)
        assert (job.stats().backlog_bytes, job.stats().oldest_age_seconds) == (0, 0.0)
        await scheduler.stop()


async def test_a_file_that_another_writer_holds_for_a_while(tmp_path: Path) -> None:
    """Known fault 54: for a shorter time than makes it an error, and all that time the state tells of it."""
    url, folder = new_database(tmp_path), tmp_path / "journal"
    async with opened(url) as db, writing(folder) as journal, shipping(journal, folder, db) as job:
        with operator(url) as other:
            other.run("BEGIN IMMEDIATE")
            for number in range(3):
                journal.close_call(ended(number, wall_clock_us()))
            held = job.stats().backlog_bytes
            assert held > 0
            await until(lambda: job.stats().own_age_seconds > 0.5)
            assert (job.stats().backlog_bytes, job.stats().shipped) == (held, 0)
            other.run("ROLLBACK")
        await until(lambda: job.stats().shipped == 3 and is_well(job))
        assert await ids_in(db) == [call_id(number) for number in range(3)]


async def test_a_server_that_answers_late(postgres: PostgresServer, tmp_path: Path) -> None:
    """Every statement succeeds, a fifth of a second late: some seconds for a batch, and nothing ever fails."""
    folder = tmp_path / "journal"
    with new_postgres(postgres) as url, slow_line(postgres.port) as line:
        books = url.replace(f":{postgres.port}/", f":{line.port}/")
        async with opened(books) as db, writing(folder) as journal, shipping(journal, folder, db) as job:
            journal.close_call(ended(0, wall_clock_us()))
            await until(lambda: job.stats().shipped == 1)
            line.delay = 0.2
            numbers = iter(range(1, 10_000))
            async with asyncio.timeout(60):
                while job.stats().own_age_seconds <= LATE:
                    journal.close_call(ended(next(numbers), wall_clock_us()))
                    assert job.stats().last_error is None
                    await asyncio.sleep(0.05)
            assert job.stats().backlog_bytes > 0
            line.delay = 0.0
            count = next(numbers)
            await until(lambda: job.stats().shipped == count and is_well(job))
            assert await ids_in(db) == [call_id(number) for number in range(count)]
