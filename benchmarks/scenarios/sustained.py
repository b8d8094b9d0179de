"""A minute of calls, rows and rollups in the database: whether the ledger keeps up, and at what cost.

First as many as go through, then at a fixed pace, where a call costs more: each wakes the gateway for itself, and finds
its code cold.

Twice a second is noted how many calls are not in the ledger yet and what the journal takes on disk. The slope of the
former says whether it grows. The CPU is read off when the last row is there, so nothing that a call costs is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import linear_regression
from time import monotonic

from benchmarks.aims import CPU_CALL_US, GROWING, SUSTAINED_PER_S
from benchmarks.client import Client, client
from benchmarks.load import Loop
from benchmarks.measure import CLIENTS, Measured, Meter, books, caught_up, course, judge, note_others, p50, p99, warm_up
from benchmarks.report import Aim, Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import Place, Stage, set_up
from benchmarks.usage import resident_mb

PACE = 6_100
"""Calls begun in a second: a little more than the aim, which a pace of just that would miss by a hair."""
_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    waiting: int
    """Calls that are not in the ledger."""
    journal: int


def run(setting: Setting) -> Measured:
    out = Measured()
    with set_up(setting.cores, setting.command) as stage:
        warm_up(out, stage, min(1.0, setting.seconds))
        for pace in (None, PACE):
            out.figures += _minute(out, stage, setting.seconds, pace)
        out.figures += books(out, stage.place)
    return out


def _minute(out: Measured, stage: Stage, seconds: float, pace: float | None) -> list[Figure]:
    """Null: each client calls again as soon as it has its answer, as in the other scenarios of CPU and calls/s."""
    place = stage.place
    caught_up(place)
    meter = Meter(stage)
    with client(Loop(stage.door, CLIENTS, seconds=seconds, pace=pace), stage.cores.client) as asking:
        samples = _samples(asking, lambda at: _sample(place, at))
        late = caught_up(place)
        used = meter.read()
        seen = asking.seen()
    judge(out, seen)
    per_second = seen[0].answers / seen[0].seconds
    key, what = ("", f"{CLIENTS} clients in a closed loop") if pace is None else ("_paced", f"a pace of {pace:,}/s")
    note_others(out, used, what)
    out.notes += course(f"{what}: not in the ledger yet, by seconds", [(one.at, one.waiting) for one in samples])
    cpu = Figure(
        f"cpu_us_per_call{key}",
        "  CPU of the gateway per call, to the last row",
        used.cpu_us,
        "µs",
        CPU_CALL_US if pace is None else None,
    )
    return [
        Figure(f"calls_per_s{key}", f"calls, {what}", per_second, "/s", SUSTAINED_PER_S),
        cpu,
        Figure(f"calls_p50_ms{key}", "  time of an answer, p50", p50(seen[0].whole), "ms"),
        Figure(f"calls_p99_ms{key}", "  time of an answer, p99", p99(seen[0].whole), "ms"),
        *_trend(samples, per_second, key),
        Figure(f"last_row_s{key}", "  the last row came after the last answer by", late, "s"),
        Figure(f"rss_mb{key}", "  memory after it", resident_mb(stage.pid), "MB"),
    ]


def _samples(asking: Client, sample: Callable[[float], _Sample]) -> list[_Sample]:
    """Until the last answer is here."""
    begun = monotonic()
    taken: list[_Sample] = []
    while not asking.is_over(_EVERY):
        taken.append(sample(monotonic() - begun))
    return taken


def _sample(place: Place, at: float) -> _Sample:
    return _Sample(at, max(0, place.counts().calls - place.shipped()), place.journal_bytes())


def _trend(samples: list[_Sample], per_second: float, key: str) -> list[Figure]:
    """Of the lag: what it was at most, and how fast it grew over the whole time."""
    most = max((one.waiting for one in samples), default=None)
    journal = max((one.journal for one in samples), default=None)
    slope: float | None = None
    if len(samples) > 2:
        slope = linear_regression([one.at for one in samples], [one.waiting for one in samples]).slope
    return [
        Figure(f"lag_calls{key}", "  calls not in the ledger yet, at most", most, ""),
        Figure(f"lag_growth{key}", "    growing by", slope, "calls/s", Aim.at_most(round(per_second * GROWING))),
        Figure(f"journal_mb{key}", "  journal on disk, at most", None if journal is None else journal / 1e6, "MB"),
    ]


SCENARIO = Scenario(
    "sustained", "A minute of calls, then one at a fixed pace; rows and rollups in the database", run, seconds=60
)
