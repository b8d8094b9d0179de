"""What dead processes left behind: their ended calls to the ledger, their unfinished ones as interrupted.

Runs beside the ledger job, so that an old journal that cannot be replayed yet holds no new call up. Every process
looks again and again: whoever sees first that another one has died replays its journal.

In this order, so that a kill at any moment leaves something that the next look finds: the calls, with the mark, in one
transaction; the journal's directory, of which the name stays; the mark; the name. A mark without a journal or a name
here belongs to a journal on another machine, maybe, and is left alone.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from gateway.core.errors import Fault
from gateway.jobs.interrupted import interrupted_call
from gateway.jobs.scheduler import wait
from gateway.jobs.shipping import Counts, Shipment
from gateway.ports import Observer
from gateway.storage.journal import ClaimedJournal, Mark, claim_dead
from gateway.storage.journal_folder import forget, gone
from gateway.storage.ledger import Ledger
from gateway.storage.segments import bytes_behind

logger = logging.getLogger(__name__)

_LOOK = 0.5
"""Seconds between two looks for journals whose process has died."""
_AGAIN = 2.0
"""Seconds before a journal that could not be replayed is tried again."""


class Replay:
    """Replays every journal of a folder whose process is dead, each to its end, then deletes it."""

    def __init__(
        self, ledger: Ledger, folder: Path, own: Path, counts: Counts, observers: Sequence[Observer] = ()
    ) -> None:
        """`own` is this process's directory, which lives. `observers` see every call that ends here, once it has its
        row: the interrupted ones, for those that ended before were seen by who died."""
        self._ledger = ledger
        self._folder = folder
        self._own = own
        self._counts = counts
        self._observers = observers
        self._left: list[_Dead] = []
        self.last_error: str | None = None
        """Why a journal could not be replayed yet; null if none of those that are left was tried in vain."""

    @property
    def journals_left(self) -> int:
        return len(self._left)

    @property
    def backlog_bytes(self) -> int:
        """What they hold that is not in the ledger, opening frames included."""
        return sum(dead.backlog_bytes for dead in list(self._left))

    @property
    def waiting_since_us(self) -> int | None:
        """When the first of their calls ended that is not in the ledger; null if none is known."""
        known = [dead.shipment.waiting_since_us for dead in list(self._left) if dead.shipment is not None]
        return min((since for since in known if since is not None), default=None)

    async def run(self, stopping: asyncio.Event) -> None:
        """Replay whatever there is until told to stop."""
        try:
            while not stopping.is_set():
                self._left += await asyncio.to_thread(self._claim)
                for dead in list(self._left):
                    if await self._replayed(dead, stopping):
                        self._left.remove(dead)
                if not self._left:
                    self.last_error = None
                forgotten = await forget_gone(self._ledger, self._folder)
                await wait(stopping, _AGAIN if self._left or not forgotten else _LOOK)
        finally:
            for dead in self._left:
                dead.journal.release()
            self._left = []

    def _claim(self) -> list["_Dead"]:
        # Those that are this process's already need no look.
        claimed = {self._own, *(dead.journal.directory for dead in self._left)}
        journals = claim_dead(self._folder, claimed)
        for journal in journals:  # all of them before the first is replayed: calls may be refused for want of room
            journal.give_back()
        return [_Dead(journal) for journal in journals]

    async def _replayed(self, dead: "_Dead", stopping: asyncio.Event) -> bool:
        """Whether the journal is done with and gone."""
        journal = dead.journal
        try:
            if dead.shipment is None:
                mark = await self._ledger.mark(journal.id)
                dead.shipment = Shipment(self._ledger, journal.id, journal.reader, mark, self._counts)
            while await dead.shipment.next_batch():
                if stopping.is_set():
                    return False
            await self._finish(journal, dead.shipment.mark)
        except Fault as fault:
            if self.last_error is None:
                logger.warning("the journal %s of a dead process cannot be replayed yet: %s", journal.id, fault.message)
            self.last_error = fault.message
            return False
        self.last_error = None
        return True

    async def _finish(self, journal: ClaimedJournal, mark: Mark) -> None:
        """Its ended calls are in the ledger: now those that never ended."""
        openings = await asyncio.to_thread(journal.reader.interrupted)
        interrupted = [interrupted_call(of_one_call) for of_one_call in openings]
        new = await self._ledger.append(journal.id, interrupted, mark, last=True)
        self._counts.shipped += len(new)
        for record in new:
            for observer in self._observers:
                observer.call_ended(record)
        await asyncio.to_thread(journal.remove)
        logger.info("the journal %s of a dead process is replayed, %d calls interrupted", journal.id, len(interrupted))


class _Dead:
    """A journal on its way into the ledger. Blocks on the disk when it is made."""

    def __init__(self, journal: ClaimedJournal) -> None:
        self.journal = journal
        self.shipment: Shipment | None = None
        """Null until the ledger has said how far the journal is."""
        self._ends = journal.reader.ends(Mark())

    @property
    def backlog_bytes(self) -> int:
        return bytes_behind(self._ends, Mark() if self.shipment is None else self.shipment.mark)


async def forget_gone(ledger: Ledger, folder: Path) -> bool:
    """Drop the marks of the journals that were deleted in a folder, then their names; false if the database fails."""
    ids = await asyncio.to_thread(gone, folder)
    if not ids:
        return True
    try:
        await ledger.forget(ids)
    except Fault:
        return False  # the names stay, and are found by the next look
    await asyncio.to_thread(forget, folder, ids)
    return True
