"""The journals of a folder as a bystander sees them: whose process lives, and what waits for the ledger.

Reads only: nothing is claimed, moved or deleted. Blocks on the disk: call it in a thread.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from gateway.storage.engine import Database
from gateway.storage.journal_folder import bytes_of, damaged, journals
from gateway.storage.journal_reader import JournalReader, Mark
from gateway.storage.tables import journal_marks


@dataclass(frozen=True, slots=True)
class SurveyedJournal:
    """One journal."""

    id: str
    alive: bool
    """Its process runs; the journal of a dead one waits for the next start."""
    backlog_bytes: int
    """Written and not yet in the ledger, opening frames included."""
    waiting_since_us: int | None
    """When the first call ended that is not in the ledger; null if there is none."""


@dataclass(frozen=True, slots=True)
class Survey:
    """All journals of a folder."""

    journals: tuple[SurveyedJournal, ...]
    """Oldest first."""
    newer: tuple[str, ...]
    """Folders with frames that only a newer release can read."""
    bytes_on_disk: int
    damaged: tuple[str, ...] = ()
    """Folders with what could be read in part only."""

    @property
    def backlog_bytes(self) -> int:
        return sum(journal.backlog_bytes for journal in self.journals)

    @property
    def waiting_since_us(self) -> int | None:
        """When the first call ended that is in no ledger yet; null if there is none."""
        return min((us for journal in self.journals if (us := journal.waiting_since_us) is not None), default=None)

    @property
    def dead(self) -> int:
        """How many belong to dead processes."""
        return sum(not journal.alive for journal in self.journals)


async def marks_of(db: Database) -> dict[str, Mark]:
    """How far each journal is in the ledger. Raises `Fault` (unavailable)."""
    async with db.read() as session:
        return {row.journal: Mark(row.segment, row.offset) for row in await session.all(select(journal_marks))}


def survey(folder: Path, marks: Mapping[str, Mark]) -> Survey:
    """What lies there; a journal without a mark counts from its begin. Raises `OSError`."""
    readable = journals(folder)
    newer = [path.name for path in folder.glob("*.v*") if path not in readable] if folder.is_dir() else []
    found = [_journal(directory, marks.get(directory.name, Mark())) for directory in readable]
    return Survey(tuple(found), tuple(sorted(newer)), bytes_of(folder), tuple(path.name for path in damaged(folder)))


def _journal(directory: Path, mark: Mark) -> SurveyedJournal:
    alive = _is_alive(directory)
    reader = JournalReader(directory, live=alive)
    return SurveyedJournal(directory.name, alive, reader.backlog_bytes(mark), reader.read(mark, limit=1).oldest_us)


def _is_alive(directory: Path) -> bool:
    """Whether somebody holds its lock.

    A lock is asked for and let go at once. Who looks for dead journals in this instant takes this one for a live one
    and leaves it to the next look; that is the price of looking without being told.
    """
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
