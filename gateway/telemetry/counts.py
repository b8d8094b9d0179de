"""What the metrics count, as plain integers: of one process, or the sum over several.

Money is kept in whole nano-dollars. Knows neither Prometheus nor what a label may be.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeAlias

from gateway.core.calls import Attempt, CallRecord, End, Timings
from gateway.core.usage import BILLED_BUCKETS, Basis

Told: TypeAlias = Mapping[str, Any]
"""Counts as plain values that JSON has words for."""

# The buckets of OpenTelemetry's GenAI conventions, seconds, so that gateway and engine compare.
_OPERATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
# What the gateway itself adds lies far below those; a bucket for every factor of two from 50 µs.
_OVERHEAD = (0.00005, 0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512, 0.1024)

HISTOGRAMS: tuple[tuple[str, str, str, tuple[float, ...]], ...] = (
    ("duration_ms", "call_duration", "A call, from its first byte to its last.", _OPERATION),
    ("ttft_ms", "time_to_first_token", "Upstream asked to first content; streams only.", _FIRST_TOKEN),
    ("itl_p50_ms", "inter_token_latency", "Median gap between the content events of one stream.", _PER_TOKEN),
    ("overhead_ms", "overhead", "Call received to upstream asked: what the gateway adds.", _OVERHEAD),
)
_timings: Callable[[Timings], tuple[float | None, ...]] = attrgetter(*(name for name, *_ in HISTOGRAMS))


class Histogram:
    """Counts by bucket; cumulative only when asked."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, milliseconds: Iterable[float | None]) -> None:
        """Some values; nulls are passed over."""
        bounds, counts = self.bounds, self.counts
        for value in milliseconds:
            if value is not None:
                seconds = value / 1000
                counts[bisect_left(bounds, seconds)] += 1
                self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """`(upper bound, how many at or below it)`, the last one `+Inf`."""
        names = [*map(str, self.bounds), "+Inf"]
        running, rows = 0, []
        for name, count in zip(names, self.counts, strict=True):
            running += count
            rows.append((name, float(running)))
        return rows


@dataclass(slots=True)
class Calls:
    """One combination of path, team, target, provider and end; its histograms belong to the target."""

    histograms: tuple[Histogram, ...]
    ended: int = 0
    unpriced: int = 0
    estimated: int = 0

    def add(self, records: Sequence[CallRecord]) -> None:
        """Calls that belong to this combination, some at once: column by column that is cheaper than one by one."""
        self.ended += len(records)
        columns = zip(*[_timings(record.timings) for record in records], strict=True)
        for histogram, milliseconds in zip(self.histograms, columns, strict=True):
            histogram.observe(milliseconds)
        for record in records:
            unpriced = estimated = False
            for attempt in record.attempts:
                unpriced = unpriced or attempt.cost_nano is None
                estimated = estimated or attempt.usage_basis is Basis.ESTIMATED
            self.unpriced += unpriced
            self.estimated += estimated


def _no_counts() -> dict[Basis, list[int]]:
    return {basis: [0] * len(BILLED_BUCKETS) for basis in Basis}


@dataclass(slots=True)
class Spend:
    """What the attempts at one target used and cost, for one team."""

    ended: Counter[End] = field(default_factory=Counter)
    counts: dict[Basis, list[int]] = field(default_factory=_no_counts)
    cost_nano: int = 0

    def add(self, attempts: Sequence[Attempt]) -> None:
        self.ended.update([attempt.end for attempt in attempts])
        self.cost_nano += sum([attempt.cost_nano or 0 for attempt in attempts])
        for basis, sums in self.counts.items():
            usages = [attempt.usage.billed() for attempt in attempts if attempt.usage_basis is basis]
            for place, counts in enumerate(zip(*usages, strict=True)):
                sums[place] += sum(filter(None, counts))

    def add_sums(self, cost_nano: int, ends: Mapping[str, int], counts: Mapping[str, list[int]]) -> None:
        """What the attempts of another process used and cost."""
        self.cost_nano += cost_nano
        for end, number in ends.items():
            self.ended[End(end)] += number
        for basis, theirs in counts.items():
            mine = self.counts[Basis(basis)]
            mine[:] = [ours + more for ours, more in zip(mine, theirs, strict=True)]


class Counts:
    """Everything that is counted, by labels."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str | None, ...], Calls] = {}
        """By path, team, target, provider and end."""
        self.spend: dict[tuple[str | None, ...], Spend] = {}
        """By target, provider and team."""
        self.histograms: dict[tuple[str, ...], tuple[Histogram, ...]] = {}
        """By target and provider, in the order of `HISTOGRAMS`."""
        self.rejected: Counter[str] = Counter()

    def calls_of(self, path: str, team: str, target: str, provider: str, end: End) -> Calls:
        key = (path, team, target, provider, end)
        if key not in self.calls:
            self.calls[key] = Calls(self.histograms_of(target, provider))
        return self.calls[key]

    def spend_of(self, target: str, provider: str, team: str) -> Spend:
        return self.spend.setdefault((target, provider, team), Spend())

    def histograms_of(self, target: str, provider: str) -> tuple[Histogram, ...]:
        key = (target, provider)
        if key not in self.histograms:
            self.histograms[key] = tuple(Histogram(bounds) for *_, bounds in HISTOGRAMS)
        return self.histograms[key]

    def told(self) -> Told:
        """All of it. Safe in another thread than the one that counts: it copies before it walks."""
        return {
            "calls": [(*key, one.ended, one.unpriced, one.estimated) for key, one in list(self.calls.items())],
            "spend": [
                (*key, one.cost_nano, dict(one.ended), {basis: list(sums) for basis, sums in one.counts.items()})
                for key, one in list(self.spend.items())
            ],
            "histograms": [
                (*key, [(list(one.counts), one.total) for one in of_target])
                for key, of_target in list(self.histograms.items())
            ],
            "rejected": dict(self.rejected),
        }

    def add(self, told: Told) -> None:
        """Add what another process told of its own."""
        for path, team, target, provider, end, ended, unpriced, estimated in told["calls"]:
            calls = self.calls_of(path, team, target, provider, End(end))
            calls.ended += ended
            calls.unpriced += unpriced
            calls.estimated += estimated
        for target, provider, team, cost_nano, ends, sums in told["spend"]:
            self.spend_of(target, provider, team).add_sums(cost_nano, ends, sums)
        for target, provider, of_target in told["histograms"]:
            for histogram, (counts, total) in zip(self.histograms_of(target, provider), of_target, strict=True):
                histogram.counts = [mine + theirs for mine, theirs in zip(histogram.counts, counts, strict=True)]
                histogram.total += total
        self.rejected.update(told["rejected"])
