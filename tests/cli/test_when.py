"""Moments on a command line."""

import pytest

from gateway.cli import when
from gateway.core.errors import Fault

NOW = 1_793_433_600_000_000  # 2026-10-31T08:00:00Z
HOUR = 3_600_000_000


def test_a_duration_reads_as_from_now_on() -> None:
    assert when.coming_us("2h", "--expires", NOW) == NOW + 2 * HOUR


def test_a_date_is_its_midnight_and_a_time_is_itself() -> None:
    assert when.coming_us("2026-11-01", "--expires", NOW) == NOW + 16 * HOUR
    assert when.coming_us("2026-10-31T10:00:00+01:00", "--expires", NOW) == NOW + HOUR


@pytest.mark.parametrize("text", ["now", "2026-10-30", "0s", "soon", "", "2026-13-01", "-2h", "99999999d"])
def test_what_has_passed_or_is_no_moment_is_refused_by_the_options_name(text: str) -> None:
    with pytest.raises(Fault) as refused:
        when.coming_us(text, "--expires", NOW)
    assert refused.value.param == "--expires"


def test_who_asks_for_what_is_to_come_is_not_told_of_what_has_passed() -> None:
    with pytest.raises(Fault) as refused:
        when.coming_us("soon", "--expires", NOW)
    assert "from now on (30d, 12h)" in refused.value.sentence
    assert " ago" not in refused.value.sentence


def test_moments_are_shown_in_utc_and_unknown_as_a_dash() -> None:
    assert when.shown(NOW + 999_999) == "2026-10-31 08:00:00"
    assert when.shown(NOW, seconds=False) == "2026-10-31 08:00"
    assert when.shown(None) == "–"


def test_now_is_now() -> None:
    assert when.now_us() > NOW - 10 * 365 * 24 * HOUR
