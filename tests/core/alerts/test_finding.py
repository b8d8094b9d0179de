"""Words of findings, and that each is told once."""

import pytest

from gateway.core.accounts import short
from gateway.core.alerts.finding import (
    Told,
    concerned,
    day_of,
    dollars,
    hour_of,
    moment_text,
    span_text,
    week_of,
)  # fmt: skip
from tests.core.alerts.traffic import START_US


def test_the_first_time_is_told_and_no_other() -> None:
    """Known faults 46 and 47: not at every call, and again in the next window."""
    told = Told()
    assert [told.first("key=ci", window) for window in ("1", "1", "2", "1")] == [True, False, True, False]
    assert told.first("key=web", "1")
    assert told.has("key=ci", "2")
    assert not told.has("key=ci", "3")


def test_a_subject_names_what_it_is_about() -> None:
    assert concerned("key=a%2Cb%25,session=s") == {"key": "a,b%", "session": "s"}
    assert concerned("everything") == {}


@pytest.mark.parametrize("subject", ["others", short("key=ci,session=" + "s" * 200), short("session=a\n"), "tag:a,b=c"])
def test_a_subject_that_does_not_say_all_names_nothing(subject: str) -> None:
    assert concerned(subject) == {}


def test_windows_are_in_utc() -> None:
    assert (day_of(START_US), hour_of(START_US - 1), week_of(START_US)) == ("2026-11-02", "2026-11-01T23", "2026-W45")
    assert moment_text(START_US) == "2026-11-02 00:00 UTC"


@pytest.mark.parametrize(
    ("nano", "said"), [(0, "$0.00"), (1_234_500_000_000, "$1,234.50"), (1_600_000, "$0.0016"), (10**9, "$1.00")]
)
def test_dollars(nano: int, said: str) -> None:
    assert dollars(nano) == said


@pytest.mark.parametrize(("minutes", "said"), [(1, "1 minute"), (15, "15 minutes"), (60, "1 hour"), (4320, "3 days")])
def test_spans(minutes: int, said: str) -> None:
    assert span_text(minutes) == said
