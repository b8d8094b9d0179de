"""Journals as a bystander sees them."""

from pathlib import Path

import pytest

from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter, Mark
from gateway.storage.journal_folder import Lock
from gateway.storage.journal_survey import marks_of, survey
from gateway.storage.ledger import Ledger
from tests.storage.journals import MIB, run_call


def test_where_nothing_was_ever_written_there_is_nothing(tmp_path: Path) -> None:
    seen = survey(tmp_path / "journal", {})
    assert (seen.journals, seen.newer, seen.dead, seen.backlog_bytes, seen.waiting_since_us) == ((), (), 0, 0, None)


@pytest.mark.anyio
async def test_what_waits_is_seen_and_left_where_it_is(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, max_bytes=8 * MIB, segment_bytes=MIB)
    await journal.start()
    record = run_call(journal, "a")
    run_call(journal, "b")
    before = {path: path.read_bytes() for path in journal.directory.iterdir()}
    (seen,) = survey(tmp_path, {}).journals
    assert (seen.id, seen.alive, seen.waiting_since_us) == (journal.id, True, record.ended_us)
    assert seen.backlog_bytes > 1000
    assert {path: path.read_bytes() for path in journal.directory.iterdir()} == before
    await journal.stop()
    dead = survey(tmp_path, {})
    assert (dead.dead, dead.journals[0].alive, dead.backlog_bytes) == (1, False, seen.backlog_bytes)
    Lock(journal.directory).release()  # nobody was locked out


@pytest.mark.anyio
async def test_what_the_ledger_has_waits_no_more(tmp_path: Path, db: Database) -> None:
    journal = JournalWriter(tmp_path, max_bytes=8 * MIB, segment_bytes=MIB)
    await journal.start()
    run_call(journal, "a")
    end = survey(tmp_path, {}).backlog_bytes
    await Ledger(db, DeadLetters(tmp_path)).append(journal.id, [], Mark(1, end))
    marks = await marks_of(db)
    assert marks == {journal.id: Mark(1, end)}
    assert (survey(tmp_path, marks).backlog_bytes, survey(tmp_path, marks).waiting_since_us) == (0, None)
    await journal.stop()


def test_what_only_a_newer_release_reads_is_named(tmp_path: Path) -> None:
    (tmp_path / "0193-ab.v99").mkdir()
    seen = survey(tmp_path, {})
    assert (seen.newer, seen.journals) == (("0193-ab.v99",), ())


def test_a_journal_without_a_lock_is_nobody_s(tmp_path: Path) -> None:
    (tmp_path / "0193-ab").mkdir()
    assert survey(tmp_path, {}).dead == 1
