"""The ledger job over a database and a clock that behave badly. What is away or broken is in `test_ledger`."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.jobs.ledger import LedgerJob
from gateway.jobs.scheduler import Scheduler
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, upgrade
from gateway.storage.ledger import Ledger
from tests.databases import Operator, new_database, opened, operator
from tests.jobs.test_ledger import ids_in, shipping, until, writing
from tests.postgres_server import PostgresServer
from tests.storage.calls import HOUR_US, START_US, a_call, call_id
from tests.storage.test_segments import disk_ends_at

pytestmark = pytest.mark.anyio

DAY_US = 24 * HOUR_US


async def test_a_database_whose_disk_is_full_takes_everything_when_there_is_room(tmp_path: Path) -> None:
    """Known faults 52, 55: a write that fails for lack of room refuses no row for good."""
    folder = tmp_path / "journal"
    async with (
        opened(new_database(tmp_path)) as db,
        writing(folder) as journal,
        shipping(journal, folder, db) as job,
    ):
        journal.close_call(a_call(0))
        await until(lambda: job.stats().shipped == 1)
        with disk_ends_at((tmp_path / "tollkeeper.db-wal").stat().st_size + 100):
            for number in range(1, 4):
                journal.close_call(a_call(number))
            await until(lambda: job.stats().last_error is not None)
            assert job.stats().backlog_bytes > 0
        await until(lambda: job.stats().shipped == 4)
        assert (job.stats().last_error, job.stats().dead_letters) == (None, 0)
        assert await ids_in(db) == [call_id(number) for number in range(4)]


async def test_a_database_that_is_made_read_only_and_back_needs_no_restart(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Known faults 52, 55: hosts do so when a disk fills up; who connected meanwhile stays read-only till then."""
    url, folder = postgres.new_database(), tmp_path / "journal"
    name = url.rpartition("/")[2]
    upgrade(url)
    postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only TO on")
    async with opened(url) as db, writing(folder) as journal, shipping(journal, folder, db) as job:
        journal.close_call(a_call(1))
        await until(lambda: job.stats().last_error is not None)
        assert "read-only" in str(job.stats().last_error)
        postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only TO off")
        await until(lambda: job.stats().shipped == 1)
        # Another connection of before may be met once more.
        await until(lambda: job.stats().last_error is None)
        assert job.stats().dead_letters == 0
    postgres.drop(url)


async def test_another_writer_that_holds_on_costs_time_and_nothing_else(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    """Known fault 54: who waits for a lock has lost nothing when it is there."""
    folder = tmp_path / "journal"
    begin = "BEGIN IMMEDIATE" if "sqlite" in database_url else "BEGIN; LOCK TABLE rollups_hourly"
    async with writing(folder) as journal, shipping(journal, folder, db) as job:
        with operator(database_url) as other:
            other.run(begin)
            for number in range(3):
                journal.close_call(a_call(number))
            await until(lambda: job.stats().oldest_age_seconds > 0)
            assert await ids_in(db) == []
            other.run("ROLLBACK")
        await until(lambda: job.stats().shipped == 3)
    assert await ids_in(db) == [call_id(number) for number in range(3)]


async def test_a_clock_that_jumps_back_and_forward_loses_nothing(db: Database, sql: Operator, tmp_path: Path) -> None:
    """Each call belongs to the hour of its own start; the lag is never negative; order is that of the ends."""
    folder = tmp_path / "journal"
    starts = [START_US, START_US - DAY_US, START_US + 365 * DAY_US, START_US + 1, START_US - 10 * 365 * DAY_US]
    records = [a_call(number, at_us=at_us) for number, at_us in enumerate(starts)]
    records.append(replace(a_call(5), ended_us=START_US - HOUR_US))  # ended before it began
    clock = itertools.cycle([START_US, 0, START_US + DAY_US])
    async with writing(folder) as journal:
        job = LedgerJob(journal, folder, Ledger(db, DeadLetters(folder)), lambda: next(clock))
        scheduler = Scheduler(first_delay=0.01)
        scheduler.add("ledger", job.run)
        await scheduler.start()
        for record in records:
            journal.close_call(record)
            assert job.stats().oldest_age_seconds >= 0
        await until(lambda: job.stats().shipped == len(records))
        await scheduler.stop()
        await journal.stop(job.mark)
        await job.forget()
    assert list(folder.iterdir()) == []
    rows = sql.rows("SELECT id, started_us FROM calls ORDER BY seq")
    assert rows == [(record.facts.id, record.facts.started_us) for record in records]
    hours = sql.rows("SELECT hour_us, calls FROM rollups_hourly ORDER BY hour_us")
    expected = sorted({at_us // HOUR_US * HOUR_US for at_us in starts})
    assert [hour for hour, _ in hours] == expected
    assert sum(calls for _, calls in hours) == len(records)
