"""What every journal does, in memory and on disk alike (promises on the row)."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.core.calls import CallRecord
from gateway.core.errors import Fault, Kind
from gateway.ports import Journal
from gateway.storage.journal import JournalReader, JournalWriter, Mark
from tests.fakes.journal import MemoryJournal
from tests.storage.samples import a_record, an_opening

pytestmark = pytest.mark.anyio


@dataclass
class Subject:
    """A small journal, and the ledger's side of it."""

    journal: Journal
    take: Callable[[], list[CallRecord]]
    """The calls that ended since the last time; their room may be used again."""


@pytest.fixture(params=["memory", "disk", "disk, every call synced"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "memory":
        memory = MemoryJournal(room=20)
        yield Subject(memory, memory.take)
        return
    sync = "every_call" if "every" in request.param else "interval"
    disk = JournalWriter(tmp_path, sync=sync, max_bytes=1024 * 1024)
    await disk.start()
    reader, mark = JournalReader(disk.directory), Mark()

    def take() -> list[CallRecord]:
        nonlocal mark
        batch = reader.read(mark, limit=1_000_000)
        mark = batch.mark
        reader.delete_before(mark)
        return list(batch.records)

    yield Subject(disk, take)
    await disk.stop(mark)


def fill(journal: Journal) -> list[str]:
    """Reserve until there is no room; the calls that have some."""
    reserved: list[str] = []

    def for_ever() -> None:
        for number in range(100_000):
            journal.reserve(f"call-{number}")
            reserved.append(f"call-{number}")

    with pytest.raises(Fault) as refusal:
        for_ever()
    assert refusal.value.kind is Kind.UNAVAILABLE
    assert refusal.value.retry_after
    return reserved


async def test_a_call_comes_out_as_it_went_in(subject: Subject) -> None:
    record = a_record("one", attempts=2)
    subject.journal.reserve("one")
    for index in range(2):
        subject.journal.open_attempt(an_opening("one", index))
    subject.journal.close_call(record)
    await subject.journal.synced()
    assert subject.take() == [record]
    assert subject.take() == []


async def test_a_call_without_an_attempt_leaves_a_record_too(subject: Subject) -> None:
    subject.journal.reserve("refused")
    subject.journal.close_call(a_record("refused", attempts=0))
    assert subject.take() == [a_record("refused", attempts=0)]


async def test_an_open_call_is_no_ended_call(subject: Subject) -> None:
    subject.journal.reserve("open")
    subject.journal.open_attempt(an_opening("open"))
    await subject.journal.synced()
    assert subject.take() == []


async def test_records_come_in_the_order_their_calls_ended(subject: Subject) -> None:
    for call in ("first", "second", "third"):
        subject.journal.reserve(call)
        subject.journal.open_attempt(an_opening(call))
    for call in ("second", "third", "first"):
        subject.journal.close_call(a_record(call))
    assert [record.facts.id for record in subject.take()] == ["second", "third", "first"]


async def test_a_call_that_never_reserved_may_still_open_and_close(subject: Subject) -> None:
    subject.journal.open_attempt(an_opening("opened"))
    subject.journal.close_call(a_record("opened"))
    subject.journal.close_call(a_record("refused", attempts=0))
    assert len(subject.take()) == 2


async def test_without_room_no_call_begins_but_every_call_that_has_some_ends(subject: Subject) -> None:
    """Known fault 56: the spend buffer had no bound."""
    reserved = fill(subject.journal)
    with pytest.raises(Fault):
        subject.journal.open_attempt(an_opening("one more"))
    with pytest.raises(Fault):
        subject.journal.close_call(a_record("one more", attempts=0))
    for call in reserved:
        subject.journal.close_call(a_record(call, attempts=0))
    assert [record.facts.id for record in subject.take()] == reserved


async def test_there_is_room_again_once_the_ended_calls_are_taken(subject: Subject) -> None:
    for call in fill(subject.journal):
        subject.journal.close_call(a_record(call, attempts=0))
    taken = len(subject.take())
    assert taken >= 20
    for call in fill(subject.journal):
        subject.journal.close_call(a_record(call, attempts=0))
    assert len(subject.take()) >= taken // 2


async def test_reserving_twice_takes_room_once(subject: Subject) -> None:
    reserved = fill(subject.journal)
    subject.journal.reserve(reserved[0])
    subject.journal.close_call(a_record(reserved[0], attempts=0))
    assert len(subject.take()) == 1
