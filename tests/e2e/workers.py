"""The workers of a gateway, seen and killed from outside."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from time import clock_gettime

from gateway.storage.segments import numbered
from tests.e2e.gateway import Served

_TICKS = os.sysconf("SC_CLK_TCK")
_BOOT_CLOCK = 7
SETTLED = 1.5
"""Seconds after which the death of a worker is an accident in its parent's eyes, its start included."""


def workers_of(gateway: Served) -> list[int]:
    pid = gateway.program.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def age(pid: int) -> float:
    """Seconds since a process was started; 0 if it is dead, buried or not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return 0.0 if fields[0] == "Z" else clock_gettime(_BOOT_CLOCK) - int(fields[19]) / _TICKS


def settled(gateway: Served, workers: int) -> bool:
    """Whether so many run, each for long enough that its death is an accident."""
    alive = workers_of(gateway)
    return len(alive) == workers and all(age(pid) > SETTLED for pid in alive)


def kill(*pids: int) -> int:
    """How many there were to be killed: one that was killed before may be buried since it was listed."""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def journals(gateway: Served) -> dict[str, int]:
    """The processes that hold the journals, by the journal."""
    found = {}
    for lock in (gateway.data / "journal").glob("[0-9a-f]*/lock"):
        try:
            found[lock.parent.name] = int(lock.read_text(encoding="ascii") or "0")
        except FileNotFoundError:
            continue  # replayed and deleted since it was listed
    return found


def segments_of(gateway: Served) -> list[Path]:
    """Of all journals, but those that are replayed and deleted while they are looked through."""
    found = [path for path in (gateway.data / "journal").glob("[0-9a-f]*") if path.is_dir()]
    return [segment for journal in found for _, segment in numbered(journal)]


def replayed(gateway: Served, workers: int) -> bool:
    """Whether all workers run, and there are no journals but theirs."""
    held, alive = journals(gateway), workers_of(gateway)
    # One that replays another's journal holds two.
    return len(alive) == workers and sorted(held.values()) == sorted(alive)


def begin_of(segment: Path, size: int = -1) -> bytes:
    """Its first bytes, or all; none if it is gone: shipped and deleted since it was listed."""
    try:
        with segment.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        return b""


async def a_segment_turns(gateway: Served, journal: Path | None = None) -> bool:
    """Waits for the moment in which a journal, this one or any, goes on in another segment; false if there is none in
    half a second."""

    def begun() -> set[Path]:
        segments = [path for path in segments_of(gateway) if journal in (None, path.parent)]
        return {path for path in segments if begin_of(path, 1).strip(b"\0")}

    before = begun()
    for _ in range(100):
        await asyncio.sleep(0.002)
        if begun() - before:
            return True
    return False
