"""The scheduled report: which period it is due for, and what it says of one (usage, told to people).

Adds nothing up: its figures are those of the usage report, as JSON. What nobody knows is said to be unknown.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from gateway.core.alerts.event import REPORT, Alert, Severity, shown_usd
from gateway.core.usage import INPUT_BUCKETS
from gateway.core.value import value
from gateway.core.windows import Span, Window, span_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAMES: Mapping[Window, str] = {Window.DAY: "%Y-%m-%d", Window.WEEK: "%G-W%V", Window.MONTH: "%Y-%m"}
EVERY = tuple(_NAMES)
"""How often there can be one."""
DEFAULT_BY = ("team", "model")


@value(frozen=True)
class Schedule:
    """A report, as somebody wants it."""

    name: str
    every: Window
    """One of `EVERY`."""
    zone: str = "UTC"
    minute: int = 8 * 60
    """Of the day, by the zone's clock, on the first day after the period."""
    by: tuple[str, ...] = DEFAULT_BY
    """Dimensions of usage, a table of each."""
    top: int = 5
    """Lines of each table."""
    channels: tuple[str, ...] = ()


@value(frozen=True)
class Due:
    """A period that has ended, whose report may be made."""

    span: Span
    before: Span
    """The one before it, to compare with."""
    at_us: int
    """From when on."""
    name: str
    """`2026-11-26`, `2026-W48`, `2026-10`, by the zone's calendar."""


def due(schedule: Schedule, zone: tzinfo, now_us: int) -> Due:
    """The last period whose report may be made by now."""
    here = span_of(schedule.every, zone, now_us)
    if now_us < _told_at(here, schedule, zone):
        here = _before(schedule.every, zone, here)
    span = _before(schedule.every, zone, here)
    return Due(
        span,
        _before(schedule.every, zone, span),
        _told_at(here, schedule, zone),
        f"{_local(span.start_us, zone):{_NAMES[schedule.every]}}",
    )


def _before(every: Window, zone: tzinfo, span: Span) -> Span:
    return span_of(every, zone, span.start_us - 1)


def _told_at(span: Span, schedule: Schedule, zone: tzinfo) -> int:
    """When, in this span, the report of the one before it is told. A time that the clocks skip comes an hour later."""
    first = _local(span.start_us, zone)
    wanted = datetime(first.year, first.month, first.day, *divmod(schedule.minute, 60), tzinfo=zone)
    return max(span.start_us, (wanted.astimezone(UTC) - _EPOCH) // _MICROSECOND)


def _local(at_us: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


# --- what it says ---------------------------------------------------------------------------------------------------


@value(frozen=True)
class BudgetLine:
    """How a budget stands when the report is made; decimal text in USD."""

    name: str
    spent_usd: str | None
    """Null: it has not begun to count."""
    limit_usd: str


@value(frozen=True)
class Facts:
    """What is known of a period: usage reports as JSON, of it and of the one before."""

    totals: Mapping[str, Any]
    before: Mapping[str, Any]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    """By dimension."""
    budgets: Sequence[BudgetLine] = ()
    missing: bool = False
    """The ledger has not caught up: calls may be missing."""


def report_of(schedule: Schedule, of: Due, facts: Facts, now_us: int) -> Alert:
    """The report, as an alert that waits for nobody: there is one of each name and period."""
    totals = facts.totals
    told = {
        "report": schedule.name,
        "period": of.name,
        "timezone": schedule.zone,
        **{name: totals[name] for name in _TOLD},
        "input_tokens": _tokens(totals, into=True),
        "output_tokens": _tokens(totals, into=False),
        "cost_before_usd": facts.before["cost_usd"],
        "calls_before": facts.before["calls"],
        "rows": {name: [_row(name, row) for row in rows] for name, rows in facts.rows.items()},
        "complete": not facts.missing,
    }
    text = "\n".join(_lines(schedule, of, facts))
    return Alert(schedule.name, REPORT, schedule.name, of.name, now_us, Severity.INFO, told, text)


_TOLD = ("calls", "errors", "cost_usd", "avoided_usd", "reserve_usd", "unpriced_calls", "estimated_calls")


def _row(dimension: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {dimension: row[dimension], "calls": row["calls"], "cost_usd": row["cost_usd"]}


def _lines(schedule: Schedule, of: Due, facts: Facts) -> list[str]:
    totals = facts.totals
    lines = [f"{of.name} ({schedule.zone}): {_headline(schedule.every, totals, facts.before)}"]
    if facts.missing:
        lines.append("The ledger has not caught up yet: calls may be missing in these figures.")
    if totals["calls"]:
        lines.append(_tokens_line(totals))
        lines += _doubts(totals)
    for dimension, rows in facts.rows.items():
        if rows:
            lines += [f"by {dimension}", *_table(dimension, rows[: schedule.top], totals)]
            if len(rows) > schedule.top:
                lines.append(f"  and {len(rows) - schedule.top} more")
    if facts.budgets:
        lines += ["budgets", *(_budget(line) for line in facts.budgets[: schedule.top])]
    return lines


def _headline(every: Window, totals: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    if not totals["calls"]:
        return f"no calls ({before['calls']:,} the {every} before)"
    calls = f"{totals['calls']:,} call{'s' if totals['calls'] != 1 else ''}"
    return f"{shown_usd(totals['cost_usd'])} for {calls}, {_change(totals['cost_usd'], before['cost_usd'], every)}"


def _change(now: str | None, before: str | None, every: Window) -> str:
    if now is None or before is None:
        return f"the {every} before: {shown_usd(before)}"
    if not Decimal(before):
        return f"nothing the {every} before"
    percent = (Decimal(now) / Decimal(before) - 1) * 100
    if abs(percent) < Decimal("0.5"):
        return f"as much as the {every} before ({shown_usd(before)})"
    return f"{abs(percent):,.0f} % {'more' if percent > 0 else 'less'} than the {every} before ({shown_usd(before)})"


def _tokens_line(totals: Mapping[str, Any]) -> str:
    tokens = [_tokens(totals, into=into) for into in (True, False)]
    said = ["an unknown number of tokens" if some is None else f"{some:,} tokens" for some in tokens]
    errors = f"{totals['errors']:,} failed" if totals["errors"] else "none failed"
    return f"{said[0]} in, {said[1]} out, {errors}"


def _tokens(totals: Mapping[str, Any], *, into: bool) -> int | None:
    """What is known of them; null if nothing is."""
    known = [
        tokens
        for bucket, tokens in totals["usage"].items()
        if tokens is not None and bucket not in _NO_TOKENS and (bucket in INPUT_BUCKETS) is into
    ]
    return sum(known) if known else None


_NO_TOKENS = ("web_searches", "prediction_accepted", "prediction_rejected")
"""What is no tokens, or is in another bucket already."""


def _doubts(totals: Mapping[str, Any]) -> list[str]:
    """What is not in the cost, and what is not sure about it."""
    lines = []
    if totals["unpriced_calls"]:
        lines.append(f"{totals['unpriced_calls']:,} calls have no known cost, which is not in the sum")
    if totals["estimated_calls"]:
        lines.append(f"{totals['estimated_calls'] / totals['calls']:.1%} of the calls are estimated")
    for name, what in (("avoided_usd", "avoided by the cache"), ("reserve_usd", "in reserve beside the cost")):
        if totals[name] is not None and Decimal(totals[name]):
            lines.append(f"{shown_usd(totals[name])} {what}")
    return lines


def _table(dimension: str, rows: Sequence[Mapping[str, Any]], totals: Mapping[str, Any]) -> list[str]:
    return [
        f"  {row[dimension] or 'none'}: {shown_usd(row['cost_usd'])}{_share(row['cost_usd'], totals['cost_usd'])}, "
        f"{row['calls']:,} calls"
        for row in rows
    ]


def _budget(line: BudgetLine) -> str:
    if line.spent_usd is None:
        return f"  {line.name}: not counted yet, of {shown_usd(line.limit_usd)}"
    share = _share(line.spent_usd, line.limit_usd)
    return f"  {line.name}: {shown_usd(line.spent_usd)} of {shown_usd(line.limit_usd)}{share}"


def _share(part: str | None, whole: str | None) -> str:
    if part is None or whole is None or not Decimal(whole):
        return ""
    return f" ({Decimal(part) / Decimal(whole) * 100:.0f} %)"
