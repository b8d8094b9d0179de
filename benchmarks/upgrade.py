"""`python -m benchmarks.upgrade`: `tollkeeper db upgrade` on a ledger of many calls, beside a writer, killed or not.

The ledger is of the revision before partitions (`old_ledger`). The writer appends calls as a gateway does; how long a
batch took is how long calls lay in the journal.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep

from sqlalchemy import create_engine, text

from benchmarks.machine import described
from benchmarks.old_ledger import TABLES, make
from benchmarks.processes import environment
from benchmarks.setting import tollkeeper
from gateway.core.calls import Attempt, CallFacts, CallRecord, Charge, End
from gateway.core.errors import Fault
from gateway.core.usage import Basis, Usage
from gateway.proxy.ids import new_id
from gateway.storage.clock import wall_clock_us
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, differences
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger

_BATCH = 20
_PAUSE = 0.05
_INTO_IT = (0.0, 0.5)
"""Seconds into each part at which it is killed, one after the other."""
_PART = "  "
"""What a line begins with that names a part."""


@dataclass
class Written:
    """What the writer did."""

    calls: int = 0
    longest_s: float = 0.0
    """That a batch took, of all or since this was last set back."""


def main() -> int:
    """0; 1 if a call is missing, there twice or refused, or the schema is not what it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upgrade", description=__doc__)
    parser.add_argument(
        "--calls", type=int, default=10_000_000, metavar="N", help="in the ledger (default: %(default)s)"
    )
    parser.add_argument("--database", metavar="URL", help="an empty one; else a file that is thrown away")
    parser.add_argument("--there", action="store_true", help="the ledger was made by an earlier run that was stopped")
    parser.add_argument("--kill", action="store_true", help="kill it (-9) in each part, and repeat it each time")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="tollkeeper-bench-") as folder:
        url = asked.database or f"sqlite+aiosqlite:///{folder}/old.db"
        if not asked.there:
            make(url, asked.calls, wall_clock_us())
        return _measured(url, Path(folder), kill=asked.kill)


def _measured(url: str, folder: Path, *, kill: bool) -> int:
    before, letters = _counts(url), DeadLetters(folder)
    print(f"{described()}; {before['calls']:,} calls", flush=True)
    killed: list[str] = []
    with _writing(url, letters) as written:
        while not _upgraded(url, folder, written, killed if kill else None):
            pass
        sleep(1)  # the writer goes on a while
    new = {table: count - before[table] for table, count in _counts(url).items()}
    each = {"calls": 1, "attempts": 1, "charges": 2, "corrections": 0}
    wrong = [f"{table}: {new[table]} new rows" for table in TABLES if new[table] != each[table] * written.calls]
    wrong += [*differences(url), *([f"{letters.count} dead letters"] if letters.count else [])]
    print(f"written meanwhile: {written.calls:,} calls, {letters.count} refused")
    print("\n".join(wrong) or "every call is there once, the schema is as it should be")
    return 1 if wrong else 0


def _upgraded(url: str, folder: Path, written: Written, killed: list[str] | None) -> bool:
    """Carry out the command once, and tell; whether it came to its end. `killed`: parts, as often as they were."""
    begun = monotonic()
    written.longest_s = 0.0
    program = subprocess.Popen(  # noqa: S603  our own command
        [tollkeeper(), "db", "upgrade", "--yes"],
        env={**environment(), "TOLLKEEPER_DATABASE_URL": url, "TOLLKEEPER_SERVER_DATA": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert program.stdout is not None
    for line in program.stdout:
        _tell(begun, written, line.rstrip())
        if killed is not None and line.startswith(_PART) and killed.count(line) < len(_INTO_IT):
            sleep(_INTO_IT[killed.count(line)])
            killed.append(line)
            program.kill()
    code = program.wait()
    _tell(begun, written, f"ended with {code}")
    if code > 0:
        sys.exit(1)
    return code == 0


def _tell(begun: float, written: Written, what: str) -> None:
    """One line, with the time since the begin and how long the writer has waited at most since the last."""
    print(f"{monotonic() - begun:8.2f} s, writer {written.longest_s:5.2f} s  {what}", flush=True)
    written.longest_s = 0.0


def _counts(url: str) -> dict[str, int]:
    engine = create_engine(url.replace("+aiosqlite", ""))
    try:
        with engine.connect() as connection:
            return {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in TABLES}  # noqa: S608
    finally:
        engine.dispose()


@contextmanager
def _writing(url: str, letters: DeadLetters) -> Iterator[Written]:
    """A writer beside the block, in a thread of its own; told how it goes."""
    written, over = Written(), Event()
    thread = Thread(target=lambda: asyncio.run(_write(url, letters, written, over)))
    thread.start()
    try:
        yield written
    finally:
        over.set()
        thread.join()


async def _write(url: str, letters: DeadLetters, written: Written, over: Event) -> None:
    db = Database(url)
    ledger = Ledger(db, letters)
    try:
        while not over.is_set():
            records, begun, taken = [_call() for _ in range(_BATCH)], monotonic(), False
            while not taken:
                try:
                    written.calls += len(await ledger.append("bench", records, Mark(1, 1)))
                    taken = True
                except Fault as fault:  # as the gateway does: it stays in the journal and is tried again
                    print(f"the writer: {fault.message}", flush=True)
            written.longest_s = max(written.longest_s, monotonic() - begun)
            await asyncio.sleep(_PAUSE)
    finally:
        await db.close()


def _call() -> CallRecord:
    now = wall_clock_us()
    facts = CallFacts(new_id(now), now, "/v1/chat/completions", key="key-1", team="team-1", model="fast")
    charged = (Charge(0, "input", 200, "2", 400_000), Charge(0, "output", 100, "12", 1_200_000))
    usage = Usage(input=200, output=100)
    attempt = Attempt(
        0, "openai/gpt-4o-mini", "openai", End.COMPLETED, now, 200, usage=usage, usage_basis=Basis.PROVIDER,
        cost_nano=1_600_000, charges=charged,
    )  # fmt: skip
    return CallRecord(facts, End.COMPLETED, 200, None, (attempt,), ended_us=now)


if __name__ == "__main__":
    sys.exit(main())
