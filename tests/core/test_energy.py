"""Energy of generated tokens, against numbers worked out by hand and against fractions."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.energy import Energy, Factors, Range, energy, exactly, stated_range
from gateway.core.errors import Fault, Kind

D = Decimal
NUMBERS = st.decimals(min_value=0, max_value=1000, places=4)
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda pair: Range(min(pair), max(pair)))
TOKENS = st.integers(0, 10**12)


def test_a_range_in_is_a_range_out() -> None:
    """Known fault 27: energy and CO2 as an estimate with method and range."""
    stated = Factors(Range(D("0.3"), D("3.0")))
    assert energy(200, stated) == Energy(Range(D("0.06"), D("0.6")), None)


def test_co2e_goes_by_the_kilowatt_hour_and_overhead_comes_on_top() -> None:
    found = energy(1_000_000, Factors(Range(D(1), D(2)), Range(D(300), D(500)), Range(D("1.1"), D("1.5"))))
    assert found == Energy(Range(D(1100), D(3000)), Range(D(330), D(1500)))


def test_unknown_tokens_have_unknown_energy_and_none_have_none() -> None:
    """Known fault 13: unknown is null, not zero."""
    stated = Factors(exactly(1), exactly(400))
    assert energy(None, stated) is None
    assert energy(0, stated) == Energy(exactly(0), exactly(0))


@given(TOKENS, RANGES, RANGES, RANGES)
def test_nothing_is_rounded(tokens: int, wh: Range, grams: Range, overhead: Range) -> None:
    found = energy(tokens, Factors(wh, grams, overhead))
    assert found is not None
    assert found.co2e_g is not None
    assert Fraction(found.wh.low) == Fraction(wh.low) * Fraction(overhead.low) * tokens / 1000
    assert Fraction(found.co2e_g.high) == Fraction(found.wh.high) * Fraction(grams.high) / 1000
    assert found.wh.low <= found.wh.high
    assert found.co2e_g.low <= found.co2e_g.high


@given(st.lists(TOKENS, min_size=1), RANGES)
def test_the_energy_of_a_sum_is_the_sum_of_energies(tokens: list[int], wh: Range) -> None:
    """Known fault 83: a total is the sum of the whole."""
    parts = [energy(each, Factors(wh)) for each in tokens]
    whole = energy(sum(tokens), Factors(wh))
    assert whole is not None
    assert whole.wh.high == sum(part.wh.high for part in parts if part is not None)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0.3-3.0", "0.3", "3.0"),
        (" 300–500 ", "300", "500"),
        (".5-1", "0.5", "1"),
        ("400", "400", "400"),
        ("0", "0", "0"),
    ],
)
def test_a_range_is_two_numbers_or_one(text: str, low: str, high: str) -> None:
    assert stated_range(text) == Range(D(low), D(high))


@pytest.mark.parametrize(
    "text", ["", "-", "a lot", "nan", "inf", "-3", "-3-1", "1--3", "1-nan", "1e3", "0,3-3", "1-2-3"]
)
def test_what_is_no_range_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(Fault, match="is not a range") as caught:
        stated_range(text)
    assert caught.value.kind is Kind.INVALID
    assert caught.value.hint is not None
    assert "LOW-HIGH like 0.3-3.0" in caught.value.hint


def test_a_range_that_falls_is_told_the_other_way_round() -> None:
    with pytest.raises(Fault, match=r"'3-0.3' ends below its beginning") as caught:
        stated_range("3-0.3")
    assert caught.value.hint == "write 0.3-3"


@pytest.mark.parametrize(("text", "least"), [("0.2", 1), ("0.9-2", 1), ("1000001", 0), ("1-9999999", 0)])
def test_a_range_stays_within_its_bounds(text: str, least: int) -> None:
    with pytest.raises(Fault, match=f"is not within {least} and 1,000,000"):
        stated_range(text, least)
