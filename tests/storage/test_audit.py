"""The audit log: entries as they were written, newest first, page by page."""

import pytest

from gateway.storage.audit import AuditEntry, AuditLog, record_change
from gateway.storage.engine import Database


@pytest.mark.anyio
async def test_entries_come_back_newest_first(db: Database) -> None:
    entries = [AuditEntry(number, "cli", "key.create", f"key-{number}", {"name": "ä"}) for number in range(5)]
    for entry in entries:
        async with db.write() as session:
            await record_change(session, entry)
    first = await AuditLog(db).page(3)
    second = await AuditLog(db).page(3, first.next)
    assert first.items + second.items == entries[::-1]
    assert second.next is None


@pytest.mark.anyio
async def test_an_entry_goes_with_its_change(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await _change_that_fails(db)
    assert (await AuditLog(db).page()).items == []


async def _change_that_fails(db: Database) -> None:
    async with db.write() as session:
        await record_change(session, AuditEntry(1, "cli", "key.create", "key-1"))
        raise ZeroDivisionError
