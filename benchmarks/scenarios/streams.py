"""Streams of 50 events as fast as the gateway passes them on."""

from benchmarks.aims import CPU_STREAM_US, EVENTS_PER_S
from benchmarks.client import client
from benchmarks.load import Loop
from benchmarks.measure import STREAMS, Measured, books, judge, load, note_bound, p50, p99, warm_up
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.shape import WORDS
from benchmarks.stage import Stage, set_up


def run(setting: Setting) -> Measured:
    out = Measured()
    with set_up(setting.cores, setting.command) as stage:
        warm_up(out, stage, min(1.0, setting.seconds))
        loaded = load(out, stage, Loop(stage.door, STREAMS, stream=True, seconds=setting.seconds), "streams")
        note_bound(out, loaded, "events/s")
        out.figures += [
            Figure("cpu_us_per_stream", "CPU of the gateway per stream", loaded.used.cpu_us, "µs", CPU_STREAM_US),
            Figure("events_per_s", f"events, {STREAMS} at once", _events(loaded.per_second), "/s", EVENTS_PER_S),
            Figure("streams_per_s", "  streams", loaded.per_second, "/s"),
            Figure("ttft_p50_ms", "  time to first word, p50", p50(loaded.seen.first_word), "ms"),
            Figure("ttft_p99_ms", "  time to first word, p99", p99(loaded.seen.first_word), "ms"),
            Figure(
                "direct_per_s", "events past the gateway: all that the load can do", _direct(out, stage, setting), "/s"
            ),
            *books(out, stage.place),
        ]
    return out


def _events(streams: float | None) -> float | None:
    return None if streams is None else streams * WORDS


def _direct(out: Measured, stage: Stage, setting: Setting) -> float | None:
    with client(
        Loop(stage.direct, STREAMS, stream=True, seconds=min(1.0, setting.seconds)), stage.cores.client
    ) as asking:
        seen = asking.seen()
    judge(out, seen)
    return _events(seen[0].answers / seen[0].seconds)


SCENARIO = Scenario("streams", f"Streams of {WORDS} events, {STREAMS} at once in a closed loop", run, seconds=10)
