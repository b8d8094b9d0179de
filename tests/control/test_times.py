import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.times import DAY_US, duration_us, instant_us, past_us, rfc3339
from gateway.core.errors import Fault

NOW = 1_793_433_600_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("7d", NOW - 7 * DAY_US),
        ("12h", NOW - DAY_US // 2),
        ("2w", NOW - 14 * DAY_US),
        ("2026-10-31", NOW - DAY_US // 3),
        ("2026-10-31T08:00:00Z", NOW),
        ("2026-10-31t08:00:00z", NOW),
        ("2026-10-31T09:00:00+01:00", NOW),
        ("2026-10-31T08:00:00.000001Z", NOW + 1),
        ("2026-10-31T08:00:00.0000019Z", NOW + 1),
        ("1969-12-31T23:59:59Z", -1_000_000),
    ],
)
def test_moments_are_read(text: str, expected: int) -> None:
    assert past_us(text, "since", NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "7",
        "7 d",
        "-7d",
        "٧d",
        "2026-13-01",
        "2026-02-30",
        "2026-10-31T08:00:00",
        "2026-10-31T08:00:00 01:00",
        "2026-10-31T25:00:00Z",
        "2026-W44",
        "0000-01-01",
        "0001-01-01T00:00:00+99:99",
        "1793433600",
    ],
)
def test_anything_else_is_refused_with_the_forms_that_work(text: str) -> None:
    with pytest.raises(Fault) as caught:
        past_us(text, "since", NOW)
    assert caught.value.param == "since"
    assert "2026-10-31T08:00:00Z" in (caught.value.hint or "") or "%2B" in (caught.value.hint or "")


def test_a_plus_that_a_url_has_lost_is_told_as_that_and_nothing_else_is() -> None:
    """A command line has no URL, so its mistakes are not explained by one."""
    for text, in_url in {"2026-10-31T08:00:00 01:00": True, "2026-10-31 08:00:00": False, "soon": False}.items():
        with pytest.raises(Fault) as caught:
            past_us(text, "since", NOW)
        assert ("URL" in (caught.value.hint or "")) is in_url


def test_a_duration_is_refused_by_name() -> None:
    assert duration_us("30s", "grace") == 30_000_000
    with pytest.raises(Fault) as caught:
        duration_us("1y", "grace")
    assert caught.value.param == "grace"


@given(st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999))
def test_what_is_written_is_read_back(at_us: int) -> None:
    text = rfc3339(at_us)
    assert text is not None
    assert instant_us(text, "t") == at_us


def test_unknown_stays_unknown() -> None:
    assert rfc3339(None) is None
    assert rfc3339(NOW) == "2026-10-31T08:00:00Z"
    assert rfc3339(NOW + 262_000) == "2026-10-31T08:00:00.262000Z"
