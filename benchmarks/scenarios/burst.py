"""The most that 64 clients get for two seconds, several times; and what they would get without a gateway."""

from statistics import median

from benchmarks.aims import BURST_PER_S
from benchmarks.client import client
from benchmarks.load import Loop
from benchmarks.measure import CLIENTS, Measured, books, caught_up, judge, load, note_bound, p50, p99, warm_up
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import Stage, set_up


def run(setting: Setting) -> Measured:
    out = Measured()
    with set_up(setting.cores, setting.command) as stage:
        warm_up(out, stage, min(1.0, setting.seconds))
        bursts = []
        for _ in range(setting.count):
            caught_up(stage.place)
            bursts.append(load(out, stage, Loop(stage.door, CLIENTS, seconds=setting.seconds), "burst"))
        bursts.sort(key=lambda burst: burst.per_second or 0)
        middle = bursts[len(bursts) // 2]
        note_bound(out, middle, "calls/s")
        costs = [burst.used.cpu_us for burst in bursts if burst.used.cpu_us is not None]
        out.figures += [
            Figure("calls_per_s", f"calls, {CLIENTS} clients, median burst", middle.per_second, "/s", BURST_PER_S),
            Figure("calls_per_s_least", "  slowest burst", bursts[0].per_second, "/s"),
            Figure("calls_per_s_most", "  fastest burst", bursts[-1].per_second, "/s"),
            Figure("cpu_us_per_call", "  CPU of the gateway per call, median", median(costs) if costs else None, "µs"),
            Figure("calls_p50_ms", "  time of an answer, p50", p50(middle.seen.whole), "ms"),
            Figure("calls_p99_ms", "  time of an answer, p99", p99(middle.seen.whole), "ms"),
            Figure(
                "direct_per_s", "calls past the gateway: all that the load can do", _direct(out, stage, setting), "/s"
            ),
            *books(out, stage.place),
        ]
    return out


def _direct(out: Measured, stage: Stage, setting: Setting) -> float:
    with client(Loop(stage.direct, CLIENTS, seconds=setting.seconds), stage.cores.client) as asking:
        seen = asking.seen()
    judge(out, seen)
    return seen[0].answers / seen[0].seconds


SCENARIO = Scenario(
    "burst", f"Whole answers for {CLIENTS} clients in a closed loop", run, seconds=2, count=5, counted="bursts"
)
