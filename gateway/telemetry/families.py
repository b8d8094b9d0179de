"""The names of the metrics, their labels and help: counts as Prometheus wants them.

Money becomes a float here and only here, because the format knows nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from gateway.core.money import NANO_PER_USD
from gateway.core.usage import BILLED_BUCKETS
from gateway.telemetry.counts import HISTOGRAMS, Calls, Counts, Histogram, Spend, Told

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

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

    def told(self, before: Mapping[str, Any]) -> Told:
        """For the other workers; what only grows, on top of what a predecessor told `before`."""
        mine = asdict(self)
        for name in _GROWING:
            if before.get(name) is not None:
                mine[name] = (mine[name] or 0) + before[name]
        return mine

    @classmethod
    def of_all(cls, told: Sequence[Told]) -> "StorageStats":
        """Of several workers as if they were one."""
        known = {name: [one[name] for one in told if one[name] is not None] for name in _NAMES}
        return cls(
            **{name: (max if name in _SHARED else sum)(values) if values else None for name, values in known.items()}
        )


_NAMES: Final = tuple(field.name for field in fields(StorageStats))
_GROWING: Final = ("corrupt_frames", "torn_frames", "log_lines_dropped", "newer_frames")
_SHARED: Final = ("oldest_frame_age_seconds", "dead_letters", "journal_max_bytes")
"""Every worker tells of the same file or bound, or the worst of them counts; all else adds up."""

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


def families(version: str, counts: Counts, stats: StorageStats) -> Iterator[Family]:
    """Everything. Safe in another thread than the one that counts: it copies before it walks."""
    build = GaugeMetricFamily("tollkeeper_build_info", "The version that runs.", labels=("version",))
    build.add_metric((version,), 1)
    yield build
    rejected = CounterMetricFamily(
        "tollkeeper_rejected_requests", "Requests without a valid key, which leave no row.", labels=("reason",)
    )
    for reason, count in list(counts.rejected.items()):
        rejected.add_metric((reason,), count)
    yield rejected
    yield from _call_families(list(counts.calls.items()))
    yield from _spend_families(list(counts.spend.items()))
    yield from _histogram_families(list(counts.histograms.items()))
    yield from _storage_families(stats)


def _call_families(rows: Iterable[tuple[tuple[str | None, ...], Calls]]) -> Iterator[Family]:
    ended = CounterMetricFamily("tollkeeper_calls", "Calls, by how they ended.", labels=_CALL_LABELS)
    unpriced = CounterMetricFamily("tollkeeper_unpriced_calls", "Calls whose cost is unknown.", labels=_CALL_LABELS)
    estimated = CounterMetricFamily("tollkeeper_estimated_calls", "Calls with estimated usage.", labels=_CALL_LABELS)
    for labels, calls in rows:
        values = [label or "" for label in labels]
        ended.add_metric(values, calls.ended)
        unpriced.add_metric(values, calls.unpriced)
        estimated.add_metric(values, calls.estimated)
    yield from (ended, unpriced, estimated)


def _spend_families(rows: Iterable[tuple[tuple[str | None, ...], Spend]]) -> Iterator[Family]:
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


def _histogram_families(rows: list[tuple[tuple[str, ...], tuple[Histogram, ...]]]) -> Iterator[Family]:
    for index, (_, name, documentation, _) in enumerate(HISTOGRAMS):
        family = HistogramMetricFamily(f"tollkeeper_{name}_seconds", documentation, labels=_TARGET_LABELS)
        for labels, histograms in rows:
            family.add_metric(labels, histograms[index].buckets(), histograms[index].total)
        yield family


def _storage_families(stats: StorageStats) -> Iterator[Family]:
    for attribute, kind, name, documentation in _STORAGE:
        if (value := getattr(stats, attribute)) is not None:
            yield kind(f"tollkeeper_{name}", documentation, value=value)
