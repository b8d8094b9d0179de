"""Sums over calls: what the hourly rollups hold and what every report adds up.

The one accumulator: the ledger builds rollups with it, and a report sums rollups and single calls with it,
so that the two agree to the nano-dollar. Knows neither hours nor dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.core.calls import End
from gateway.core.money import Nano
from gateway.core.sketch import Sketch
from gateway.core.usage import BUCKETS, Basis, Usage

ERRORS = (End.FAILED, End.CUT_BY_UPSTREAM)
"""The ends that count as errors."""

FIGURES = (
    "end", "attempts", *BUCKETS, "usage_basis", "cost_nano", "cost_at_least_nano", "avoided_nano", "reserve_nano",
    "ttft_ms", "itl_p50_ms", "duration_ms", "output_tokens_per_second",
)  # fmt: skip
"""What one call adds to the sums: fields of its record, in this order."""

_FIRST_BUCKET = FIGURES.index(BUCKETS[0])
_OUTPUT, _REASONING = FIGURES.index("output"), FIGURES.index("reasoning")
_PAST_BUCKETS = _FIRST_BUCKET + len(BUCKETS)

_Column: TypeAlias = tuple[Any, ...]


@dataclass(slots=True)
class Rollup:
    """The sums of some calls. A sum is null while none of its parts is known, never 0 by ignorance."""

    calls: int = 0
    attempts: int = 0
    errors: int = 0
    counts: list[int | None] = field(default_factory=lambda: [None] * len(BUCKETS))
    """Known usage, in the order of `BUCKETS`."""
    cost_nano: Nano | None = None
    """The known costs; the calls without one are `unpriced_calls`."""
    cost_at_least_nano: Nano | None = None
    """The priced parts of the unpriced calls."""
    avoided_nano: Nano = 0
    reserve_nano: Nano = 0
    unpriced_calls: int = 0
    estimated_calls: int = 0
    generated_tokens: int = 0
    """Output and reasoning tokens of the calls whose speed is known; with `generation_us` the mean speed."""
    generation_us: int = 0
    ttft_ms: Sketch = field(default_factory=Sketch)
    itl_ms: Sketch = field(default_factory=Sketch)
    """Each call's median gap between two content events."""
    duration_ms: Sketch = field(default_factory=Sketch)

    def add(self, calls: Sequence[Sequence[Any]], at: Sequence[int] = range(len(FIGURES))) -> None:
        """Count some calls, each with its values of `FIGURES` at these places.

        Column by column: thousands of calls come each second, and the interpreter sums a column in one step.
        """
        if not calls:
            return
        given: list[_Column] = list(zip(*calls, strict=True))
        columns = [given[place] for place in at]
        ends, attempts = columns[:_FIRST_BUCKET]
        bases, costs, at_least, avoided, reserve, ttfts, gaps, durations, speeds = columns[_PAST_BUCKETS:]
        self.calls += len(calls)
        self.attempts += sum(attempts)
        self.errors += sum(map(ends.count, ERRORS))
        for place, counts in enumerate(columns[_FIRST_BUCKET:_PAST_BUCKETS]):
            self.counts[place] = _sum_known(self.counts[place], _sum_of(counts))
        self.cost_nano = _sum_known(self.cost_nano, _sum_of(costs))
        self.cost_at_least_nano = _sum_known(self.cost_at_least_nano, _sum_of(at_least))
        self.unpriced_calls += sum([cost is None for cost in costs])
        self.avoided_nano += sum(avoided)
        self.reserve_nano += sum(reserve)
        self.estimated_calls += bases.count(Basis.ESTIMATED)
        self.ttft_ms.add(ttfts)
        self.itl_ms.add(gaps)
        self.duration_ms.add(durations)
        if speeds.count(None) < len(speeds):
            self._add_speeds(columns[_OUTPUT], columns[_REASONING], ttfts, durations, speeds)

    def _add_speeds(
        self, output: _Column, reasoning: _Column, ttfts: _Column, durations: _Column, speeds: _Column
    ) -> None:
        for written, thought, ttft, duration, speed in zip(output, reasoning, ttfts, durations, speeds, strict=True):
            if speed is not None and ttft is not None and duration is not None:
                self.generated_tokens += (written or 0) + (thought or 0)
                # Whole microseconds: a sum of floats would depend on its order.
                self.generation_us += round((duration - ttft) * 1000)

    def merge(self, other: "Rollup") -> None:
        """Count everything that the other has counted."""
        self.calls += other.calls
        self.attempts += other.attempts
        self.errors += other.errors
        self.counts = list(map(_sum_known, self.counts, other.counts))
        self.cost_nano = _sum_known(self.cost_nano, other.cost_nano)
        self.cost_at_least_nano = _sum_known(self.cost_at_least_nano, other.cost_at_least_nano)
        self.avoided_nano += other.avoided_nano
        self.reserve_nano += other.reserve_nano
        self.unpriced_calls += other.unpriced_calls
        self.estimated_calls += other.estimated_calls
        self.generated_tokens += other.generated_tokens
        self.generation_us += other.generation_us
        self.ttft_ms.merge(other.ttft_ms)
        self.itl_ms.merge(other.itl_ms)
        self.duration_ms.merge(other.duration_ms)

    @property
    def usage(self) -> Usage:
        """The known counts; a bucket that no call knows is null."""
        return Usage(*self.counts)

    @property
    def spent_nano(self) -> Nano | None:
        """The known costs; null if they come to nothing while a cost is unknown: 0 would say that nothing was spent."""
        known = self.cost_nano or 0
        return None if known == 0 and self.unpriced_calls else known

    @property
    def output_tokens_per_second(self) -> float | None:
        """Tokens of all calls over the time they took to generate them, so that a long answer weighs more."""
        return self.generated_tokens * 1e6 / self.generation_us if self.generation_us else None


def _sum_of(column: _Column) -> int | None:
    """The sum of what is known in it; null if nothing is."""
    try:
        return sum(column)  # mostly all or nothing is known, and either shows at once
    except TypeError:
        known = [number for number in column if number is not None]
        return sum(known) if known else None


def _sum_known(one: int | None, other: int | None) -> int | None:
    if one is None:
        return other
    return one if other is None else one + other
