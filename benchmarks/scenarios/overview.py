"""The short one: a little of everything on one gateway, in half a minute."""

from benchmarks.aims import CPU_CALL_US, CPU_STREAM_US, IDLE_MB
from benchmarks.load import Loop
from benchmarks.measure import CLIENTS, STREAMS, Measured, books, load, note_bound, p50, p99
from benchmarks.report import Figure
from benchmarks.scenarios.latency import added_latency, added_ttft
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import Stage, set_up
from benchmarks.usage import resident_mb


def run(setting: Setting) -> Measured:
    out = Measured()
    seconds = setting.seconds
    with set_up(setting.cores, setting.command) as stage:
        idle = resident_mb(stage.pid)
        for stream in (False, True):
            load(out, stage, Loop(stage.door, 1, stream=stream, seconds=seconds * 0.04))
        out.figures += added_latency(out, stage, seconds * 0.2)
        out.figures += added_ttft(out, stage, seconds * 0.15)
        _calls(out, stage, seconds * 0.3)
        _streams(out, stage, seconds * 0.27)
        out.figures += [
            Figure("rss_idle_mb", "memory before the first load", idle, "MB", IDLE_MB),
            Figure("rss_after_mb", "memory after the last", resident_mb(stage.pid), "MB"),
            Figure("first_answer_s", "start to first answer, on an empty folder", stage.first_answer_s, "s"),
            *books(out, stage.place),
        ]
    return out


def _calls(out: Measured, stage: Stage, seconds: float) -> None:
    loaded = load(out, stage, Loop(stage.door, CLIENTS, seconds=seconds), "calls/s")
    note_bound(out, loaded, "calls/s")
    out.figures += [
        Figure("calls_per_s", f"calls, {CLIENTS} clients", loaded.per_second, "/s"),
        Figure("cpu_us_per_call", "  CPU of the gateway per call", loaded.used.cpu_us, "µs", CPU_CALL_US),
        Figure("calls_p50_ms", "  time of an answer, p50", p50(loaded.seen.whole), "ms"),
        Figure("calls_p99_ms", "  time of an answer, p99", p99(loaded.seen.whole), "ms"),
    ]


def _streams(out: Measured, stage: Stage, seconds: float) -> None:
    loaded = load(out, stage, Loop(stage.door, STREAMS, stream=True, seconds=seconds), "streams/s")
    note_bound(out, loaded, "streams/s")
    out.figures += [
        Figure("streams_per_s", f"streams, {STREAMS} at once", loaded.per_second, "/s"),
        Figure("cpu_us_per_stream", "  CPU of the gateway per stream", loaded.used.cpu_us, "µs", CPU_STREAM_US),
        Figure("streams_ttft_p50_ms", "  time to first word, p50", p50(loaded.seen.first_word), "ms"),
        Figure("streams_ttft_p99_ms", "  time to first word, p99", p99(loaded.seen.first_word), "ms"),
    ]


SCENARIO = Scenario("overview", "A little of everything, the gateway with everything on", run, seconds=20)
