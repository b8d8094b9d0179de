"""Ended calls as rows of the ledger.

Rows are positional tuples in the order of the column lists here; no dictionary per row, for thousands come each second.
Money is not computed here: a sum over attempts is the record's own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import orjson

from gateway.core.calls import CallRecord
from gateway.core.usage import BUCKETS
from gateway.storage.bulk import Values
from gateway.storage.tables import DIMENSIONS, TIMINGS, calls

CALL_COLUMNS = tuple(column.name for column in calls.c if column.name != "seq")
# Avoided, reserve, held: no cache and no hold of this version makes them anything else.
_NO_SUCH_MONEY = (0, 0, 0)

_INDEX_ENTRY = 2600
"""Bytes that the key of a rollup may have in an index of PostgreSQL, which takes 2,704, less its other parts."""

_SUMMED_BY = tuple(CALL_COLUMNS.index(name) for name in DIMENSIONS)

_buckets = attrgetter(*BUCKETS)
_timings = attrgetter(*TIMINGS)


def _json(labels: Mapping[str, str]) -> str:
    try:
        return orjson.dumps(labels, default=dict).decode()
    except TypeError:  # a lone surrogate, which the standard library escapes
        return json.dumps(dict(labels))


def call_row(record: CallRecord) -> Values:
    """Values of `CALL_COLUMNS`."""
    facts = record.facts
    tries = record.attempts
    # Most calls have one attempt, whose figures are the call's; the sums cost ten times as much.
    if len(tries) == 1:
        only = tries[0]
        usage, basis, cost = only.usage, only.usage_basis, only.cost_nano
        at_least = (only.cost_at_least_nano or 0) if cost is None else None
    else:
        usage, basis, cost, at_least = record.usage, record.usage_basis, record.cost_nano, record.cost_at_least_nano
    return (
        facts.id,
        facts.started_us,
        record.ended_us or None,
        facts.path,
        facts.key_id,
        facts.key,
        facts.team,
        _json(facts.labels) if facts.labels else "{}",
        facts.session,
        facts.end_user,
        facts.model,
        record.target,
        record.provider,
        int(facts.stream),
        str(record.end),
        record.status,
        record.error,
        record.cache,
        len(tries),
        *_buckets(usage),
        str(basis),
        cost,
        at_least,
        *_NO_SUCH_MONEY,
        record.price_book,
        *_timings(record.timings),
    )


def attempt_rows(record: CallRecord) -> list[Values]:
    """One row per attempt, in the order of the table's columns."""
    return [
        (
            record.facts.id,
            attempt.index,
            attempt.target,
            attempt.provider,
            str(attempt.end),
            attempt.started_us,
            attempt.status,
            attempt.error,
            attempt.duration_ms,
            *_buckets(attempt.usage),
            str(attempt.usage_basis),
            attempt.tokenizer,
            attempt.raw_usage,
            attempt.cost_nano,
            attempt.cost_at_least_nano,
            attempt.provider_cost_nano,
            attempt.unpriced_because,
            attempt.price_book,
            attempt.upstream_request_id,
            attempt.price_conditions,
        )
        for attempt in record.attempts
    ]


def charge_rows(record: CallRecord) -> list[Values]:
    """One row per charge, in the order of the table's columns."""
    call_id = record.facts.id
    return [
        (call_id, attempt.index, charge.bucket, charge.quantity, charge.usd_per_million, charge.amount_nano)
        for attempt in record.attempts
        for charge in attempt.charges
    ]


@dataclass(slots=True)
class LedgerRows:
    """The rows of some calls, table by table."""

    calls: list[Values] = field(default_factory=list)
    attempts: list[Values] = field(default_factory=list)
    charges: list[Values] = field(default_factory=list)


def rows_of(records: Sequence[CallRecord]) -> LedgerRows:
    """Everything that the ledger keeps of these calls."""
    rows = LedgerRows()
    for record in records:
        rows.calls.append(call_row(record))
        rows.attempts += attempt_rows(record)
        rows.charges += charge_rows(record)
    return rows


def mended(rows: LedgerRows) -> LedgerRows:
    """The same rows in a form that a database takes that refused them.

    What JSON can carry and SQL cannot, lone surrogates everywhere and NUL in PostgreSQL, becomes a question mark. Names
    that calls are summed by are cut where they do not fit into an index of PostgreSQL together.
    """
    shortened = [_shortened(row) for row in rows.calls]
    return LedgerRows(*(list(map(_mended_row, table)) for table in (shortened, rows.attempts, rows.charges)))


def _mended_row(row: Values) -> Values:
    return tuple(
        value.encode(errors="replace").decode().replace("\0", "?") if isinstance(value, str) else value for value in row
    )


def _shortened(row: Values) -> Values:
    names = {place: value.encode(errors="replace") for place in _SUMMED_BY if isinstance(value := row[place], str)}
    if sum(map(len, names.values())) <= _INDEX_ENTRY:
        return row
    share = _INDEX_ENTRY // len(_SUMMED_BY)
    return tuple(
        names[place][:share].decode(errors="ignore") if place in names else value for place, value in enumerate(row)
    )
