"""A report of usage: hourly sums put into the rows that were asked for, and written as the contract's JSON (§5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.money import usd_text
from gateway.core.rollups import Rollup
from gateway.core.sketch import Sketch
from gateway.storage.moments import Interval, interval_start, moment
from gateway.storage.rollup_rows import Group, RollupKey
from gateway.storage.tables import DIMENSIONS


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The sums of one group, in one interval."""

    start_us: int | None
    """Start of the interval, microseconds UTC; null without one."""
    group: Mapping[str, str | None]
    """Dimension to its value, in the order asked for; null for the calls that have none."""
    sums: Rollup

    def as_json(self) -> dict[str, object]:
        """The dimensions, `start` if there is an interval, and the sums."""
        start = {} if self.start_us is None else {"start": moment(self.start_us)}
        return {**self.group, **start, **sums_json(self.sums)}


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Rows by start, then the dearest first; and the sums of all of them."""

    rows: tuple[UsageRow, ...]
    totals: Rollup
    whole_hours_before_us: int | None = None
    """The period cut an hour before this time, of which only the sum is left: it counts whole. Null if it did not."""

    def as_json(self) -> dict[str, object]:
        """`{"rows": […], "totals": {…}}` of contract §5; with `whole_hours_before` if hours were taken whole."""
        before_us = self.whole_hours_before_us
        note = {} if before_us is None else {"whole_hours_before": moment(before_us)}
        return {"rows": [row.as_json() for row in self.rows], "totals": sums_json(self.totals), **note}


class Sums:
    """Collects hourly sums into the rows of a report."""

    def __init__(self, group_by: Sequence[str], interval: Interval | None) -> None:
        self._group_by = tuple(group_by)
        self._places = [DIMENSIONS.index(name) for name in group_by]
        self._interval = interval
        self._rows: dict[tuple[int | None, Group], Rollup] = {}

    def add(self, key: RollupKey, rollup: Rollup) -> None:
        """Add the sums of one hour, or of a part of it."""
        start = None if self._interval is None else interval_start(key.hour_us, self._interval)
        group = tuple(key.group[place] for place in self._places)
        row = self._rows.get((start, group))
        if row is None:
            row = self._rows[start, group] = Rollup()
        row.merge(rollup)

    def report(self) -> UsageReport:
        """Everything that was added."""
        totals = Rollup()
        for rollup in self._rows.values():
            totals.merge(rollup)
        ordered = sorted(self._rows.items(), key=lambda item: (item[0][0] or 0, -(item[1].cost_nano or 0), item[0][1]))
        return UsageReport(tuple(self._row(start, group, sums) for (start, group), sums in ordered), totals)

    def _row(self, start: int | None, group: Group, sums: Rollup) -> UsageRow:
        return UsageRow(start, {name: value or None for name, value in zip(self._group_by, group, strict=True)}, sums)


def sums_json(sums: Rollup) -> dict[str, object]:
    """The fields that rows and totals share."""
    speed = sums.output_tokens_per_second
    return {
        "calls": sums.calls,
        "attempts": sums.attempts,
        "errors": sums.errors,
        "usage": sums.usage.as_dict(),
        "cost_usd": usd_text(sums.spent_nano),
        "avoided_usd": usd_text(sums.avoided_nano),
        "reserve_usd": usd_text(sums.reserve_nano),
        "unpriced_calls": sums.unpriced_calls,
        "estimated_calls": sums.estimated_calls,
        "ttft_ms": _percentiles(sums.ttft_ms),
        "itl_ms": _percentiles(sums.itl_ms),
        "duration_ms": _percentiles(sums.duration_ms),
        "output_tokens_per_second": None if speed is None else round(speed, 1),
    }


def _percentiles(sketch: Sketch) -> dict[str, float | None]:
    quantiles = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: None if (value := sketch.quantile(q)) is None else round(value, 3) for name, q in quantiles.items()}
