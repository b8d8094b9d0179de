"""Which period a report is due for, and what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.alerts.event import event_of, resolved, text_of, title_of
from gateway.core.summary import EVERY, BudgetLine, Facts, Schedule, due, report_of
from gateway.core.windows import Window, span_of

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"]
DAILY = Schedule("daily", Window.DAY, "Europe/Berlin")
BERLIN = ZoneInfo("Europe/Berlin")


def us(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc,arg-type]  # a date's parts


@pytest.mark.parametrize(
    ("schedule", "now", "name", "at"),
    [
        (DAILY, us(2026, 11, 27, 7), "2026-11-26", us(2026, 11, 27, 7)),
        (DAILY, us(2026, 11, 27, 7) - 1, "2026-11-25", us(2026, 11, 26, 7)),
        (replace(DAILY, zone="UTC", minute=0), us(2026, 3, 1), "2026-02-28", us(2026, 3, 1)),
        (replace(DAILY, every=Window.WEEK), us(2026, 11, 23, 7), "2026-W47", us(2026, 11, 23, 7)),
        (replace(DAILY, every=Window.WEEK), us(2027, 1, 4, 12), "2026-W53", us(2027, 1, 4, 7)),
        (replace(DAILY, every=Window.MONTH), us(2027, 1, 1, 8), "2026-12", us(2027, 1, 1, 7)),
        # At half past two the clocks of Berlin show half past three.
        (replace(DAILY, minute=150), us(2026, 3, 29, 2), "2026-03-28", us(2026, 3, 29, 1, 30)),
    ],
)
def test_it_is_due_for_the_last_period_that_is_over(schedule: Schedule, now: int, name: str, at: int) -> None:
    found = due(schedule, ZoneInfo(schedule.zone), now)
    assert (found.name, found.at_us) == (name, at)


@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from(EVERY),
    minute=st.integers(0, 24 * 60 - 1),
    at=st.integers(us(2024, 1, 1), us(2029, 1, 1)),
    later=st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_periods_follow_one_another_and_none_is_left_out(
    zone: str, every: Window, minute: int, at: int, later: timedelta
) -> None:
    schedule, here = Schedule("r", every, zone, minute), ZoneInfo(zone)
    first, second = (due(schedule, here, moment) for moment in (at, at + later // timedelta(microseconds=1)))
    for found in (first, second):
        assert found.before.end_us == found.span.start_us
        assert found.span.end_us is not None
        assert found.span.end_us <= found.at_us
        assert span_of(every, here, found.span.start_us) == found.span
    assert first.at_us <= at
    assert (first.name == second.name) is (first.span == second.span)
    assert first.span.start_us <= second.span.start_us
    # The next one is due as soon as this one's successor ends, and its hour has come.
    following = due(schedule, here, second.at_us)
    assert following == second
    assert due(schedule, here, second.at_us - 1).span == second.before


USAGE = {"input": 1000, "cache_read": 500, "output": 200, "reasoning": None, "web_searches": 3}
TOTALS: dict[str, Any] = {
    "calls": 1204, "errors": 12, "usage": USAGE, "cost_usd": "12.340000000", "avoided_usd": "0.000000000",
    "reserve_usd": "0.500000000", "unpriced_calls": 3, "estimated_calls": 24,
}  # fmt: skip
NONE = {**TOTALS, "calls": 0, "errors": 0, "usage": {}, "cost_usd": "0.000000000", "reserve_usd": "0.000000000",
        "unpriced_calls": 0, "estimated_calls": 0}  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"team": "search", "calls": 800, "cost_usd": "8.000000000"},
    {"team": None, "calls": 3, "cost_usd": None},
    {"team": "ads", "calls": 401, "cost_usd": "4.340000000"},
]
PERIOD = due(DAILY, BERLIN, us(2026, 11, 27, 7))


def text(totals: dict[str, Any], before: dict[str, Any], **more: Any) -> str:
    schedule = replace(DAILY, top=2)
    return text_of(report_of(schedule, PERIOD, Facts(totals, before, more.pop("rows", {}), **more), 7), "https://g/1")


def test_a_person_understands_it_at_a_glance() -> None:
    budgets = [BudgetLine("all", "310.000000000", "500.000000000"), BudgetLine("new", None, "5.000000000")]
    before = {**TOTALS, "cost_usd": "11.420000000"}
    assert text(TOTALS, before, rows={"team": ROWS}, budgets=budgets) == "\n".join([
        "2026-11-26 (Europe/Berlin): $12.34 for 1,204 calls, 8 % more than the day before ($11.42)",
        "1,500 tokens in, 200 tokens out, 12 failed",
        "3 calls have no known cost, which is not in the sum",
        "2.0% of the calls are estimated",
        "$0.50 in reserve beside the cost",
        "by team",
        "  search: $8.00 (65 %), 800 calls",
        "  none: an unknown sum, 3 calls",
        "  and 1 more",
        "budgets",
        "  all: $310.00 of $500.00 (62 %)",
        "  new: not counted yet, of $5.00",
        "since: 1970-01-01T00:00:00.000007Z",
        "rule: daily, info",
        "https://g/1",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("totals", "before", "said"),
    [
        (NONE, TOTALS, "2026-11-26 (Europe/Berlin): no calls (1,204 the day before)"),
        (TOTALS, NONE, "$12.34 for 1,204 calls, nothing the day before"),
        (TOTALS, TOTALS, "as much as the day before ($12.34)"),
        ({**TOTALS, "cost_usd": "6.17"}, TOTALS, "50 % less than the day before ($12.34)"),
        ({**TOTALS, "cost_usd": None}, TOTALS, "an unknown sum for 1,204 calls, the day before: $12.34"),
        ({**TOTALS, "calls": 1, "errors": 0}, {**TOTALS, "cost_usd": None}, "for 1 call, the day before: an unknown"),
        ({**TOTALS, "errors": 0, "usage": {"output": None}}, TOTALS, "tokens in, an unknown number"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_said_to_be(totals: dict[str, Any], before: dict[str, Any], said: str) -> None:
    assert said in text(totals, before)


def test_a_ledger_that_is_behind_is_told() -> None:
    assert "calls may be missing" in text(TOTALS, TOTALS, missing=True)
    assert "calls may be missing" not in text(TOTALS, TOTALS)


def test_programs_get_the_figures() -> None:
    report = report_of(DAILY, PERIOD, Facts(TOTALS, NONE, {"team": ROWS}), 7)
    event: Any = event_of(report, None)
    assert (event["type"], event["data"]["window"], event["data"]["severity"]) == ("report.ready", "2026-11-26", "info")
    for shown in (report, resolved(report, 8)):
        assert title_of(shown) == "daily 2026-11-26: $12.34 for 1204 calls"
    told = event["data"]["facts"]
    assert told["rows"] == {"team": ROWS}
    assert (told["cost_usd"], told["cost_before_usd"], told["calls_before"]) == ("12.340000000", "0.000000000", 0)
    assert (told["input_tokens"], told["output_tokens"], told["complete"]) == (1500, 200, True)
