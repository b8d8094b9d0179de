"""What a tree of processes has used: time of the processor, memory now, memory at its peak.

Where there is no `/proc` (macOS) a figure is None: unknown, never 0.
"""

import os
from pathlib import Path

PROC = Path("/proc")
_APART = b"tokenizer_worker"
"""In the command line of the tokenizer's process, whose vocabularies are counted apart."""


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process and all its descendants so far; steps of a clock tick, mostly 10 ms."""
    ticks = [used for each in _tree(pid) if (used := _ticks(each)) is not None]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def resident_mb(pid: int) -> float | None:
    """Memory of a process and its descendants but the tokenizer's, millions of bytes; shared pages count for each."""
    sizes = [size for each in _tree(pid) if not _is_apart(each) and (size := _status(each, "VmRSS")) is not None]
    return sum(sizes) if sizes else None


def peak_mb(pid: int) -> float | None:
    """The most that one process has had, since it started or since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> bool:
    """Whether the peak counts from now on."""
    try:
        (PROC / str(pid) / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _tree(pid: int) -> list[int]:
    parents = {int(each.name): _parent(each) for each in PROC.glob("[0-9]*")}
    found = [pid]
    for one in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _is_apart(pid: int) -> bool:
    try:
        return _APART in (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False


def _fields(process: Path) -> list[str]:
    """Of `stat`, behind the name, which may hold anything; none if the process is gone."""
    try:
        return (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(process: Path) -> int | None:
    fields = _fields(process)
    return int(fields[1]) if fields else None


def _ticks(pid: int) -> int | None:
    fields = _fields(PROC / str(pid))
    return int(fields[11]) + int(fields[12]) if fields else None


def _status(pid: int, name: str) -> float | None:
    """A size of `status`, in millions of bytes."""
    try:
        status = (PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    kib = next((int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:")), None)
    return None if kib is None else kib * 1024 / 1e6
