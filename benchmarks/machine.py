"""This machine: which core does what, what a tree of processes has used of it, and how it is called.

Where there is no `/proc` (macOS) a figure is None: unknown, never 0.
"""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """A core for each part; None: nothing is pinned, since there is one core only, or no way to pin."""

    gateway: int | None
    upstream: int | None
    client: int | None

    @property
    def sentence(self) -> str:
        if self.gateway is None:
            return "nothing is pinned: the gateway shares its cores with the load"
        both = f"upstream and client on {self.upstream}"
        apart = f"upstream on {self.upstream}, client on {self.client}"
        return f"gateway alone on core {self.gateway}, {both if self.upstream == self.client else apart}"


def cores() -> Cores:
    """The first core that we may use is the gateway's; the others bear the load."""
    if not hasattr(os, "sched_setaffinity"):
        return Cores(None, None, None)
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        return Cores(None, None, None)
    return Cores(ours[0], ours[1], ours[2] if len(ours) > 2 else ours[1])


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started within runs there, with all its threads and children, from its first instruction on."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process and all its descendants so far; steps of a clock tick, mostly 10 ms."""
    ticks = [used for each in _tree(pid) if (used := _ticks(each)) is not None]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def resident_mib(pid: int) -> float | None:
    """Memory of a process and all its descendants; what they share counts for each."""
    sizes = [size for each in _tree(pid) if (size := _resident_kib(each)) is not None]
    return sum(sizes) / 1024 if sizes else None


def _tree(pid: int) -> list[int]:
    parents = {int(each.name): _parent(each) for each in PROC.glob("[0-9]*")}
    found = [pid]
    for one in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == one]
    return found


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


def _resident_kib(pid: int) -> int | None:
    try:
        status = (PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), None)


def described() -> str:
    """Processor, cores, system and Python, for beside the figures."""
    return f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.release()}, Python " + ".".join(
        map(str, sys.version_info[:3])
    )


def _processor() -> str:
    try:
        lines = (PROC / "cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
