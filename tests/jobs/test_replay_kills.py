"""Replays that are killed between any two of their steps: nothing is lost, nothing comes twice, no mark stays."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.calls import AttemptOpened, Charge, End
from gateway.jobs.replay import forget_gone
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter, Mark
from gateway.storage.ledger import Ledger
from tests.databases import Operator
from tests.fakes.observer import Witness
from tests.jobs.mortal import STEPS
from tests.jobs.test_replay import MIB, replaying, until
from tests.storage.calls import BOOK, START_US, a_call, an_attempt, call_id

PATIENCE = 60.0
"""Seconds that so many processes may take to start on a busy machine."""
TWICE = replace(an_attempt(), charges=(Charge(0, "input", 1, "2", 2), Charge(0, "input", 1, "2", 2)))
"""No database takes two charges for one bucket."""


async def leave_a_dead_journal(folder: Path, first: int) -> str:
    """A call that ended, one that SQL refuses, and one that never ended, numbered in this order; the journal's id."""
    journal = JournalWriter(folder, max_bytes=64 * MIB, segment_bytes=MIB)
    await journal.start()
    journal.close_call(a_call(first))
    journal.close_call(a_call(first + 1, attempts=[TWICE]))
    facts = a_call(first + 2).facts
    journal.open_attempt(AttemptOpened(facts, 0, "openai/gpt-4o-mini", "openai", START_US, BOOK, 1000, "2"))
    await journal.stop()
    return journal.id


def killed(url: str, folders: dict[str, Path]) -> Iterator[int]:
    """How each replay ended; all at once, each of a folder and up to a step of its own."""
    module = [sys.executable, "-m", "tests.jobs.mortal", url]
    processes = [subprocess.Popen([*module, str(folder), last]) for last, folder in folders.items()]
    for process in processes:
        try:
            yield process.wait(PATIENCE)
        finally:
            process.kill()


@pytest.mark.anyio
async def test_a_replay_may_be_killed_after_every_step(
    db: Database, database_url: str, sql: Operator, tmp_path: Path
) -> None:
    """Known faults 29, 52, 53, 59."""
    folders = {last: tmp_path / f"journal-{number}" for number, last in enumerate(STEPS)}
    numbers = {last: 10 * number for number, last in enumerate(STEPS)}
    for last, folder in folders.items():
        await leave_a_dead_journal(folder, numbers[last])
    await Ledger(db, DeadLetters(tmp_path)).append("of another machine", [], Mark(3, 100))
    ends = await asyncio.to_thread(lambda: list(killed(database_url, folders)))
    assert ends == [-signal.SIGKILL] * len(STEPS)
    seen = {last: Witness() for last in STEPS}
    for last, folder in folders.items():
        async with replaying(db, folder, seen[last]):
            await until(lambda folder=folder: [path.name for path in folder.iterdir()] == ["dead-letter.jsonl"])  # type: ignore[misc]
        letters = [json.loads(line) for line in DeadLetters(folder).path.read_text().splitlines()]
        assert [letter["record"]["facts"]["id"] for letter in letters] == [call_id(numbers[last] + 1)], last
    rows = sql.rows('SELECT id, "end" FROM calls ORDER BY id')
    expected = {number: (call_id(number), "completed") for number in numbers.values()}
    expected |= {number + 2: (call_id(number + 2), "interrupted") for number in numbers.values()}
    assert rows == [expected[number] for number in sorted(expected)]
    assert sql.rows("SELECT sum(calls) FROM rollups_hourly") == [(2 * len(STEPS),)]
    assert sql.rows("SELECT journal FROM journal_marks") == [("of another machine",)]
    # Each is counted by whoever gave it its row: those that had it already are not counted again.
    counted = {last: [(record.facts.id, record.end) for record in one.seen] for last, one in seen.items()}
    interrupted = {last: [(call_id(number + 2), End.INTERRUPTED)] for last, number in numbers.items()}
    assert counted == {last: interrupted[last] if last in STEPS[:2] else [] for last in STEPS}


@pytest.mark.anyio
async def test_a_deletion_that_was_cut_short_leaves_no_mark(db: Database, sql: Operator, tmp_path: Path) -> None:
    """What a kill in the middle of deleting leaves: a name, and some of the files."""
    folder = tmp_path / "journal"
    name = await leave_a_dead_journal(folder, 1)
    await Ledger(db, DeadLetters(folder)).append(name, [], Mark(1, 100))
    (folder / name).rename(folder / f".gone-{name}")
    async with replaying(db, folder):
        await until(lambda: list(folder.iterdir()) == [])
    assert sql.count("journal_marks") == sql.count("calls") == 0


@pytest.mark.anyio
async def test_a_mark_that_cannot_be_dropped_is_dropped_later(db: Database, sql: Operator, tmp_path: Path) -> None:
    """The database fails between the calls and the mark: the name waits."""
    folder, ledger = tmp_path / "journal", Ledger(db, DeadLetters(tmp_path))
    name = folder / ".gone-replayed"
    name.mkdir(parents=True)
    await ledger.append("replayed", [], Mark(1, 100))
    sql.run("ALTER TABLE journal_marks RENAME TO gone")
    assert not await forget_gone(ledger, folder)
    assert name.exists()
    sql.run("ALTER TABLE gone RENAME TO journal_marks")
    assert await forget_gone(ledger, folder)
    assert not name.exists()
    assert sql.count("journal_marks") == 0
