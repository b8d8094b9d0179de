"""What the tests of the journal share."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.core.calls import CallRecord
from gateway.core.errors import Fault
from gateway.storage.journal import Batch, ClaimedJournal, JournalWriter
from tests.storage.samples import a_record, an_opening

MIB = 1024 * 1024


def ids(batch: Batch) -> list[str]:
    return [record.facts.id for record in batch.records]


def run_call(journal: JournalWriter, call: str, attempts: int = 1) -> CallRecord:
    journal.reserve(call)
    for index in range(attempts):
        journal.open_attempt(an_opening(call, index))
    record = a_record(call, attempts=attempts)
    journal.close_call(record)
    return record


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def until_refused(do: Callable[[str], object]) -> tuple[list[str], Fault]:
    """Do something with one call after the other; those it worked with, and what the next one was told."""
    done: list[str] = []

    def for_ever() -> None:
        for number in range(100_000):
            do(f"c{number}")
            done.append(f"c{number}")

    with pytest.raises(Fault) as refusal:
        for_ever()
    return done, refusal.value


@contextmanager
def dead(directory: Path) -> Iterator[ClaimedJournal]:
    """The journal as the next process finds it."""
    claimed = ClaimedJournal(directory)
    yield claimed
    claimed.release()
