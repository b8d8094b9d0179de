"""Who changed what, and when: one entry per administrative change, in the change's own transaction.

An entry never holds a secret or a digest; its writer leaves them out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, insert, select

from gateway.storage.engine import Database, WriteSession
from gateway.storage.pages import Page, cut_page, read_cursor, write_cursor
from gateway.storage.tables import audit_entries


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change."""

    at_us: int
    actor: str
    """Who asked for it: `cli`, `admin`, …"""
    action: str
    """Noun and verb, `key.create`."""
    subject: str
    """The id of what was changed."""
    details: Mapping[str, object] = field(default_factory=dict)
    """What was set, JSON values by field name."""


async def record_change(session: WriteSession, entry: AuditEntry) -> None:
    """Write the entry beside the change it tells of."""
    await session.run(
        insert(audit_entries).values(
            at_us=entry.at_us,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            details=json.dumps(entry.details, ensure_ascii=False, sort_keys=True),
        )
    )


class AuditLog:
    """The entries, to be read."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, limit: int = 50, cursor: str | None = None) -> Page[AuditEntry]:
        """Newest first. Raises `Fault` (invalid) on a foreign cursor."""
        statement = select(audit_entries).order_by(audit_entries.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            (last,) = read_cursor(cursor, 1)
            statement = statement.where(audit_entries.c.id < last)
        async with self._db.read() as session:
            rows, more = cut_page(await session.all(statement), limit)
        return Page([_entry(row) for row in rows], write_cursor(rows[-1].id) if more else None)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(row.at_us, row.actor, row.action, row.subject, json.loads(row.details))
