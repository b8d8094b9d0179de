"""What memory keeps of the journal is what the files say."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.storage.journal import JournalReader, JournalWriter, Mark
from gateway.storage.journal_tail import Tail
from tests.fakes.records import COMPLETED
from tests.storage.samples import a_record


def test_calls_come_in_batches_and_are_let_go_when_passed() -> None:
    tail = Tail()
    for n in range(5):
        tail.add(Mark(1, n + 1), COMPLETED)
    first = tail.after(Mark(), 3)
    assert first is not None
    assert (len(first.records), first.mark) == (3, Mark(1, 3))
    rest = tail.after(first.mark, 3)
    assert rest is not None
    assert (len(rest.records), rest.mark) == (2, Mark(1, 5))
    assert tail.after(Mark(), 3) is None


def test_what_is_not_kept_is_not_told() -> None:
    tail = Tail(kept=2)
    for n in range(5):
        tail.add(Mark(1, n + 1), COMPLETED)
    assert tail.after(Mark(1, 2), 9) is None
    kept = tail.after(Mark(1, 3), 9)
    assert kept is not None
    assert len(kept.records) == 2
    tail.forget(Mark(2, 0))
    assert tail.after(Mark(1, 5), 9) is None
    empty = tail.after(Mark(2, 0), 9)
    assert empty is not None
    assert (empty.records, empty.mark) == ((), Mark(2, 0))


def test_when_the_first_call_ended_that_waits_is_known_as_long_as_it_is_kept() -> None:
    tail = Tail(kept=3)
    assert tail.first_us(Mark()) is None
    for n in range(5):
        tail.add(Mark(1, n + 1), replace(COMPLETED, ended_us=100 + n))
    assert [tail.first_us(Mark(1, n)) for n in range(6)] == [None, None, 102, 103, 104, None]
    tail.forget(Mark(2, 0))
    assert tail.first_us(Mark(1, 2)) is None


@pytest.mark.anyio
async def test_memory_and_files_agree(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, max_bytes=4 * 1024 * 1024, segment_bytes=256 * 1024)
    await writer.start()
    reader = JournalReader(writer.directory)
    mark = Mark()
    seen = 0
    for n in range(600):
        record = a_record(f"0193f0c0-0000-7000-8000-{n:012d}")
        writer.reserve(record.facts.id)
        writer.close_call(record)
        if n % 7 == 0:
            from_files = reader.read(mark, 1000)
            from_memory = writer.recent(mark, 1000)
            assert from_memory is not None
            assert from_memory.records == from_files.records
            assert reader.read(from_memory.mark, 1000).records == ()
            assert writer.backlog_bytes(mark) == reader.backlog_bytes(mark) > 0
            assert writer.waiting_since_us(mark) == from_files.records[0].ended_us
            mark = from_memory.mark
            assert (writer.backlog_bytes(mark), writer.waiting_since_us(mark)) == (0, None)
            seen += len(from_memory.records)
    assert seen > 500
    assert mark.segment > 1
    await writer.stop(mark)
