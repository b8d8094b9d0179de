"""One journal on its way into the ledger: a batch read, a batch committed, the mark moved.

Whose journal it is, and when to go on, is up to the jobs that use it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gateway.storage.journal import Batch, JournalReader, Mark
from gateway.storage.ledger import Ledger

logger = logging.getLogger(__name__)

Recent: TypeAlias = Callable[[Mark, int], Batch | None]
"""(after, limit) → the calls that ended behind a mark, or null if the files must be read."""

BATCH = 2000
"""Calls in one transaction, at most. What each transaction costs beside its rows, a dozen turns of a busy event loop,
has to be little beside them, or the ledger falls behind at full load."""
READ = 1000
"""… if they must be read from the files, which takes longer."""


@dataclass(slots=True)
class Counts:
    """What was met while reading journals."""

    shipped: int = 0
    """Calls that were new to the ledger."""
    corrupt: int = 0
    torn: int = 0
    newer: int = 0
    """Frames that only a newer release can read; they are kept."""


class Shipment:
    """Moves one journal batch by batch, exactly once."""

    def __init__(
        self,
        ledger: Ledger,
        journal_id: str,
        reader: JournalReader,
        mark: Mark,
        counts: Counts,
        recent: Recent | None = None,
    ) -> None:
        """`recent`: what memory still has of a journal that this process writes."""
        self._recent = recent
        self._ledger = ledger
        self._journal_id = journal_id
        self._reader = reader
        self._counts = counts
        self.mark = mark
        """Everything before it is committed."""
        self.waiting_since_us: int | None = None
        """When the first call ended that is not committed, as far as the files were read; null if none is known.

        Behind a full batch it is when that batch's last call ended: what follows ended after it.
        """

    async def next_batch(self) -> bool:
        """Ship what has come; whether there may be more at once. Raises `Fault`: unavailable if the database fails."""
        batch = self._recent(self.mark, BATCH) if self._recent is not None else None
        if batch is None:
            batch = await asyncio.to_thread(self._reader.read, self.mark, READ)
        self.waiting_since_us = batch.oldest_us
        another_segment = batch.mark.segment != self.mark.segment
        # A mark that passes nothing but opening frames of one segment is not worth a commit.
        if batch.records or another_segment:
            new = await self._ledger.append(self._journal_id, batch.records, batch.mark)
            self._counts.shipped += len(new)  # only now: others count in there too while this one waits
        more = len(batch.records) >= READ
        self.waiting_since_us = batch.records[-1].ended_us if more else None
        self.mark = batch.mark
        self._count_damage(batch)
        if another_segment:
            await asyncio.to_thread(self._reader.delete_before, batch.mark)
        return more

    def _count_damage(self, batch: Batch) -> None:
        self._counts.corrupt += batch.corrupt
        self._counts.torn += batch.torn
        self._counts.newer += batch.newer
        if batch.corrupt:
            told = "the journal %s is damaged in %d places: a call may be missing there, or be estimated"
            logger.warning(told, self._journal_id, batch.corrupt)
