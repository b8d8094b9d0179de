"""Thousands of streams that are open at once, an event a second each: memory, and a share of a core."""

from time import monotonic, sleep

from benchmarks.aims import HELD_MB, HELD_SHARE
from benchmarks.client import client
from benchmarks.load import Held
from benchmarks.machine import allow_files
from benchmarks.measure import Measured, Meter, books, judge, note_others, p50, p99
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import Stage, set_up
from benchmarks.upstream import Options
from benchmarks.usage import resident_mb

EVERY = 1.0
_BESIDE = 500
"""Files that a process opens besides its connections."""


def run(setting: Setting) -> Measured:
    out = Measured()
    allow_files(2 * setting.count + _BESIDE)  # each stream has two ends in the gateway
    with set_up(setting.cores, setting.command, Options(every=EVERY)) as stage:
        idle = resident_mb(stage.pid)
        begun = monotonic()
        with client(Held(stage.door, setting.count), stage.cores.client) as asking:
            opened = asking.told()
            ramp = monotonic() - begun
            meter = Meter(stage)
            asking.ask()  # counts from here on
            memory = _most_memory(stage, setting.seconds)
            told, used = asking.ask(), meter.read()
            stage.place.finish()
            seen = asking.seen()
        judge(out, seen)
        note_others(out, used, "streams")
        if min(opened.open, told.open) < setting.count:
            out.wrong.append(f"{opened.open}, at the end {told.open} streams of {setting.count} were open")
        share = None if used.busy is None else used.busy * 100
        out.figures += [
            Figure("rss_mb", f"memory with {setting.count:,} open streams, at most", memory, "MB", HELD_MB),
            Figure("core_percent", "CPU of the gateway", share, "% of a core", HELD_SHARE),
            Figure("rss_idle_mb", "memory before the first", idle, "MB"),
            Figure("events_per_s", "events", told.events / used.seconds, "/s"),
            Figure("delay_p50_ms", "  from the upstream to the client, p50", p50(told.delay), "ms"),
            Figure("delay_p99_ms", "  p99", p99(told.delay), "ms"),
            Figure("ramp_s", "until all were open", ramp, "s"),
            *books(out, stage.place),
        ]
    return out


def _most_memory(stage: Stage, seconds: float) -> float | None:
    until = monotonic() + seconds
    sizes = [resident_mb(stage.pid)]
    while (left := until - monotonic()) > 0:
        sleep(min(1.0, left))
        sizes.append(resident_mb(stage.pid))
    return max((size for size in sizes if size is not None), default=None)


SCENARIO = Scenario(
    "streams5000",
    f"Open streams, an event each in {EVERY:g} s",
    run,
    seconds=20,
    count=5_000,
    counted="streams",
)
