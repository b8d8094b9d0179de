"""A journal at its bound, and on a disk that refuses."""

from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from gateway.storage.frames import closing_room
from gateway.storage.journal import JournalReader, JournalWriter, Mark
from tests.storage.journals import MIB, dead, ids, run_call, until, until_refused
from tests.storage.samples import a_record, an_opening, with_texts
from tests.storage.test_segments import disk_ends_at

pytestmark = pytest.mark.anyio


# --- the bound ------------------------------------------------------------------------------------------------------


async def test_a_bound_too_small_to_work_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="too small") as refusal:
        JournalWriter(tmp_path, max_bytes=MIB - 1)
    assert refusal.value.kind is Kind.INVALID


async def test_an_unknown_way_to_sync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="sometimes"):
        JournalWriter(tmp_path, sync="sometimes", max_bytes=MIB)


async def test_at_the_bound_calls_are_refused_and_taken_again_when_there_is_room(tmp_path: Path) -> None:
    """Known fault 52, 56: with the database away nothing is dropped, and nothing grows without end."""
    journal = JournalWriter(tmp_path, max_bytes=2 * MIB)
    await journal.start()
    done, refusal = until_refused(lambda call: run_call(journal, call))
    assert refusal.kind is Kind.UNAVAILABLE
    assert refusal.retry_after
    assert "bound" in refusal.message
    stats = journal.stats()
    assert stats.bytes_on_disk <= stats.max_bytes == 2 * MIB
    assert stats.trouble == refusal.message
    assert len(done) > 1000, "most of the bound is used"

    reader = JournalReader(journal.directory)
    batch = reader.read(Mark(), limit=1_000_000)
    assert ids(batch) == done
    reader.delete_before(batch.mark)
    await until(lambda: journal.stats().trouble is None)
    last = run_call(journal, "again")
    batch = reader.read(batch.mark)
    assert batch.records == (last,)
    await journal.stop(batch.mark)


async def test_journals_of_the_dead_count_towards_the_bound(tmp_path: Path) -> None:
    """Else a process that is restarted again and again with the database away fills the disk."""
    (tmp_path / "dead").mkdir()
    segment = tmp_path / "dead" / "00000001.seg"
    segment.write_bytes(bytes(2 * MIB))
    journal = JournalWriter(tmp_path, max_bytes=2 * MIB)
    await journal.start()
    with pytest.raises(Fault):
        journal.reserve("c")
    segment.unlink()
    await until(lambda: journal.stats().trouble is None)
    journal.reserve("c")
    await journal.stop()


async def test_calls_beyond_the_room_are_refused_while_those_inside_end(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, max_bytes=MIB)
    await journal.start()
    opened, _ = until_refused(lambda call: journal.open_attempt(an_opening(call)))
    for call in opened:
        journal.close_call(with_texts(a_record(call), "x" * 10_000))
    batch = JournalReader(journal.directory).read(Mark(), limit=10_000)
    assert ids(batch) == opened
    await journal.stop()


# --- a disk that fails ----------------------------------------------------------------------------------------------


async def test_a_closing_frame_that_the_disk_refuses_is_told_kept_and_written_later(journal: JournalWriter) -> None:
    run_call(journal, "before")
    journal.open_attempt(an_opening("a"))
    journal.open_attempt(an_opening("b"))
    with disk_ends_at(10):
        with pytest.raises(Fault) as failure:
            journal.close_call(a_record("a"))
        assert failure.value.kind is Kind.UNAVAILABLE
        stats = journal.stats()
        assert (stats.unwritten_calls, stats.open_calls) == (1, 2)
        assert stats.trouble == failure.value.message
        with pytest.raises(Fault, match="cannot be written"):
            journal.reserve("new")
        with pytest.raises(Fault, match="cannot be written"):
            journal.open_attempt(an_opening("b", 1))
    await until(lambda: journal.stats().trouble is None)
    assert (journal.stats().unwritten_calls, journal.stats().open_calls) == (0, 1)
    journal.close_call(a_record("b"))
    run_call(journal, "after")
    batch = JournalReader(journal.directory).read(Mark())
    assert ids(batch) == ["before", "a", "b", "after"]
    assert journal.stats().reserved_bytes == 0


async def test_an_opening_frame_that_the_disk_refuses_opens_nothing(journal: JournalWriter) -> None:
    journal.reserve("a")
    with disk_ends_at(10), pytest.raises(Fault, match="cannot be written"):
        journal.open_attempt(an_opening("a"))
    assert journal.stats().reserved_bytes == closing_room(0)
    journal.close_call(a_record("a", attempts=0))
    await until(lambda: journal.stats().trouble is None)
    assert ids(JournalReader(journal.directory).read(Mark())) == ["a"]


async def test_a_process_that_dies_before_the_disk_recovers_leaves_an_interrupted_call(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, max_bytes=16 * MIB)
    await journal.start()
    journal.open_attempt(an_opening("a"))
    with disk_ends_at(10):
        with pytest.raises(Fault):
            journal.close_call(a_record("a"))
        copy = tmp_path / "copy"
        copy.mkdir()
        segments = {path.name: path.read_bytes() for path in journal.directory.glob("*.seg")}
    for name, data in segments.items():
        (copy / name).write_bytes(data)
    with dead(copy) as claimed:
        assert claimed.reader.read(Mark()).records == ()
        assert claimed.reader.interrupted() == ((an_opening("a"),),)
    await journal.stop()


async def test_a_folder_that_cannot_be_made_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = JournalWriter(tmp_path / "file" / "journal", max_bytes=MIB)
    with pytest.raises(Fault, match="cannot be made") as failure:
        await journal.start()
    assert failure.value.kind is Kind.UNAVAILABLE
    with pytest.raises(Fault, match="not open"):
        journal.reserve("c")
