"""What all scenarios do: ask for a while, see what the gateway used for it, and compare rows with calls."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep

from benchmarks.client import client
from benchmarks.load import Loop, Pairs, Seen, Times
from benchmarks.machine import core_busy_seconds
from benchmarks.report import Figure, number
from benchmarks.stage import Place, Stage
from benchmarks.usage import cpu_seconds

CLIENTS = 64
STREAMS = 32
BUSY = 0.85
"""Share of its core below which the gateway was waiting, so that the figure says what the load could ask for."""
DISTURBED = 0.1
"""Share of its core that others may use before a figure says so."""
STILL = 30.0
"""Seconds without a new row after which no more are waited for."""


@dataclass(slots=True)
class Measured:
    """Everything that came out."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Why the figures are not to be believed."""


@dataclass(frozen=True, slots=True)
class Used:
    """What the gateway used over a stretch of time. A figure of None cannot be told here."""

    calls: int
    """That reached the upstream through it."""
    seconds: float
    cpu_s: float | None
    others_s: float | None
    """Of its core, used by whatever else runs on this machine."""

    @property
    def cpu_us(self) -> float | None:
        """For each call."""
        return None if self.cpu_s is None or not self.calls else self.cpu_s / self.calls * 1e6

    @property
    def busy(self) -> float | None:
        """Its share of one core."""
        return None if self.cpu_s is None or not self.seconds else self.cpu_s / self.seconds


class Meter:
    """Reads off what the gateway has used since this was made."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._calls = stage.place.counts().calls
        self._cpu = cpu_seconds(stage.pid)
        self._core = core_busy_seconds(stage.cores.gateway)
        self._begun = monotonic()

    def read(self) -> Used:
        seconds = monotonic() - self._begun
        cpu = minus(cpu_seconds(self._stage.pid), self._cpu)
        core = minus(core_busy_seconds(self._stage.cores.gateway), self._core)
        return Used(self._stage.place.counts().calls - self._calls, seconds, cpu, minus(core, cpu))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a job."""

    seen: Seen
    beside: Seen | None
    used: Used

    @property
    def per_second(self) -> float | None:
        return self.seen.answers / self.seen.seconds if self.seen.seconds else None


def load(out: Measured, stage: Stage, job: Loop | Pairs, what: str | None = None) -> Loaded:
    """A job from its begin to its end. `what`: the measure, for a note if something else ran meanwhile."""
    meter = Meter(stage)
    with client(job, stage.cores.client) as asking:
        seen = asking.seen()
    used = meter.read()
    judge(out, seen)
    if what is not None:
        note_others(out, used, what)
    return Loaded(seen[0], seen[1] if len(seen) > 1 else None, used)


def warm_up(out: Measured, stage: Stage, seconds: float) -> None:
    """The code, the connections, the ledger's first transaction; calls and streams."""
    for stream in (False, True):
        load(out, stage, Loop(stage.door, CLIENTS // 4, stream=stream, seconds=seconds / 2))


def judge(out: Measured, seen: list[Seen]) -> None:
    for one, who in zip(seen, ("the gateway", "the upstream"), strict=False):
        if one.bad or not one.answers:
            out.wrong.append(f"{one.bad} answers of {who} were not whole and well, {one.answers} were: {one.why}")


def note_others(out: Measured, used: Used, what: str) -> None:
    share = None if used.others_s is None or not used.seconds else used.others_s / used.seconds
    if share is not None and share > DISTURBED and used.seconds > 0.5:
        out.notes.append(f"{what}: disturbed, {share:.0%} of the gateway's core was used by something else")


def note_bound(out: Measured, loaded: Loaded, what: str) -> None:
    """Says so if more could not be asked for."""
    busy = loaded.used.busy
    if busy is not None and busy < BUSY:
        out.notes.append(
            f"{what} is a lower bound: the gateway used {busy:.0%} of a core and waited for the load, "
            "or for the machine; compare the CPU per call"
        )


def caught_up(place: Place) -> float:
    """Waits until the ledger has every call, or nothing moves any more; the seconds that took."""
    begun = moved = monotonic()
    calls, before = place.counts().calls, -1
    while (rows := place.shipped()) < calls or place.rows() < calls:
        if rows > before:
            moved, before = monotonic(), rows
        if monotonic() - moved > STILL:
            break
        sleep(0.005)
    return monotonic() - begun


def books(out: Measured, place: Place) -> Iterator[Figure]:
    """Rows against calls: as soon as they agree, or when patience ends."""
    caught_up(place)
    calls, rows = place.counts().calls, place.rows()
    if rows != calls:
        out.wrong.append(f"the ledger has {rows} rows for {calls} calls at the upstream")
    yield Figure("rows", "rows in the ledger", rows, "")
    yield Figure("calls", "calls at the upstream", calls, "")


def course(what: str, samples: Sequence[tuple[float, float]]) -> list[str]:
    """A note of what was sampled at every tenth of the way; none of a few samples."""
    if len(samples) < 10:
        return []
    tenths = [samples[round(part * (len(samples) - 1) / 10)] for part in range(11)]
    return [f"{what}: " + ", ".join(f"{number(value)} at {number(place)}" for place, value in tenths)]


def p50(times: Times | None) -> float | None:
    return None if times is None else times.p50


def p99(times: Times | None) -> float | None:
    return None if times is None else times.p99


def minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
