"""What the gateway adds to the time of an answer, for one client: in a row, after a rest, and after a long one.

The upstream says that it keeps idle connections for two seconds, so the gateway drops its own after one: after a long
rest it has to open another, and the upstream's count of connections shows that it did. Beside the rest stands what a
bare relay of bytes adds in the gateway's place: so much of it is the machine's.
"""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.aims import ADDED_P50_MS, ADDED_P99_MS, ADDED_TTFT_P50_MS
from benchmarks.load import Pairs
from benchmarks.measure import Loaded, Measured, books, load, minus, p50, p99, warm_up
from benchmarks.relay import relay
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import Stage, set_up
from benchmarks.upstream import Options

KEEP = 2
REST = 0.2
LONG_REST = KEEP - 1 + 0.2
"""Longer than the gateway keeps an idle connection."""
ENOUGH = 100
"""Pairs below which a 99th percentile is none."""


def run(setting: Setting) -> Measured:
    out = Measured()
    seconds = setting.seconds
    with set_up(setting.cores, setting.command, Options(keep=KEEP)) as stage:
        warm_up(out, stage, min(1.0, setting.seconds))
        out.figures += added_latency(out, stage, seconds * 0.1)
        out.figures += added_ttft(out, stage, seconds * 0.1)
        out.figures += added_latency(out, stage, seconds * 0.25, REST)
        out.figures += _relay(out, stage, seconds * 0.1)
        out.figures += added_ttft(out, stage, seconds * 0.15, REST)
        before = stage.place.counts().connections
        out.figures += added_latency(out, stage, seconds * 0.15, LONG_REST)
        out.figures += added_ttft(out, stage, seconds * 0.15, LONG_REST)
        opened = stage.place.counts().connections - before
        out.figures += [Figure("connections_long_rest", "  connections that it opened for these two", opened, "")]
        out.figures += books(out, stage.place)
    return out


def added_latency(out: Measured, stage: Stage, seconds: float, rest: float = 0.0) -> Iterator[Figure]:
    loaded = _pairs(out, stage, seconds, rest, stream=False)
    ours, direct = loaded.seen.whole, loaded.beside.whole if loaded.beside else None
    key, title = _called(rest)
    pairs = loaded.seen.answers
    tail = minus(p99(ours), p99(direct)) if pairs >= ENOUGH else None
    yield Figure(f"added_p50_ms{key}", f"added latency{title}, p50", minus(p50(ours), p50(direct)), "ms", ADDED_P50_MS)
    yield Figure(f"added_p99_ms{key}", "  p99", tail, "ms", ADDED_P99_MS)
    yield Figure(f"direct_p50_ms{key}", "  of an answer past the gateway, p50", p50(direct), "ms")
    yield Figure(f"pairs{key}", "  pairs of calls", pairs, "")


def added_ttft(out: Measured, stage: Stage, seconds: float, rest: float = 0.0) -> Iterator[Figure]:
    loaded = _pairs(out, stage, seconds, rest, stream=True)
    ours, direct = loaded.seen.first_word, loaded.beside.first_word if loaded.beside else None
    key, title = _called(rest)
    added = minus(p50(ours), p50(direct))
    yield Figure(f"added_ttft_p50_ms{key}", f"added time to first word{title}, p50", added, "ms", ADDED_TTFT_P50_MS)
    yield Figure(f"ttft_pairs{key}", "  pairs of streams", loaded.seen.answers, "")


def _relay(out: Measured, stage: Stage, seconds: float) -> Iterator[Figure]:
    with relay(stage.direct.port, stage.cores.gateway) as port:
        door = replace(stage.direct, port=port)
        loaded = load(out, stage, Pairs(door, stage.direct, seconds, rest=REST), "a bare relay")
    added = minus(p50(loaded.seen.whole), p50(loaded.beside.whole if loaded.beside else None))
    yield Figure("relay_p50_ms_rest", "  added by a bare relay of bytes, p50", added, "ms")


def _pairs(out: Measured, stage: Stage, seconds: float, rest: float, *, stream: bool) -> Loaded:
    job = Pairs(stage.door, stage.direct, seconds, stream=stream, rest=rest)
    what = "added time to first word" if stream else "added latency"
    return load(out, stage, job, f"{what}{_called(rest)[1]}")


def _called(rest: float) -> tuple[str, str]:
    """The measure's place among its like: behind its key, behind its title."""
    if not rest:
        return "", ""
    if rest == LONG_REST:
        return "_long_rest", f" after {LONG_REST:g} s at rest, on a new connection to the upstream"
    return "_rest", f" after {rest:g} s at rest"


SCENARIO = Scenario("latency", "What the gateway adds to the time of an answer, one client", run, seconds=100)
