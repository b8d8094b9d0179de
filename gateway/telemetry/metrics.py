"""Prometheus metrics: counts what ended, tells it when it is scraped.

Owns the bound on how many series there may be. Labels come from the configuration (targets, teams, paths), never from
what a client can make up, and never name a person or a key.

The counting runs on the event loop, many calls at once, so it touches plain integers: prometheus_client's own
counters take a lock for each increment. It must not know where journal and ledger live, nor how workers reach each
other: it is handed callables.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from gateway.core.calls import Attempt, CallRecord, End
from gateway.telemetry.counts import Calls, Counts, Spend, Told
from gateway.telemetry.families import Family, StorageStats, families
from gateway.telemetry.process import process_families, process_figures

__all__ = ["MAX_PATHS", "MAX_REASONS", "MAX_TARGETS", "MAX_TEAMS", "OTHER", "Known", "Metrics", "StorageStats"]

OTHER = "other"
"""The label of everything beyond the bounds below."""
_AT_ONCE = 256
"""Calls that are counted together."""
MAX_TARGETS, MAX_TEAMS, MAX_PATHS, MAX_REASONS = 300, 100, 40, 20


@dataclass(frozen=True, slots=True)
class Known:
    """How much is known of the calls since the start of this process, or of all workers."""

    calls: int
    unpriced: int
    """Without a known cost."""
    estimated: int
    """With estimated usage."""


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
        *,
        everybody: Callable[[], Sequence[Told]] | None = None,
        before: Told | None = None,
    ) -> None:
        """`known_target` says whether a target deserves a label: a client can ask for any name it likes.

        Where several workers serve as one, `everybody` gives what each of them has `told`, this one now; `before` is
        what this one's predecessor told, which died: a counter that fell would look like a new beginning.
        """
        self._version = version
        self._known_target = known_target
        self._storage = storage
        self._everybody = everybody
        self._before = before
        self._targets, self._teams = _Names(MAX_TARGETS), _Names(MAX_TEAMS)
        self._paths, self._reasons = _Names(MAX_PATHS), _Names(MAX_REASONS)
        self._counts = Counts()
        if before is not None:
            self._counts.add(before["counts"])
        self._ended: deque[CallRecord] = deque()
        self._counting = threading.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def call_ended(self, record: CallRecord) -> None:
        """Remember one call, to be counted with others or when somebody asks: in one go it takes half the time."""
        self._ended.append(record)
        if len(self._ended) >= _AT_ONCE:
            self.count_all()

    def count_all(self) -> None:
        """Count those that wait. On the event loop, or in the thread of whoever asks."""
        with self._counting:
            alike: dict[tuple[str, str | None, str, str, End], list[CallRecord]] = {}
            while self._ended:
                record = self._ended.popleft()
                facts, attempts = record.facts, record.attempts
                target, provider = (attempts[-1].target, attempts[-1].provider) if attempts else ("", "")
                alike.setdefault((facts.path, facts.team, target, provider, record.end), []).append(record)
            for (path, team, target, provider, end), records in alike.items():
                self._calls_of(path, team, target, provider, end).add(records)
                self._spend_by(team, [attempt for record in records for attempt in record.attempts])

    def _spend_by(self, team: str | None, attempts: Sequence[Attempt]) -> None:
        alike: dict[tuple[str, str], list[Attempt]] = {}
        for attempt in attempts:
            alike.setdefault((attempt.target, attempt.provider), []).append(attempt)
        for (target, provider), some in alike.items():
            self._spend_of(target, provider, team).add(some)

    def rejected(self, reason: str) -> None:
        """Count one request that presented no valid key. `reason` is one of a few words, never the key."""
        self._counts.rejected[self._reasons(reason)] += 1

    def told(self) -> Told:
        """What this process has counted, for the other workers; with what its predecessors had."""
        self.count_all()
        before = self._before or {}
        return {
            "counts": self._counts.told(),
            "storage": self._storage().told(before.get("storage", {})),
            "process": process_figures(before.get("process", {})),
        }

    def known(self) -> Known:
        """How much is known of what has ended so far, over all series and all workers. Safe in another thread."""
        rows = list(self._sum(self._told_by_all()).calls.values())
        return Known(
            sum(row.ended for row in rows), sum(row.unpriced for row in rows), sum(row.estimated for row in rows)
        )

    def storage(self) -> StorageStats:
        """How far the durable record lags behind, over all workers. Safe in another thread."""
        told = self._told_by_all()
        return self._storage() if told is None else StorageStats.of_all([one["storage"] for one in told])

    def collect(self) -> Iterator[Family]:
        """Everything, as Prometheus wants it. Safe in another thread."""
        told = self._told_by_all()
        if told is None:
            yield from families(self._version, self._sum(None), self._storage())
            yield from process_families([process_figures({})])
            return
        # Nothing but what was told: what one worker shows now, no other may show less of later.
        yield from families(self._version, self._sum(told), StorageStats.of_all([one["storage"] for one in told]))
        yield from process_families([one["process"] for one in told])

    def _told_by_all(self) -> Sequence[Told] | None:
        """By every worker, this one now; null for one that serves alone."""
        return None if self._everybody is None else self._everybody()

    def _sum(self, told: Sequence[Told] | None) -> Counts:
        """What the workers told, added up; the own counts where there are no others."""
        if told is None:
            self.count_all()
            return self._counts
        counts = Counts()
        for one in told:
            counts.add(one["counts"])
        return counts

    def _target(self, name: str, provider: str) -> str:
        if not name or self._known_target(name):
            return self._targets(name or None)
        return f"{provider}/{OTHER}"

    def _calls_of(self, path: str, team: str | None, target: str, provider: str, end: End) -> Calls:
        """The series of a combination not met before, or met only under the label `other`."""
        return self._counts.calls_of(
            self._paths(path), self._teams(team), self._target(target, provider), provider, end
        )

    def _spend_of(self, target: str, provider: str, team: str | None) -> Spend:
        return self._counts.spend_of(self._target(target, provider), provider, self._teams(team))
