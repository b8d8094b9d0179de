"""Replay: a dead journal that cannot be replayed yet waits, and holds nobody up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.jobs.replay import Replay
from gateway.jobs.shipping import Counts
from gateway.ports import Observer
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter, claim_dead
from gateway.storage.journal_folder import bytes_of
from gateway.storage.ledger import Ledger
from tests.databases import Operator
from tests.storage.calls import a_call

MIB = 1024 * 1024
PATIENCE = 30.0
"""Seconds that a busy machine may take; none of it is waited for in vain."""


async def leave_a_dead_journal(folder: Path, number: int = 1) -> None:
    journal = JournalWriter(folder, max_bytes=64 * MIB, segment_bytes=MIB)
    await journal.start()
    journal.close_call(a_call(number))
    await journal.stop()


@asynccontextmanager
async def replaying(db: Database, folder: Path, *observers: Observer) -> AsyncIterator[tuple[Replay, Counts]]:
    """A process that replays what others leave in a folder while the block runs."""
    counts, stopping = Counts(), asyncio.Event()
    replay = Replay(Ledger(db, DeadLetters(folder)), folder, folder / "own", counts, observers)
    running = asyncio.create_task(replay.run(stopping))
    try:
        yield replay, counts
    finally:
        stopping.set()
        async with asyncio.timeout(PATIENCE):
            await running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.anyio
async def test_without_dead_journals_there_is_nothing_to_do(db: Database, tmp_path: Path) -> None:
    async with replaying(db, tmp_path / "none") as (replay, _):
        await asyncio.sleep(0)
        assert (replay.journals_left, replay.last_error) == (0, None)


@pytest.mark.anyio
async def test_a_process_that_dies_later_is_replayed_too(db: Database, tmp_path: Path) -> None:
    """Known faults 29, 59: another worker's calls wait for nobody's restart."""
    folder = tmp_path / "journal"
    async with replaying(db, folder) as (_, counts):
        for number in (1, 2):
            await leave_a_dead_journal(folder, number)
            await until(lambda number=number: counts.shipped == number)  # type: ignore[misc]
            await until(lambda: list(folder.iterdir()) == [])


@pytest.mark.anyio
async def test_a_journal_is_replayed_by_one_of_many(db: Database, tmp_path: Path) -> None:
    """Two that look at once: the lock decides, and no call comes twice."""
    folder = tmp_path / "journal"
    async with replaying(db, folder) as (_, one), replaying(db, folder) as (_, two):
        for number in range(6):
            await leave_a_dead_journal(folder, number)
        await until(lambda: one.shipped + two.shipped == 6 and list(folder.iterdir()) == [])


@pytest.mark.anyio
async def test_a_journal_that_cannot_be_replayed_is_kept_and_released(
    db: Database, sql: Operator, tmp_path: Path
) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    await leave_a_dead_journal(folder)
    counts, stopping = Counts(), asyncio.Event()
    sql.run("ALTER TABLE calls RENAME TO gone")
    replay = Replay(Ledger(db, DeadLetters(folder)), folder, tmp_path / "own", counts)
    running = asyncio.create_task(replay.run(stopping))
    await until(lambda: replay.last_error is not None)
    assert (replay.journals_left, replay.waiting_since_us) == (1, a_call(1).ended_us)
    assert 0 < bytes_of(folder) < MIB, "a journal that waits has no more room than it needs"
    assert replay.backlog_bytes > 0
    stopping.set()
    await running
    assert counts.shipped == 0
    (journal,) = claim_dead(folder)
    journal.release()
