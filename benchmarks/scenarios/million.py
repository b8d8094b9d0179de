"""Memory after a million calls with names that vary as real ones do, and whether it is still growing then."""

from collections.abc import Iterator
from statistics import linear_regression

from benchmarks.aims import FLAT_MB, IDLE_MB, MILLION_MB
from benchmarks.client import client
from benchmarks.load import Loop
from benchmarks.measure import CLIENTS, Measured, Meter, books, caught_up, course, judge
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import Stage, set_up
from benchmarks.usage import peak_mb, resident_mb

_EVERY = 0.25
"""Seconds between samples of memory."""


def run(setting: Setting) -> Measured:
    out = Measured()
    with set_up(setting.cores, setting.command) as stage:
        idle = resident_mb(stage.pid)
        meter = Meter(stage)
        job = Loop(stage.door, CLIENTS, calls=setting.count, varied=True)
        samples: list[tuple[int, float]] = []
        with client(job, stage.cores.client) as asking:
            while not asking.is_over(_EVERY):
                _sample(stage, samples)
            seen = asking.seen()
        caught_up(stage.place)
        _sample(stage, samples)
        used = meter.read()
        judge(out, seen)
        after = resident_mb(stage.pid)
        out.figures += [
            Figure("rss_idle_mb", "memory before the first call", idle, "MB", IDLE_MB),
            Figure("rss_after_mb", f"memory after {setting.count:,} calls", after, "MB", MILLION_MB),
            Figure("rss_peak_mb", "  at its peak", peak_mb(stage.pid), "MB"),
            *_growth(samples, setting.count),
            Figure("calls_per_s", f"calls, {CLIENTS} clients", seen[0].answers / seen[0].seconds, "/s"),
            Figure("cpu_us_per_call", "  CPU of the gateway per call, until the last row", used.cpu_us, "µs"),
            *books(out, stage.place),
        ]
        out.notes += course("memory in MB, by calls", samples)
    return out


def _sample(stage: Stage, samples: list[tuple[int, float]]) -> None:
    memory = resident_mb(stage.pid)
    if memory is not None:
        samples.append((stage.place.counts().calls, memory))


def _growth(samples: list[tuple[int, float]], count: int) -> Iterator[Figure]:
    """The line through the samples of the second half, from its begin to its end."""
    half = [(calls, memory) for calls, memory in samples if calls >= count / 2]
    calls = [calls for calls, _ in half]
    grown: float | None = None
    if len(set(calls)) > 1:
        grown = linear_regression(calls, [memory for _, memory in half]).slope * count / 2
    yield Figure("growth_mb", f"growth over the last {count // 2:,}", grown, "MB", FLAT_MB)


SCENARIO = Scenario("million", "Memory after many calls, and its growth", run, count=1_000_000, counted="calls")
