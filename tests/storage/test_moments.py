"""Times in the contract's words, and where an interval begins."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.moments import Interval, interval_start, moment
from tests.storage.calls import START_US


def test_times_are_rfc_3339_in_utc() -> None:
    assert moment(START_US) == "2026-10-31T08:00:00Z"
    assert moment(START_US + 1_500) == "2026-10-31T08:00:00.001500Z"
    assert moment(0) == "1970-01-01T00:00:00Z"


@given(st.integers(0, 4_000_000_000_000_000))
def test_no_microsecond_is_lost(us: int) -> None:
    time = datetime.fromisoformat(moment(us))
    assert time.tzinfo == UTC
    assert (time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() == pytest.approx(us / 1e6, abs=1e-6)


@pytest.mark.parametrize(
    ("interval", "start"),
    [("hour", "2026-10-31T08:00:00Z"), ("day", "2026-10-31T00:00:00Z"), ("month", "2026-10-01T00:00:00Z")],
)
def test_intervals_begin_on_the_calendar(interval: Interval, start: str) -> None:
    """Known fault 45: "monthly" is a month, not thirty days from somewhere."""
    assert moment(interval_start(START_US + 59 * 60_000_000 + 1, interval)) == start
