"""Sums over calls: what the hourly rollups hold and what every report adds up.

The one accumulator: the ledger builds rollups with it, and a report sums rollups and single calls with it,
so that the two agree to the nano-dollar. Knows neither hours nor dimensions.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.core.calls import End
from gateway.core.money import Nano
from gateway.core.sketch import Sketch
from gateway.core.usage import BUCKETS, Basis, Usage

ERRORS = (End.FAILED, End.CUT_BY_UPSTREAM)
"""The ends that count as errors."""

_OUTPUT = BUCKETS.index("output")
_REASONING = BUCKETS.index("reasoning")


class Figures(NamedTuple):
    """What one call adds to the sums."""

    end: str
    attempts: int
    usage: tuple[int | None, ...]
    """In the order of `BUCKETS`."""
    usage_basis: str
    cost_nano: Nano | None
    cost_at_least_nano: Nano | None
    avoided_nano: Nano
    reserve_nano: Nano
    ttft_ms: float | None
    itl_p50_ms: float | None
    duration_ms: float | None
    output_tokens_per_second: float | None


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

    def add(self, call: Figures) -> None:
        """Count one call."""
        self.calls += 1
        self.attempts += call.attempts
        self.errors += call.end in ERRORS
        self._count(call.usage)
        if call.cost_nano is None:
            self.unpriced_calls += 1
        else:
            self.cost_nano = (self.cost_nano or 0) + call.cost_nano
        if call.cost_at_least_nano is not None:
            self.cost_at_least_nano = (self.cost_at_least_nano or 0) + call.cost_at_least_nano
        self.avoided_nano += call.avoided_nano
        self.reserve_nano += call.reserve_nano
        self.estimated_calls += call.usage_basis == Basis.ESTIMATED
        self._measure(call)

    def merge(self, other: "Rollup") -> None:
        """Count everything that the other has counted."""
        self.calls += other.calls
        self.attempts += other.attempts
        self.errors += other.errors
        self._count(other.counts)
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

    def _count(self, counts: tuple[int | None, ...] | list[int | None]) -> None:
        ours = self.counts
        for place, count in enumerate(counts):
            if count is not None:
                ours[place] = (ours[place] or 0) + count

    def _measure(self, call: Figures) -> None:
        if call.duration_ms is not None:
            self.duration_ms.add(call.duration_ms)
        if call.itl_p50_ms is not None:
            self.itl_ms.add(call.itl_p50_ms)
        if call.ttft_ms is None:
            return
        self.ttft_ms.add(call.ttft_ms)
        if call.output_tokens_per_second is not None and call.duration_ms is not None:
            self.generated_tokens += (call.usage[_OUTPUT] or 0) + (call.usage[_REASONING] or 0)
            # Whole microseconds: a sum of floats would depend on its order.
            self.generation_us += round((call.duration_ms - call.ttft_ms) * 1000)


def _sum_known(one: int | None, other: int | None) -> int | None:
    if one is None:
        return other
    return one if other is None else one + other
