"""Who changed what, and when: one entry per administrative change, in the change's own transaction.

An entry never holds a secret or a digest; its writer leaves them out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, insert

from gateway.storage.engine import Database, WriteSession
from gateway.storage.pages import Page, newest_first
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
        return await newest_first(self._db, audit_entries.c.id, _entry, limit, cursor)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(row.at_us, row.actor, row.action, row.subject, json.loads(row.details))
