"""A database with calls in it, for the commands that show them."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gateway.core.calls import CallRecord
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, upgrade
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger
from tests.fakes.records import COMPLETED


def call(number: int, *, minutes_ago: int = 5, record: CallRecord = COMPLETED, **facts: object) -> CallRecord:
    """A call like `record`, with an id of its own, that ended lately."""
    started_us = time.time_ns() // 1000 - minutes_ago * 60_000_000
    own = replace(record.facts, id=f"0199c0de-0000-7000-8000-{number:012d}", started_us=started_us)
    return replace(record, facts=replace(own, **facts), ended_us=started_us + 262_000)  # type: ignore[arg-type]


def fill(data: Path, records: Sequence[CallRecord]) -> None:
    """Make the database of a data folder and put calls into it."""
    url = f"sqlite+aiosqlite:///{data / 'tollkeeper.db'}"
    upgrade(url)
    asyncio.run(append(data, records))


async def append(data: Path, records: Sequence[CallRecord]) -> None:
    """Put more calls into it."""
    db = Database(f"sqlite+aiosqlite:///{data / 'tollkeeper.db'}")
    try:
        new = await Ledger(db, DeadLetters(data)).append("tests", records, Mark(1, len(records)))
        assert len(new) == len(records)
    finally:
        await db.close()
