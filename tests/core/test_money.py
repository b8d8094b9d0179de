"""Amounts: exact in, one rounding, one way to write them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.core.money import NANO_PER_USD, UnitPrice, from_nano, product_nano, to_nano, unit_price, usd, usd_text

RATES = st.decimals(min_value=0, max_value=Decimal("0.01"), places=16)
COUNTS = st.integers(min_value=0, max_value=10**12)


@pytest.mark.parametrize(
    ("text", "amount"), [("0.01", Decimal("0.01")), (3, Decimal(3)), ("1e-7", Decimal("0.0000001")), (Decimal(2), 2)]
)
def test_usd_reads_exact_texts(text: str | int | Decimal, amount: Decimal) -> None:
    assert usd(text) == amount


@pytest.mark.parametrize("value", [0.1, True, "ten", "", None, "NaN", "Infinity", "$1"])
def test_usd_refuses_what_is_not_an_exact_amount(value: object) -> None:
    with pytest.raises(Fault) as caught:
        usd(value)
    assert caught.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    ("usd_per_unit", "quantity", "nano"),
    [
        ("0.0000000005", 1, 0),  # half a nano-dollar goes to the even neighbour
        ("0.0000000015", 1, 2),
        ("0.0000000025", 1, 2),
        ("0.0000000375", 3, 112),  # 112.5
        ("0.0000000375", 1, 38),  # 37.5
        ("0.0000025", 1_000_000, 2_500_000_000),
        ("0.03", 10**15, 3 * 10**22),
    ],
)
def test_a_product_is_rounded_once_half_to_even(usd_per_unit: str, quantity: int, nano: int) -> None:
    assert product_nano(Decimal(usd_per_unit), quantity) == nano


@given(RATES, COUNTS)
def test_a_product_is_what_fractions_say(rate: Decimal, count: int) -> None:
    exact = Fraction(rate) * count * NANO_PER_USD
    assert product_nano(rate, count) == round(exact)  # Python rounds a fraction half to even


@given(st.integers(min_value=-(10**20), max_value=10**20))
def test_text_and_decimal_of_an_amount_lead_back_to_it(nano: int) -> None:
    text = usd_text(nano)
    assert text is not None
    assert to_nano(Decimal(text)) == nano
    assert to_nano(from_nano(nano)) == nano


def test_amounts_are_written_with_nine_decimals_and_unknown_stays_unknown() -> None:
    assert usd_text(20_000_000) == "0.020000000"
    assert usd_text(-1) == "-0.000000001"
    assert usd_text(0) == "0.000000000"
    assert usd_text(None) is None


@given(st.decimals(min_value=-1, max_value=1, places=12), st.integers(0, 10**9))
def test_a_unit_price_is_what_the_product_says(usd_per_unit: Decimal, quantity: int) -> None:
    assert UnitPrice(usd_per_unit).times(quantity) == to_nano(usd_per_unit * quantity)
    assert unit_price(usd_per_unit) is unit_price(usd_per_unit)
