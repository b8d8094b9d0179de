"""This machine: which core does what, how many files a process may open, and how it is called."""

import contextlib
import os
import platform
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.failed import Failed

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


def core_busy_seconds(core: int | None) -> float | None:
    """How long that core has been doing anything so far, for whomever: us, others, the host."""
    try:
        lines = (PROC / "stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, ticks[:8])
            return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
    return None


def allow_files(count: int) -> None:
    """Lets this process, and what it starts, have so many files open each. Raises `Failed` if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise Failed(
            f"a process may have {hard:,} files open here (ulimit -Hn) and this takes {count:,}: "
            "raise the hard limit, or ask for less with --count"
        )
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


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
