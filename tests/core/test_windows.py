"""Windows of the calendar: without gap or overlap in any zone, over days of 23, 24 and 25 hours (known fault 45)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.windows import LIFETIME, Span, Window, span_of

BERLIN = "Europe/Berlin"
HOUR_US = 3_600_000_000
CALENDAR = [window for window in Window if window is not Window.LIFETIME]
ZONES = [
    "UTC",
    BERLIN,
    "America/New_York",
    "America/Santiago",  # clocks skip midnight
    "America/Havana",  # midnight comes twice
    "Australia/Lord_Howe",  # summer time of half an hour
    "Asia/Kolkata",
    "Pacific/Apia",  # a whole day was skipped
    "Pacific/Kiritimati",
]


def us(text: str) -> int:
    """A moment as RFC 3339 has it, in microseconds."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("window", "zone", "at", "start", "end"),
    [
        (Window.HOUR, "UTC", "2026-03-01T15:43:00Z", "2026-03-01T15:00:00Z", "2026-03-01T16:00:00Z"),
        (Window.HOUR, "Asia/Kolkata", "2026-03-01T15:43:00Z", "2026-03-01T15:30:00Z", "2026-03-01T16:30:00Z"),
        (Window.DAY, "UTC", "2026-03-01T15:43:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        (Window.DAY, BERLIN, "2026-03-01T23:30:00Z", "2026-03-01T23:00:00Z", "2026-03-02T23:00:00Z"),
        (Window.DAY, BERLIN, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        (Window.DAY, BERLIN, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        (Window.WEEK, "UTC", "2026-03-01T15:43:00Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
        (Window.WEEK, BERLIN, "2026-03-30T00:00:00Z", "2026-03-29T22:00:00Z", "2026-04-05T22:00:00Z"),
        (Window.MONTH, "UTC", "2026-02-11T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        (Window.MONTH, BERLIN, "2026-03-11T00:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"),
        (Window.MONTH, "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (Window.QUARTER, "UTC", "2026-12-31T23:59:59Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (Window.QUARTER, "UTC", "2026-05-31T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        (Window.YEAR, BERLIN, "2026-12-31T23:30:00Z", "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z"),
        (Window.DAY, "America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"),
        (Window.DAY, "America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
    ],
)
def test_a_window_is_one_of_the_calendar(window: Window, zone: str, at: str, start: str, end: str) -> None:
    """Not thirty days for a month, and not from the first call on."""
    assert span_of(window, ZoneInfo(zone), us(at)) == Span(us(start), us(end))


def test_a_lifetime_never_begins_anew() -> None:
    assert span_of(Window.LIFETIME, ZoneInfo(BERLIN), us("2026-03-01T15:43:00Z")) is LIFETIME
    assert LIFETIME.holds(us("2999-01-01T00:00:00Z"))


def test_the_days_on_which_clocks_change_have_23_and_25_hours() -> None:
    zone = ZoneInfo(BERLIN)
    spans = [span_of(Window.DAY, zone, us(f"{day}T12:00:00Z")) for day in ("2026-03-29", "2026-10-25")]
    assert [(span.end_us or 0) - span.start_us for span in spans] == [23 * HOUR_US, 25 * HOUR_US]


@given(
    window=st.sampled_from(CALENDAR),
    zone=st.sampled_from(ZONES),
    at_us=st.integers(us("1980-01-01T00:00:00Z"), us("2037-01-01T00:00:00Z")),
)
@example(window=Window.DAY, zone="Pacific/Apia", at_us=us("2011-12-30T10:30:00Z"))
@example(window=Window.HOUR, zone="Australia/Lord_Howe", at_us=us("2026-04-04T15:10:00Z"))
def test_windows_follow_each_other_without_gap_or_overlap(window: Window, zone: str, at_us: int) -> None:
    """Each moment lies in exactly one: whoever asks at its begin, in it, or at its end gets the same answer."""
    here = ZoneInfo(zone)
    span = span_of(window, here, at_us)
    assert span.end_us is not None
    assert span.holds(at_us)
    assert span_of(window, here, span.start_us) == span
    assert span_of(window, here, span.end_us - 1) == span
    following = span_of(window, here, span.end_us)
    assert following.start_us == span.end_us
    assert following != span
