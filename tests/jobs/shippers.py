"""Processes that write calls and ship them, killed one after the other: `python -m tests.jobs.shippers`.

Two live at any time, so that the living replay the dead while they may die themselves. They are forked from one that
has imported everything: a start takes milliseconds. Each frame that was written is told on a line, behind it.
"""

import asyncio
import os
import random
import signal
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from gateway.jobs.ledger import LedgerJob
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter
from gateway.storage.ledger import Ledger
from tests.storage.samples import a_record, an_opening

MIB = 1024 * 1024
OPEN = 3
"""Calls that are under way at any moment."""
_PAUSE = 0.001
"""Seconds between a process's calls."""
_FRAMES = 20
"""That a process has written when it dies, on average; few have a long life, as death does not look at the age."""


async def _work(folder: Path, url: str, life: int, told: int) -> None:
    db = Database(url)
    await db.connect()
    journal = JournalWriter(folder, max_bytes=64 * MIB, segment_bytes=64 * 1024)
    await journal.start()
    shipping = asyncio.create_task(LedgerJob(journal, folder, Ledger(db, DeadLetters(folder))).run(asyncio.Event()))
    for number in count():
        journal.open_attempt(an_opening(f"{life}-{number}"))
        os.write(told, f"o {life}-{number}\n".encode())
        if number >= OPEN:
            journal.close_call(a_record(f"{life}-{number - OPEN}"))
            os.write(told, f"c {life}-{number - OPEN}\n".encode())
        await asyncio.sleep(_PAUSE)
        if shipping.done():
            shipping.result()  # it never ends by itself: this raises what ended it


@dataclass
class _Process:
    pid: int
    told: int
    """The end of a pipe where each frame is a line."""

    def die(self, frames: int) -> bytes:
        """By SIGKILL, once it has written so many; what it had told by then. Nothing else may have ended it."""
        told = b""
        while told.count(b"\n") < frames and (more := os.read(self.told, 4096)):
            told += more
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"a process ended by itself: {status}"
        while more := os.read(self.told, 65536):
            told += more
        os.close(self.told)
        return told


def _forked(folder: Path, url: str, life: int) -> _Process:
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        asyncio.run(_work(folder, url, life, theirs))
    os.close(theirs)
    return _Process(pid, ours)


def _main(folder: Path, url: str, kills: int) -> None:
    Database(url)  # what its driver takes is read once, here
    chance, lives = random.Random(23), count()
    alive = [_forked(folder, url, next(lives)) for _ in range(2)]
    for _ in range(kills):
        seat = chance.randrange(2)
        sys.stdout.buffer.write(alive[seat].die(1 + int(chance.expovariate(1 / _FRAMES))))
        alive[seat] = _forked(folder, url, next(lives))
    for process in alive:
        sys.stdout.buffer.write(process.die(1))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
