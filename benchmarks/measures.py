"""The measures, one after another on one gateway: what is asked, for how long, and which figures come of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep

from benchmarks.load import Job, Seen, Times
from benchmarks.machine import Cores, cpu_seconds, resident_mib
from benchmarks.report import Figure
from benchmarks.stage import Stage, set_up

CLIENTS = 64
STREAMS = 32
BUSY = 0.85
"""Share of its core below which the gateway was waiting, so that the figure says what the load could ask for."""
SHIPPED_WITHIN = 20.0
"""Seconds that the rows may take to be in the ledger after the last answer."""


@dataclass(slots=True)
class Measured:
    """Everything that came out."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Why the figures are not to be believed."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    seen: Seen
    beside: Seen | None
    cpu_us: float | None
    """Of the gateway, for each call that reached the upstream through it."""
    busy: float | None
    """The gateway's share of one core."""

    @property
    def per_second(self) -> float | None:
        return self.seen.answers / self.seen.seconds if self.seen.seconds else None


def measure(seconds: float, cores: Cores) -> Measured:
    """About `seconds` of load, besides starts and stops. Raises `Failed` if there is nothing to measure."""
    out = Measured()
    with set_up(cores) as stage:
        idle = resident_mib(stage.gateway.pid)
        _load(out, stage, Job(stage.door, stream=False, connections=1, seconds=seconds * 0.04))
        _load(out, stage, Job(stage.door, stream=True, connections=1, seconds=seconds * 0.04))
        out.figures += _added_latency(out, stage, seconds * 0.2)
        out.figures += _added_ttft(out, stage, seconds * 0.15)
        out.figures += _calls(out, stage, seconds * 0.3)
        out.figures += _streams(out, stage, seconds * 0.27)
        out.figures += [
            Figure("rss_idle_mib", "memory before the first load", idle, "MiB"),
            Figure("rss_after_mib", "memory after the last", resident_mib(stage.gateway.pid), "MiB"),
            Figure("first_answer_s", "start to first answer", stage.first_answer_s, "s"),
            *_books(out, stage),
        ]
    return out


def _calls(out: Measured, stage: Stage, seconds: float) -> Iterator[Figure]:
    loaded = _load(out, stage, Job(stage.door, stream=False, connections=CLIENTS, seconds=seconds))
    _bound_by_load(out, "calls/s", loaded)
    yield Figure("calls_per_s", f"calls, {CLIENTS} clients", loaded.per_second, "/s")
    yield Figure("cpu_us_per_call", "  CPU of the gateway per call", loaded.cpu_us, "µs")
    yield Figure("calls_p50_ms", "  time of an answer, p50", _p50(loaded.seen.whole), "ms")
    yield Figure("calls_p99_ms", "  time of an answer, p99", _p99(loaded.seen.whole), "ms")


def _streams(out: Measured, stage: Stage, seconds: float) -> Iterator[Figure]:
    loaded = _load(out, stage, Job(stage.door, stream=True, connections=STREAMS, seconds=seconds))
    _bound_by_load(out, "streams/s", loaded)
    yield Figure("streams_per_s", f"streams, {STREAMS} at once", loaded.per_second, "/s")
    yield Figure("cpu_us_per_stream", "  CPU of the gateway per stream", loaded.cpu_us, "µs")
    yield Figure("streams_ttft_p50_ms", "  time to first word, p50", _p50(loaded.seen.first_word), "ms")
    yield Figure("streams_ttft_p99_ms", "  time to first word, p99", _p99(loaded.seen.first_word), "ms")


def _added_latency(out: Measured, stage: Stage, seconds: float) -> Iterator[Figure]:
    job = Job(stage.door, stream=False, connections=1, seconds=seconds, beside=stage.direct)
    loaded = _load(out, stage, job)
    ours, direct = loaded.seen.whole, loaded.beside.whole if loaded.beside else None
    yield Figure("added_p50_ms", "added latency, 1 client, p50", _minus(_p50(ours), _p50(direct)), "ms")
    yield Figure("added_p99_ms", "added latency, 1 client, p99", _minus(_p99(ours), _p99(direct)), "ms")


def _added_ttft(out: Measured, stage: Stage, seconds: float) -> Iterator[Figure]:
    job = Job(stage.door, stream=True, connections=1, seconds=seconds, beside=stage.direct)
    loaded = _load(out, stage, job)
    ours, direct = loaded.seen.first_word, loaded.beside.first_word if loaded.beside else None
    yield Figure("added_ttft_p50_ms", "added time to first word, 1 stream, p50", _minus(_p50(ours), _p50(direct)), "ms")
    yield Figure("added_ttft_p99_ms", "added time to first word, 1 stream, p99", _minus(_p99(ours), _p99(direct)), "ms")


def _books(out: Measured, stage: Stage) -> Iterator[Figure]:
    """Rows against calls: as soon as they agree, or when patience ends."""
    deadline = monotonic() + SHIPPED_WITHIN
    calls, rows = stage.calls(), stage.rows()
    while rows < calls and monotonic() < deadline:
        sleep(0.02)
        rows = stage.rows()
    if rows != calls:
        out.wrong.append(f"the ledger has {rows} rows for {calls} calls at the upstream")
    yield Figure("rows", "rows in the ledger", rows, "")
    yield Figure("calls", "calls at the upstream", calls, "")


def _load(out: Measured, stage: Stage, job: Job) -> _Loaded:
    pid = stage.gateway.pid
    calls, cpu = stage.calls(), cpu_seconds(pid)
    seen, beside = stage.load(job)
    calls, used = stage.calls() - calls, _minus(cpu_seconds(pid), cpu)
    for one, who in ((seen, "the gateway"), (beside, "the upstream")):
        if one is not None and (one.bad or not one.answers):
            out.wrong.append(f"{one.bad} answers of {who} were not whole and well, {one.answers} were: {one.why}")
    per_call = None if used is None or not calls else used / calls * 1e6
    busy = None if used is None or not seen.seconds else used / seen.seconds
    return _Loaded(seen, beside, per_call, busy)


def _bound_by_load(out: Measured, what: str, loaded: _Loaded) -> None:
    if loaded.busy is not None and loaded.busy < BUSY:
        out.notes.append(
            f"{what} is a lower bound: the gateway used {loaded.busy:.0%} of a core and waited for the load, "
            "or for the machine; compare the CPU per call"
        )


def _p50(times: Times | None) -> float | None:
    return None if times is None else times.p50


def _p99(times: Times | None) -> float | None:
    return None if times is None else times.p99


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
