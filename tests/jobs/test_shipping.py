"""A shipment: batch after batch from a journal to the ledger, the mark never ahead of what is committed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.errors import Fault
from gateway.jobs.shipping import BATCH, READ, Counts, Recent, Shipment
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalReader, JournalWriter, Mark
from gateway.storage.ledger import Ledger
from tests.databases import Operator
from tests.storage.calls import a_call

MIB = 1024 * 1024


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    (tmp_path / "journal").mkdir()
    journal = JournalWriter(tmp_path / "journal", max_bytes=64 * MIB, segment_bytes=MIB)
    await journal.start()
    yield journal
    await journal.stop()


def shipment_of(journal: JournalWriter, db: Database, counts: Counts, recent: Recent | None = None) -> Shipment:
    ledger = Ledger(db, DeadLetters(journal.directory.parent))
    return Shipment(ledger, journal.id, JournalReader(journal.directory), Mark(), counts, recent)


def ages(shipment: Shipment, journal: JournalWriter) -> tuple[bool, int | None]:
    """Whether something waits, and since when."""
    return journal.backlog_bytes(shipment.mark) > 0, shipment.waiting_since_us


@pytest.mark.anyio
async def test_a_full_batch_says_that_there_may_be_more(journal: JournalWriter, db: Database) -> None:
    counts = Counts()
    shipment = shipment_of(journal, db, counts)
    assert not await shipment.next_batch()
    for number in range(READ + 1):
        journal.close_call(a_call(number))
    assert ages(shipment, journal) == (True, None)
    assert await shipment.next_batch()
    assert ages(shipment, journal) == (True, a_call(READ - 1).ended_us), "what is left ended after it"
    assert not await shipment.next_batch()
    assert counts.shipped == READ + 1
    assert ages(shipment, journal) == (False, None)


@pytest.mark.anyio
async def test_more_goes_at_once_from_memory(journal: JournalWriter, db: Database, sql: Operator) -> None:
    counts = Counts()
    shipment = shipment_of(journal, db, counts, journal.recent)
    for number in range(BATCH + 1):
        journal.close_call(a_call(number))
    assert await shipment.next_batch()
    assert counts.shipped == BATCH
    assert not await shipment.next_batch()
    assert (sql.count("calls"), sql.one("SELECT sum(calls) FROM rollups_hourly")) == (BATCH + 1, BATCH + 1)


@pytest.mark.anyio
async def test_the_mark_stays_until_the_commit(journal: JournalWriter, db: Database, sql: Operator) -> None:
    """Known fault 53: nothing leaves the queue before the commit."""
    counts = Counts()
    shipment = shipment_of(journal, db, counts)
    journal.close_call(a_call(1))
    sql.run("ALTER TABLE charges RENAME TO gone")
    with pytest.raises(Fault):
        await shipment.next_batch()
    assert (shipment.mark, shipment.waiting_since_us) == (Mark(), a_call(1).ended_us)
    sql.run("ALTER TABLE gone RENAME TO charges")
    await shipment.next_batch()
    assert (shipment.mark > Mark(), shipment.waiting_since_us, counts.shipped) == (True, None, 1)
