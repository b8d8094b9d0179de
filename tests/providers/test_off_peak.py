"""Hours of the day and weekdays with rates of their own, as the price map writes them."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from gateway.core.pricing import OffPeak, Window
from gateway.providers.off_peak import Broken, Unclear, off_peak

RATES = {"input": Decimal("1e-7")}


def read(**stated: object) -> OffPeak | None:
    def rates(fields: Mapping[str, object]) -> dict[str, Decimal]:
        return {"input": Decimal(str(fields["input"]))} if "input" in fields else {}

    return off_peak({"off_peak_pricing": stated}, rates)


def windows(**stated: object) -> tuple[Window, ...]:
    found = read(input="1e-7", **stated)
    assert found is not None
    assert found.rates == RATES
    return found.windows


def test_no_hours_at_all() -> None:
    assert off_peak({}, lambda _: {}) is None


def test_hours_are_a_text_or_a_list_for_all_days_or_some() -> None:
    assert windows(hours_utc="16:30-00:30") == (Window(990, 30),)
    assert windows(hours_utc=["00:00-01:00", "10:00-24:00"]) == (Window(0, 60), Window(600, 0))
    assert windows(windows=[{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]) == (Window(0, 0, frozenset({6, 7})),)
    by_name = windows(windows=[{"hours_utc": ["04:00-06:00"], "weekdays": ["Mon", "friday"]}])
    assert by_name == (Window(240, 360, frozenset({1, 5})),)
    assert windows(windows=[{"hours_utc": "01:00-02:00"}]) == (Window(60, 120),)
    assert windows(hours_utc="22:00-06:00", weekday_timezone="Asia/Shanghai") == (Window(1320, 360),)


@pytest.mark.parametrize(
    "stated",
    [
        {"hours_utc": "16:30"},
        {"hours_utc": 7},
        {"hours_utc": ["25:00-26:00"]},
        {"windows": {"hours_utc": "01:00-02:00"}},
        {"windows": ["01:00-02:00"]},
        {"windows": [{"hours_utc": "01:00-02:00", "weekdays": "all"}]},
        {"windows": [{"hours_utc": "01:00-02:00", "weekdays": [0]}]},
        {"windows": [{"hours_utc": "01:00-02:00", "weekdays": [True]}]},
        {"windows": [{"hours_utc": "01:00-02:00", "weekdays": []}]},
    ],
)
def test_what_makes_no_sense_is_broken(stated: dict[str, object]) -> None:
    with pytest.raises(Broken):
        read(input="1", **stated)
    with pytest.raises(Broken):
        off_peak({"off_peak_pricing": "cheap at night"}, lambda _: {})


@pytest.mark.parametrize(
    "stated",
    [
        {"input": "1"},
        {"hours_utc": "01:00-02:00"},
        {"input": "1", "windows": [{"hours_utc": "22:00-06:00", "weekdays": [1]}]},
        {
            "input": "1",
            "windows": [{"hours_utc": "01:00-02:00", "weekdays": [1]}],
            "weekday_timezone": "Asia/Shanghai",
        },
    ],
)
def test_what_can_be_understood_in_two_ways_is_unclear(stated: dict[str, object]) -> None:
    with pytest.raises(Unclear):
        read(**stated)
