"""Factors read from flags, and energy in words and columns."""

from decimal import Decimal

import pytest

from gateway.cli.energy import columns, factors, facts, method, of_report, per_thousand, words
from gateway.core.energy import Energy, Factors, Range, exactly
from gateway.core.errors import Fault

D = Decimal
UNKNOWN = {"usage": {"input": 5}}


def test_without_a_flag_nothing_is_asked_for() -> None:
    """Known fault 27: optional."""
    assert factors(None, None, None) is None


def test_all_factors_are_ranges_or_numbers() -> None:
    assert factors("0.3-3.0", "400", "1.1-1.5") == Factors(
        Range(D("0.3"), D("3.0")), exactly(400), Range(D("1.1"), D("1.5"))
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("3-0.3", None, None), "--wh-per-1k: '3-0.3' ends below its beginning; write 0.3-3"),
        (("1", "much", None), "--g-co2-per-kwh: 'much' is not a range; write LOW-HIGH"),
        (("1", None, "0.2"), "--overhead: '0.2' is not within 1 and 1,000,000; 20 % on top is 1.2"),
        ((None, "400", None), "--g-co2-per-kwh goes with --wh-per-1k"),
        ((None, None, "1.2"), "--overhead goes with --wh-per-1k"),
    ],
)
def test_a_wrong_factor_is_told_with_its_flag(given: tuple[str | None, str | None, str | None], told: str) -> None:
    with pytest.raises(Fault) as caught:
        factors(*given)
    place = f"{caught.value.param}: " if caught.value.param else ""
    assert (place + caught.value.sentence).startswith(told)


def test_the_method_has_every_factor_as_it_was_typed() -> None:
    """Known fault 27: an estimate with its method."""
    stated = factors("0.30-3.0", "400", "1.2")
    assert stated is not None
    assert method("generated tokens", per_thousand(stated), stated) == (
        "generated tokens × 0.30–3.0 Wh per thousand × overhead 1.2 × 400 g CO2e per kWh, as stated; "
        "prompts not counted; estimate"
    )


@pytest.mark.parametrize(
    ("wh", "grams", "told"),
    [
        (Range(D("0.06"), D("0.6")), None, "0.06–0.6 Wh"),
        (Range(D("0.0012345"), D("999.4")), exactly(D("0.00001")), "0.00123–999 Wh, 0.00001 g CO2e"),
        (Range(D(900), D(9000)), Range(D(360), D(3600)), "0.9–9 kWh, 0.36–3.6 kg CO2e"),
        (exactly(123_456_789), None, "123,000 kWh"),
        (Range(D(0), D("1.0001")), None, "0–1 Wh"),
        (Range(D("1.0001"), D("1.0002")), None, "1 Wh"),
    ],
)
def test_ranges_have_three_digits_and_their_unit(wh: Range, grams: Range | None, told: str) -> None:
    assert words(Energy(wh, grams)) == told


def test_unknown_tokens_are_null_in_json_and_a_dash_in_a_table() -> None:
    """Known fault 13: never 0 by ignorance."""
    stated = Factors(Range(D("0.3"), D(3)), exactly(400))
    assert facts(None, stated) == {"energy_wh": None, "co2e_g": None}
    report = of_report({"rows": [UNKNOWN, {"usage": {"output": 200}}], "totals": {"usage": {"output": 200}}}, stated)
    shown = {column.title: texts for column, texts in columns([*report["rows"], report["totals"]])}
    assert shown == {"energy\nWh": ["–", "0.06–0.6", "0.06–0.6"], "CO2e\ng": ["–", "0.024–0.24", "0.024–0.24"]}
    nobody = of_report({"rows": [UNKNOWN], "totals": UNKNOWN}, stated)
    assert [texts for _, texts in columns([nobody["totals"]])] == [["–"], ["–"]]


def test_a_column_has_one_unit() -> None:
    rows = [{"usage": {"output": 1000, "reasoning": 1000}}, {"usage": {"output": 2_000_000}}]
    report = of_report(
        {"rows": rows, "totals": {"usage": {"output": 2_001_000, "reasoning": 1000}}}, Factors(exactly(1))
    )
    assert report["rows"][0]["energy_wh"] == {"low": 2.0, "high": 2.0}
    ((column, texts),) = columns([*report["rows"], report["totals"]])
    assert (column.title, texts) == ("energy\nkWh", ["0.002", "2", "2"])


def test_a_report_that_was_not_asked_has_no_column() -> None:
    assert list(columns([UNKNOWN])) == []
