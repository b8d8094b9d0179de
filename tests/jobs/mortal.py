"""A process that replays the journals of a folder and kills itself at a named step: `python -m tests.jobs.mortal`.

Nothing is played: the step before is done to its end, the next one is not begun, and nobody cleans up.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.core.calls import CallRecord
from gateway.jobs.replay import Replay
from gateway.jobs.shipping import Counts
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from tests.databases import opened

STEPS = ("the letter", "the ended calls", "the interrupted calls", "the directory", "the mark")
"""What is done last, in the order of a replay."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class MortalLetters(DeadLetters):
    """Its process dies when the letter is written, before anything is committed."""

    def __init__(self, folder: Path, last: str) -> None:
        super().__init__(folder)
        self._last = last

    def add(self, refused: Sequence[tuple[CallRecord, str]], at_us: int) -> None:
        super().add(refused, at_us)
        if self._last == "the letter":
            die()


class MortalLedger(Ledger):
    """Its process dies between two steps."""

    def __init__(self, db: Database, letters: DeadLetters, last: str) -> None:
        super().__init__(db, letters)
        self._last = last
        self._coming = list(STEPS[1:3])
        """A replay of few calls commits twice: those that ended, then those that did not."""

    async def append(
        self, journal_id: str, records: Sequence[CallRecord], mark: Mark, *, last: bool = False
    ) -> Sequence[CallRecord]:
        new = await super().append(journal_id, records, mark, last=last)
        if self._coming.pop(0) == self._last:
            die()
        return new

    async def forget(self, journal_ids: Sequence[str]) -> None:
        if self._last == "the directory":
            die()
        await super().forget(journal_ids)
        if self._last == "the mark":
            die()


async def main(url: str, folder: Path, last: str) -> None:
    async with opened(url) as db:
        ledger = MortalLedger(db, MortalLetters(folder, last), last)
        await Replay(ledger, folder, folder / "own", Counts()).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
