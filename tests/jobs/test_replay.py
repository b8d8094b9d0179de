"""Replay: a dead journal that cannot be replayed yet waits, and holds nobody up."""

import asyncio
from pathlib import Path

import pytest

from gateway.jobs.replay import Replay
from gateway.jobs.shipping import Counts
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter, claim_dead
from gateway.storage.ledger import Ledger
from tests.databases import Operator
from tests.storage.calls import a_call

MIB = 1024 * 1024


async def leave_a_dead_journal(folder: Path) -> None:
    journal = JournalWriter(folder, max_bytes=8 * MIB, segment_bytes=MIB)
    await journal.start()
    journal.close_call(a_call(1))
    await journal.stop()


@pytest.mark.anyio
async def test_without_dead_journals_there_is_nothing_to_do(db: Database, tmp_path: Path) -> None:
    replay = Replay(Ledger(db, DeadLetters(tmp_path)), tmp_path / "none", tmp_path / "own", Counts())
    async with asyncio.timeout(5):
        await replay.run(asyncio.Event())
    assert replay.journals_left == 0


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
    async with asyncio.timeout(5):
        while replay.last_error is None:
            await asyncio.sleep(0.005)
    assert replay.journals_left == 1
    stopping.set()
    await running
    assert counts.shipped == 0
    (journal,) = claim_dead(folder, None)
    journal.release()
