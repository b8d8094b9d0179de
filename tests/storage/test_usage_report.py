"""A report of usage: hourly sums put into rows, and written as the contract writes them (§5)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.core.calls import CallRecord, End
from gateway.core.usage import BUCKETS
from gateway.storage.ledger_rows import CALL_COLUMNS, rows_of
from gateway.storage.moments import Interval
from gateway.storage.rollup_rows import adder
from gateway.storage.usage_report import Sums, UsageReport
from tests.storage.calls import HOUR_US, START_US, a_call, an_attempt, with_facts


def report_of(records: Sequence[CallRecord], group_by: Sequence[str], interval: Interval | None = None) -> UsageReport:
    sums = Sums(group_by, interval)
    for key, rollup in adder(CALL_COLUMNS)(rows_of(records).calls).items():
        sums.add(key, rollup)
    return sums.report()


def test_usage_in_the_contracts_words() -> None:
    failed = replace(a_call(2, attempts=[an_attempt(cost_nano=None)]), end=End.FAILED)
    sums = {
        "calls": 2,
        "attempts": 2,
        "errors": 1,
        "usage": {**dict.fromkeys(BUCKETS), "input": 400, "cache_read": 1600, "output": 200},
        "cost_usd": "0.001600000",
        "avoided_usd": "0.000000000",
        "reserve_usd": "0.000000000",
        "unpriced_calls": 1,
        "estimated_calls": 0,
        "ttft_ms": {name: pytest.approx(151.2, rel=0.01) for name in ("p50", "p95", "p99")},
        "itl_ms": {name: pytest.approx(10.1, rel=0.01) for name in ("p50", "p95", "p99")},
        "duration_ms": {name: pytest.approx(262.0, rel=0.01) for name in ("p50", "p95", "p99")},
        "output_tokens_per_second": 902.5,
    }
    assert report_of([a_call(1), failed], ["team", "model"], "hour").as_json() == {
        "rows": [{"team": "platform", "model": "fast", "start": "2026-10-31T08:00:00Z", **sums}],
        "totals": sums,
    }


def test_usage_of_nothing() -> None:
    report = report_of([], ["team"])
    none = {"p50": None, "p95": None, "p99": None}
    assert report.as_json() == {
        "rows": [],
        "totals": {
            **dict.fromkeys(("calls", "attempts", "errors", "unpriced_calls", "estimated_calls"), 0),
            **dict.fromkeys(("cost_usd", "avoided_usd", "reserve_usd"), "0.000000000"),
            **dict.fromkeys(("ttft_ms", "itl_ms", "duration_ms"), none),
            "usage": dict.fromkeys(BUCKETS),
            "output_tokens_per_second": None,
        },
    }


def test_a_row_without_interval_has_no_start() -> None:
    (row,) = report_of([a_call(1)], ["key"]).rows
    assert row.start_us is None
    assert "start" not in row.as_json()


def test_a_cost_that_nobody_knows_is_null() -> None:
    """Known fault 13: unknown is null, not zero."""
    (row,) = report_of([a_call(1, attempts=[an_attempt(cost_nano=None)])], ["key"]).rows
    assert row.as_json()["cost_usd"] is None


def test_calls_that_have_no_team_are_a_group_of_their_own() -> None:
    report = report_of([a_call(1), with_facts(a_call(2), team=None)], ["team"])
    assert sorted((row.group["team"] or "none") for row in report.rows) == ["none", "platform"]
    assert None in [row.as_json()["team"] for row in report.rows]


def test_rows_come_by_start_then_the_dearest_first() -> None:
    costs = {1: 10, 2: 30, 3: 20, 4: 99}
    records = [
        with_facts(
            a_call(number, at_us=START_US + (HOUR_US if number == 4 else 0), attempts=[an_attempt(cost_nano=cost)]),
            team=f"team-{number}",
        )
        for number, cost in costs.items()
    ]
    rows = report_of(records, ["team"], "hour").rows
    assert [row.group["team"] for row in rows] == ["team-2", "team-3", "team-1", "team-4"]


def test_the_totals_are_those_of_the_rows() -> None:
    """Known fault 83: totals are not those of the first page."""
    report = report_of([with_facts(a_call(number), team=f"team-{number}") for number in range(5)], ["team"])
    assert report.totals.calls == sum(row.sums.calls for row in report.rows) == 5
    assert report.totals.spent_nano == sum(row.sums.spent_nano or 0 for row in report.rows) == 8_000_000
