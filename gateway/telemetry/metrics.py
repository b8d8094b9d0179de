"""Prometheus metrics: counts what ended, tells it when it is scraped.

Owns the metric names, their labels and the bound on how many series there may be. Labels come from the
configuration (targets, teams, paths), never from what a client can make up, and never name a person or a key.
Money is kept in whole nano-dollars; it becomes a float at the scrape only, because the format knows nothing else.

The counting runs after every call on the event loop, so it touches plain integers: prometheus_client's own
counters take a lock for each increment. It must not know where journal and ledger live: it is handed a callable.
"""

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from gateway.core.calls import Attempt, CallRecord, End, Timings
from gateway.core.money import NANO_PER_USD
from gateway.core.usage import BILLED_BUCKETS, Basis

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

OTHER = "other"
"""The label of everything beyond the bounds below."""
_AT_ONCE = 256
"""Calls that are counted together."""
MAX_TARGETS, MAX_TEAMS, MAX_PATHS, MAX_REASONS = 300, 100, 40, 20

# The buckets of OpenTelemetry's GenAI conventions, seconds, so that gateway and engine compare.
_OPERATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
# What the gateway itself adds lies far below those; a bucket for every factor of two from 50 µs.
_OVERHEAD = (0.00005, 0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512, 0.1024)

_HISTOGRAMS: tuple[tuple[str, str, str, tuple[float, ...]], ...] = (
    ("duration_ms", "call_duration", "A call, from its first byte to its last.", _OPERATION),
    ("ttft_ms", "time_to_first_token", "Upstream asked to first content; streams only.", _FIRST_TOKEN),
    ("itl_p50_ms", "inter_token_latency", "Median gap between the content events of one stream.", _PER_TOKEN),
    ("overhead_ms", "overhead", "Call received to upstream asked: what the gateway adds.", _OVERHEAD),
)
_timings: Callable[[Timings], tuple[float | None, ...]] = attrgetter(*(name for name, *_ in _HISTOGRAMS))

_CALL_LABELS = ("path", "team", "target", "provider", "end")
_SPEND_LABELS = ("target", "provider", "team")
_TARGET_LABELS = ("target", "provider")


@dataclass(frozen=True, slots=True)
class StorageStats:
    """How far the durable record lags behind, at one moment. Null: nobody can say right now."""

    backlog_bytes: int | None = None
    """Journal bytes that have not reached SQL."""
    oldest_frame_age_seconds: float | None = None
    """Age of the oldest frame that has not reached SQL; 0 without backlog."""
    journal_bytes: int | None = None
    """Bytes the journal takes on disk, reservations included."""
    dead_letters: int | None = None
    """Rows that SQL refused and a file keeps."""
    corrupt_frames: int | None = None
    torn_frames: int | None = None
    log_lines_dropped: int | None = None
    journal_max_bytes: int | None = None
    """The bound at which calls are refused."""
    journals_left: int | None = None
    """Journals of dead processes that are not replayed to their end yet."""
    newer_frames: int | None = None


_STORAGE: tuple[tuple[str, type[CounterMetricFamily] | type[GaugeMetricFamily], str, str], ...] = (
    ("backlog_bytes", GaugeMetricFamily, "journal_backlog_bytes", "Journal bytes not yet in the ledger."),
    ("oldest_frame_age_seconds", GaugeMetricFamily, "journal_oldest_frame_age_seconds", "Its oldest frame's age."),
    ("journal_bytes", GaugeMetricFamily, "journal_bytes", "Bytes the journal takes on disk."),
    ("dead_letters", GaugeMetricFamily, "ledger_dead_letters", "Rows that the database refused."),
    ("corrupt_frames", CounterMetricFamily, "journal_corrupt_frames", "Frames whose checksum did not hold."),
    ("torn_frames", CounterMetricFamily, "journal_torn_frames", "Frames cut off at the end of a dead journal."),
    ("log_lines_dropped", CounterMetricFamily, "log_lines_dropped", "Log lines given up because nobody read them."),
    ("journal_max_bytes", GaugeMetricFamily, "journal_max_bytes", "Bytes at which new calls are refused."),
    ("journals_left", GaugeMetricFamily, "journals_left", "Journals of dead processes, not replayed yet."),
    ("newer_frames", CounterMetricFamily, "journal_newer_frames", "Frames that only a newer release can read."),
)


class _Histogram:
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


@dataclass(frozen=True, slots=True)
class Known:
    """How much is known of the calls since the start of this process."""

    calls: int
    unpriced: int
    """Without a known cost."""
    estimated: int
    """With estimated usage."""


@dataclass(slots=True)
class _Calls:
    """One combination of path, team, target, provider and end; its histograms belong to the target."""

    histograms: tuple[_Histogram, ...]
    ended: int = 0
    unpriced: int = 0
    estimated: int = 0


def _no_counts() -> dict[Basis, list[int]]:
    return {basis: [0] * len(BILLED_BUCKETS) for basis in Basis}


@dataclass(slots=True)
class _Spend:
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


class _Names:
    """At most `limit` different label values; whatever comes later is `other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: set[str] = set()

    def __call__(self, name: str | None) -> str:
        if name is None or name in self._seen:
            return name or ""
        if len(self._seen) >= self._limit:
            return OTHER
        self._seen.add(name)
        return name


class Metrics(Collector):
    """The observer that counts and the collector that tells. `registry` is what `/metrics` exports."""

    def __init__(
        self,
        version: str,
        known_target: Callable[[str], bool],
        storage: Callable[[], StorageStats] = StorageStats,
    ) -> None:
        """`known_target` says whether a target deserves a label: a client can ask for any name it likes."""
        self._version = version
        self._known_target = known_target
        self._storage = storage
        self._targets, self._teams = _Names(MAX_TARGETS), _Names(MAX_TEAMS)
        self._paths, self._reasons = _Names(MAX_PATHS), _Names(MAX_REASONS)
        self._calls: dict[tuple[str | None, ...], _Calls] = {}
        self._spend: dict[tuple[str | None, ...], _Spend] = {}
        self._histograms: dict[tuple[str, ...], tuple[_Histogram, ...]] = {}
        self._rejected: Counter[str] = Counter()
        self._ended: deque[CallRecord] = deque()
        self._counting = threading.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def call_ended(self, record: CallRecord) -> None:
        """Remember one call, to be counted with others or when somebody asks: in one go it takes half the time."""
        self._ended.append(record)
        if len(self._ended) >= _AT_ONCE:
            self._count_all()

    def _count_all(self) -> None:
        """On the event loop, or in the thread of whoever asks."""
        with self._counting:
            alike: dict[tuple[str, str | None, str, str, End], list[CallRecord]] = {}
            while self._ended:
                record = self._ended.popleft()
                facts, attempts = record.facts, record.attempts
                target, provider = (attempts[-1].target, attempts[-1].provider) if attempts else ("", "")
                alike.setdefault((facts.path, facts.team, target, provider, record.end), []).append(record)
            for (path, team, target, provider, end), records in alike.items():
                self._count(self._calls_of(path, team, target, provider, end), records)
                self._spend_by(team, [attempt for record in records for attempt in record.attempts])

    def _count(self, calls: _Calls, records: Sequence[CallRecord]) -> None:
        """Calls that belong to one series."""
        calls.ended += len(records)
        columns = zip(*[_timings(record.timings) for record in records], strict=True)
        for histogram, milliseconds in zip(calls.histograms, columns, strict=True):
            histogram.observe(milliseconds)
        for record in records:
            unpriced = estimated = False
            for attempt in record.attempts:
                unpriced = unpriced or attempt.cost_nano is None
                estimated = estimated or attempt.usage_basis is Basis.ESTIMATED
            calls.unpriced += unpriced
            calls.estimated += estimated

    def _spend_by(self, team: str | None, attempts: Sequence[Attempt]) -> None:
        alike: dict[tuple[str, str], list[Attempt]] = {}
        for attempt in attempts:
            alike.setdefault((attempt.target, attempt.provider), []).append(attempt)
        for (target, provider), some in alike.items():
            self._spend_of(target, provider, team).add(some)

    def rejected(self, reason: str) -> None:
        """Count one request that presented no valid key. `reason` is one of a few words, never the key."""
        self._rejected[self._reasons(reason)] += 1

    def known(self) -> Known:
        """How much is known of what has ended so far, over all series."""
        self._count_all()
        rows = list(self._calls.values())
        return Known(
            sum(row.ended for row in rows), sum(row.unpriced for row in rows), sum(row.estimated for row in rows)
        )

    def collect(self) -> Iterator[Family]:
        """Everything, as Prometheus wants it. Safe in another thread: it copies before it walks."""
        self._count_all()
        build = GaugeMetricFamily("tollkeeper_build_info", "The version that runs.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build
        rejected = CounterMetricFamily(
            "tollkeeper_rejected_requests", "Requests without a valid key, which leave no row.", labels=("reason",)
        )
        for reason, count in list(self._rejected.items()):
            rejected.add_metric((reason,), count)
        yield rejected
        yield from _call_families(list(self._calls.items()))
        yield from _spend_families(list(self._spend.items()))
        yield from _histogram_families(list(self._histograms.items()))
        yield from _storage_families(self._storage())

    def _target(self, name: str, provider: str) -> str:
        if not name or self._known_target(name):
            return self._targets(name or None)
        return f"{provider}/{OTHER}"

    def _calls_of(self, path: str, team: str | None, target: str, provider: str, end: End) -> _Calls:
        """The series of a combination not met before, or met only under the label `other`."""
        target = self._target(target, provider)
        key = (self._paths(path), self._teams(team), target, provider, end)
        if key not in self._calls:
            histograms = self._histograms.setdefault(
                (target, provider), tuple(_Histogram(bounds) for *_, bounds in _HISTOGRAMS)
            )
            self._calls[key] = _Calls(histograms)
        return self._calls[key]

    def _spend_of(self, target: str, provider: str, team: str | None) -> _Spend:
        return self._spend.setdefault((self._target(target, provider), provider, self._teams(team)), _Spend())


def _call_families(rows: Iterable[tuple[tuple[str | None, ...], _Calls]]) -> Iterator[Family]:
    ended = CounterMetricFamily("tollkeeper_calls", "Calls, by how they ended.", labels=_CALL_LABELS)
    unpriced = CounterMetricFamily("tollkeeper_unpriced_calls", "Calls whose cost is unknown.", labels=_CALL_LABELS)
    estimated = CounterMetricFamily("tollkeeper_estimated_calls", "Calls with estimated usage.", labels=_CALL_LABELS)
    for labels, calls in rows:
        values = [label or "" for label in labels]
        ended.add_metric(values, calls.ended)
        unpriced.add_metric(values, calls.unpriced)
        estimated.add_metric(values, calls.estimated)
    yield from (ended, unpriced, estimated)


def _spend_families(rows: Iterable[tuple[tuple[str | None, ...], _Spend]]) -> Iterator[Family]:
    attempts = CounterMetricFamily("tollkeeper_attempts", "Attempts, by end.", labels=(*_SPEND_LABELS, "end"))
    usage = CounterMetricFamily(
        "tollkeeper_usage",
        "Tokens (web_searches: searches) in disjoint buckets, by where the count comes from.",
        labels=(*_SPEND_LABELS, "bucket", "basis"),
    )
    cost = CounterMetricFamily("tollkeeper_cost_usd", "Known cost; see the unpriced calls.", labels=_SPEND_LABELS)
    for labels, spend in rows:
        values = [label or "" for label in labels]
        cost.add_metric(values, spend.cost_nano / NANO_PER_USD)
        for end, count in list(spend.ended.items()):
            attempts.add_metric((*values, end), count)
        for basis, sums in spend.counts.items():
            for bucket, total in zip(BILLED_BUCKETS, sums, strict=True):
                if total:
                    usage.add_metric((*values, bucket, basis), total)
    yield from (attempts, usage, cost)


def _histogram_families(rows: list[tuple[tuple[str, ...], tuple[_Histogram, ...]]]) -> Iterator[Family]:
    for index, (_, name, documentation, _) in enumerate(_HISTOGRAMS):
        family = HistogramMetricFamily(f"tollkeeper_{name}_seconds", documentation, labels=_TARGET_LABELS)
        for labels, histograms in rows:
            family.add_metric(labels, histograms[index].buckets(), histograms[index].total)
        yield family


def _storage_families(stats: StorageStats) -> Iterator[Family]:
    for attribute, kind, name, documentation in _STORAGE:
        if (value := getattr(stats, attribute)) is not None:
            yield kind(f"tollkeeper_{name}", documentation, value=value)
