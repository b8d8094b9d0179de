"""Prometheus metrics: counts what ended, tells it when it is scraped.

Owns the bound on how many series there may be. Labels come from the configuration (targets, teams, paths), never from
what a client can make up, and never name a person or a key.

The counting runs after every call on the event loop, so it touches plain integers: prometheus_client's own
counters take a lock for each increment. It must not know where journal and ledger live, nor how workers reach each
other: it is handed callables.
"""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from gateway.core.calls import CallRecord, End
from gateway.core.usage import Basis
from gateway.telemetry.counts import Calls, Counts, Spend, Told, timings_of
from gateway.telemetry.families import Family, StorageStats, families
from gateway.telemetry.process import process_families, process_figures

__all__ = ["MAX_PATHS", "MAX_REASONS", "MAX_TARGETS", "MAX_TEAMS", "OTHER", "Metrics", "StorageStats"]

OTHER = "other"
"""The label of everything beyond the bounds below."""
MAX_TARGETS, MAX_TEAMS, MAX_PATHS, MAX_REASONS = 300, 100, 40, 20


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
        self._calls, self._spend = self._counts.calls, self._counts.spend
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def call_ended(self, record: CallRecord) -> None:
        """Count one call. Called once for each, on the event loop."""
        facts, attempts = record.facts, record.attempts
        target, provider = (attempts[-1].target, attempts[-1].provider) if attempts else ("", "")
        calls = self._calls.get((facts.path, facts.team or "", target, provider, record.end))
        if calls is None:
            calls = self._calls_of(facts.path, facts.team, target, provider, record.end)
        calls.ended += 1
        for place, milliseconds in enumerate(timings_of(record.timings)):
            if milliseconds is not None:
                calls.histograms[place].observe(milliseconds / 1000)
        unpriced = estimated = False
        for attempt in attempts:
            spend = self._spend.get((attempt.target, attempt.provider, facts.team or ""))
            if spend is None:
                spend = self._spend_of(attempt.target, attempt.provider, facts.team)
            spend.add(attempt)
            if attempt.cost_nano is None:
                unpriced = True
            if attempt.usage_basis is Basis.ESTIMATED:
                estimated = True
        calls.unpriced += unpriced
        calls.estimated += estimated

    def rejected(self, reason: str) -> None:
        """Count one request that presented no valid key. `reason` is one of a few words, never the key."""
        self._counts.rejected[self._reasons(reason)] += 1

    def told(self) -> Told:
        """What this process has counted, for the other workers; with what its predecessors had."""
        before = self._before or {}
        return {
            "counts": self._counts.told(),
            "storage": self._storage().told(before.get("storage", {})),
            "process": process_figures(before.get("process", {})),
        }

    def collect(self) -> Iterator[Family]:
        """Everything, as Prometheus wants it. Safe in another thread."""
        if self._everybody is None:
            yield from families(self._version, self._counts, self._storage())
            yield from process_families([process_figures({})])
            return
        # Nothing but what was told: what one worker shows now, no other may show less of later.
        everybody = self._everybody()
        counts = Counts()
        for told in everybody:
            counts.add(told["counts"])
        yield from families(self._version, counts, StorageStats.of_all([told["storage"] for told in everybody]))
        yield from process_families([told["process"] for told in everybody])

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
