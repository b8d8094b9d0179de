"""Journal to SQL: every ended call within 100 ms, exactly once, whatever the database does meanwhile.

While the database fails, or is slow, the journal grows and the state says so; what failed is tried again with growing
pauses: nothing is dropped. What frames and rows look like is not known here.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import Fault
from gateway.jobs.replay import Replay, forget_gone
from gateway.jobs.scheduler import wait
from gateway.jobs.shipping import Counts, Shipment
from gateway.ports import Observer
from gateway.storage.clock import wall_clock_us
from gateway.storage.journal import JournalReader, JournalWriter, Mark
from gateway.storage.ledger import Ledger

logger = logging.getLogger(__name__)

_EVERY = 0.1
"""Seconds between looks into the journal."""
_LONGEST_PAUSE = 5.0
"""Seconds between tries while the database fails, at most."""
LATE = 2.0
"""Seconds that an ended call may be missing in the ledger unmentioned: many times what it takes while all is well."""


@dataclass(frozen=True, slots=True)
class LedgerLag:
    """How far the ledger is behind the journals."""

    backlog_bytes: int
    """Written and not in the ledger: to this process's journal up to its last ended call, and to those it replays."""
    oldest_age_seconds: float
    """How long ago the first call ended, in any of them, that is not in the ledger yet; 0 if there is none."""
    own_age_seconds: float
    """The same of this process's journal alone, which tells how slow the ledger is."""
    last_error: str | None
    """Why the ledger does not move; null while it does."""
    dead_letters: int
    """Calls that the database refused for good, of all times."""
    dead_journals: int
    """Journals of dead processes that are not replayed to their end yet."""
    replay_error: str | None
    """Why one of them is not; null if nothing stands in the way."""
    shipped: int
    """Calls that this process has brought to the ledger."""
    corrupt: int
    torn: int
    newer: int
    """Frames that only a newer release can read; they are kept."""


class LedgerJob:
    """The one that moves frames to SQL. `run` is the job; it may be started again after a crash."""

    def __init__(
        self,
        journal: JournalWriter,
        folder: Path,
        ledger: Ledger,
        now_us: Callable[[], int] = wall_clock_us,
        observers: Sequence[Observer] = (),
    ) -> None:
        """`folder` is where all journals lie, the dead ones too. `observers` see the calls that no process ended."""
        self._counts = Counts()
        reader = JournalReader(journal.directory)
        self._own = Shipment(ledger, journal.id, reader, Mark(), self._counts, journal.recent)
        self._replay = Replay(ledger, folder, journal.directory, self._counts, observers)
        self._folder = folder
        self._ledger = ledger
        self._journal = journal
        self._now_us = now_us
        self._last_error: str | None = None

    @property
    def mark(self) -> Mark:
        """How far this process's own journal is in the ledger; what `JournalWriter.stop` wants to know."""
        return self._own.mark

    async def run(self, stopping: asyncio.Event) -> None:
        """Ship until told to stop, then ship the rest if the database takes it."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._replay.run(stopping))
            both.create_task(self._ship(stopping))

    async def forget(self) -> None:
        """Once the journal has stopped: if nothing is left of it, nobody needs its mark. What the database does not
        take now, a later start does."""
        await forget_gone(self._ledger, self._folder)

    def stats(self) -> LedgerLag:
        """The state at this moment, whatever the database is busy with. Safe in another thread."""
        since_us = self._own.waiting_since_us
        if since_us is None:
            since_us = self._journal.waiting_since_us(self._own.mark)
        own_age = self._age(since_us)
        return LedgerLag(
            backlog_bytes=self._journal.backlog_bytes(self._own.mark) + self._replay.backlog_bytes,
            oldest_age_seconds=max(own_age, self._age(self._replay.waiting_since_us)),
            own_age_seconds=own_age,
            last_error=self._last_error,
            dead_letters=self._ledger.dead_letters,
            dead_journals=self._replay.journals_left,
            replay_error=self._replay.last_error,
            shipped=self._counts.shipped,
            corrupt=self._counts.corrupt,
            torn=self._counts.torn,
            newer=self._counts.newer,
        )

    def _age(self, since_us: int | None) -> float:
        return 0.0 if since_us is None else max(0, self._now_us() - since_us) / 1e6

    async def _ship(self, stopping: asyncio.Event) -> None:
        pause = _EVERY
        while not stopping.is_set():
            more = await self._try()
            pause = _EVERY if self._last_error is None else min(pause * 2, _LONGEST_PAUSE)
            if not more:
                await wait(stopping, pause)
        # What the database does not take now stays in the journal, which the next start replays.
        while await self._try():
            continue

    async def _try(self) -> bool:
        """Ship a batch; whether there is more at once. A database that fails is a state, not an error."""
        try:
            more = await self._own.next_batch()
        except Fault as fault:
            if self._last_error is None:
                logger.warning("the ledger does not move, the journal grows: %s", fault.message)
            self._last_error = fault.message
            return False
        if self._last_error is not None:
            logger.info("the ledger moves again")
        self._last_error = None
        return more
