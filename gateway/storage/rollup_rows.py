"""Rows of `calls` as figures to sum, and sums as rows of `rollups_hourly`.

The ledger, as it writes, and the reports, as they read, take a call's figures from the same columns.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeAlias

from sqlalchemy import BigInteger, Select, Text, and_, func, literal, select, tuple_

from gateway.core.rollups import FIGURES, Rollup
from gateway.core.sketch import Sketch
from gateway.core.usage import BUCKETS
from gateway.storage.address import DialectName
from gateway.storage.bulk import Values
from gateway.storage.lean import ARRAY
from gateway.storage.tables import DIMENSIONS, rollups_hourly

HOUR_US = 3_600_000_000
"""Microseconds of an hour."""

FIGURE_COLUMNS = ("started_us", *DIMENSIONS, *(name for name in FIGURES if name not in DIMENSIONS))
"""The columns of `calls` that matter to the sums."""

ROLLUP_COLUMNS = tuple(rollups_hourly.c.keys())
KEY_COLUMNS = ("hour_us", *DIMENSIONS)
_CALLS_AT = len(KEY_COLUMNS)
_COUNTS_AT = ROLLUP_COLUMNS.index(BUCKETS[0])
_SUMS_AT = _COUNTS_AT + len(BUCKETS)

Group: TypeAlias = tuple[str, ...]
"""Values of `DIMENSIONS`; empty text where a call has none, for in SQL null is never the same as null."""


class RollupKey(NamedTuple):
    """What a row of `rollups_hourly` is of."""

    hour_us: int
    group: Group


Rollups: TypeAlias = dict[RollupKey, Rollup]


class AddUp(Protocol):
    """Makes the sums of rows, or adds them to those that there are."""

    def __call__(self, rows: Iterable[Sequence[Any]], rollups: Rollups | None = None) -> Rollups: ...


def adder(columns: Sequence[str]) -> AddUp:
    """What makes the hourly sums of rows of `calls` that have these columns."""
    at = {name: place for place, name in enumerate(columns)}
    started = at["started_us"]
    group_of = itemgetter(*(at[name] for name in DIMENSIONS))
    figures_at = [at[name] for name in FIGURES]

    def add_up(rows: Iterable[Sequence[Any]], rollups: Rollups | None = None) -> Rollups:
        groups: dict[tuple[int, Sequence[Any]], list[Sequence[Any]]] = {}
        for row in rows:
            key = row[started] // HOUR_US, group_of(row)
            group = groups.get(key)
            if group is None:
                groups[key] = [row]
            else:
                group.append(row)
        if rollups is None:
            rollups = {}
        for (hour, names), calls in groups.items():
            of = RollupKey(hour * HOUR_US, tuple([name or "" for name in names]))
            rollups.setdefault(of, Rollup()).add(calls, figures_at)
        return rollups

    return add_up


def merge_stored(rollups: Rollups, stored: Iterable[Sequence[Any]]) -> None:
    """Add what the database has under the same keys, as values of `ROLLUP_COLUMNS`."""
    for row in stored:
        key, sums = stored_rollup(row)
        # The few into the many: a stored sketch has more bins than a batch fills.
        sums.merge(rollups[key])
        rollups[key] = sums


def rollup_row(key: RollupKey, sums: Rollup) -> Values:
    """Values of `ROLLUP_COLUMNS`."""
    return (
        key.hour_us,
        *key.group,
        sums.calls,
        sums.attempts,
        sums.errors,
        *sums.counts,
        sums.cost_nano,
        sums.cost_at_least_nano,
        sums.avoided_nano,
        sums.reserve_nano,
        sums.unpriced_calls,
        sums.estimated_calls,
        sums.generated_tokens,
        sums.generation_us,
        *(sketch.to_bytes() if sketch.count else None for sketch in (sums.ttft_ms, sums.itl_ms, sums.duration_ms)),
    )


def stored_rollup(row: Sequence[Any]) -> tuple[RollupKey, Rollup]:
    """Key and sums from values of `ROLLUP_COLUMNS`."""
    calls, attempts, errors = row[_CALLS_AT:_COUNTS_AT]
    *plain, ttft, itl, duration = row[_SUMS_AT:]
    counts = list(row[_COUNTS_AT:_SUMS_AT])
    sums = Rollup(calls, attempts, errors, counts, *plain)
    sums.ttft_ms, sums.itl_ms, sums.duration_ms = map(_sketch, (ttft, itl, duration))
    return RollupKey(row[0], tuple(row[1:_CALLS_AT])), sums


def _sketch(data: bytes | None) -> Sketch:
    return Sketch() if data is None else Sketch.from_bytes(data)


def select_rollups(keys: Sequence[RollupKey], dialect: DialectName) -> Select[Any]:
    """The rows with these keys."""
    columns = [rollups_hourly.c[name] for name in KEY_COLUMNS]
    values = [(key.hour_us, *key.group) for key in keys]
    if dialect == "sqlite":
        return select(rollups_hourly).where(tuple_(*columns).in_(values))
    # A parameter for each column, not for each value, of which the driver would have to read thousands.
    hours, *groups = zip(*values, strict=True)
    arrays = [literal(hours, ARRAY(BigInteger)), *(literal(group, ARRAY(Text)) for group in groups)]
    wanted = func.unnest(*arrays).table_valued(*KEY_COLUMNS, name="wanted").render_derived()
    same = [column == wanted.c[column.name] for column in columns]
    return select(rollups_hourly).join(wanted, and_(*same))
