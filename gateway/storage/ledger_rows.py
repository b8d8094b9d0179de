"""Ended calls as rows of the ledger.

Rows are positional tuples in the order of the column lists here; no dictionary per row, for thousands come each second.
Money is not computed here: a sum over attempts is the record's own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from gateway.core.calls import Attempt, CallRecord
from gateway.storage.bulk import Values
from gateway.storage.tables import DIMENSIONS, calls

CALL_COLUMNS = tuple(column.name for column in calls.c if column.name != "seq")
_AVOIDED = 0
"""No cache of this version makes it anything else."""

_INDEX_ENTRY = 2600
"""Bytes that the key of a rollup may have in an index of PostgreSQL, which takes 2,704, less its other parts."""

_SUMMED_BY = tuple(CALL_COLUMNS.index(name) for name in DIMENSIONS)


def _json(labels: Mapping[str, str]) -> str:
    try:
        return orjson.dumps(labels, default=dict).decode()
    except TypeError:  # a lone surrogate, which the standard library escapes
        return json.dumps(dict(labels))


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
        call_id, tries = record.facts.id, record.attempts
        # Most calls have one attempt, whose figures are the call's; the sums cost ten times as much.
        spent = tries[0] if len(tries) == 1 else record
        usage = spent.usage.values()
        rows.calls.append(_call_row(record, spent, usage))
        for attempt in tries:
            rows.attempts.append(_attempt_row(call_id, attempt, usage if attempt is spent else attempt.usage.values()))
            index = attempt.index
            for charge in attempt.charges:
                rows.charges.append(
                    (call_id, index, charge.bucket, charge.quantity, charge.usd_per_million, charge.amount_nano)
                )
    return rows


def _call_row(record: CallRecord, spent: Attempt | CallRecord, usage: Values) -> Values:
    """Values of `CALL_COLUMNS`; `spent` says what the call cost."""
    facts, timings = record.facts, record.timings
    last = record.attempts[-1] if record.attempts else None
    cost = spent.cost_nano
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
        last and last.target,
        last and last.provider,
        int(facts.stream),
        record.end._value_,
        record.status,
        record.error,
        record.cache,
        len(record.attempts),
        *usage,
        spent.usage_basis._value_,
        cost,
        (spent.cost_at_least_nano or 0) if cost is None else None,
        _AVOIDED,
        spent.reserve_nano,
        spent.hold_nano if isinstance(spent, Attempt) else spent.held_nano,
        last and last.price_book,
        timings.overhead_ms,
        timings.connect_ms,
        timings.ttft_ms,
        timings.first_reasoning_ms,
        timings.duration_ms,
        timings.itl_p50_ms,
        timings.itl_p95_ms,
        timings.itl_max_ms,
        timings.output_tokens_per_second,
        record.limit_lowered_to,
        record.downgraded_from,
    )


def _attempt_row(call_id: str, attempt: Attempt, usage: Values) -> Values:
    """Values in the order of the table's columns."""
    return (
        call_id,
        attempt.index,
        attempt.target,
        attempt.provider,
        attempt.end._value_,
        attempt.started_us,
        attempt.status,
        attempt.error,
        attempt.duration_ms,
        *usage,
        attempt.usage_basis._value_,
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
