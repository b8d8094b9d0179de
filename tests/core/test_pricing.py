"""The calculator of every bill: what it multiplies, and what it refuses to guess."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.core.pricing import (
    CALL,
    Conditions,
    Price,
    Step,
    exact_usd,
    per_million_text,
    price_usage,
)
from gateway.core.usage import BILLED_BUCKETS, NOTHING_KNOWN, NOTHING_USED, Usage

USD = Decimal
PRICE = Price(
    "book 1",
    {
        "input": USD("0.000002"),
        "cache_read": USD("0.0000005"),
        "cache_write_5m": USD("0.0000025"),
        "cache_write_1h": USD("0.000004"),
        "output": USD("0.00001"),
        "audio_in": USD("0.00004"),
    },
)
PLAIN = Conditions()


def cost(usage: Usage, price: Price | None = PRICE, conditions: Conditions = PLAIN) -> int | None:
    return price_usage(0, usage, price, conditions).cost_nano


def test_every_bucket_is_charged_at_its_own_rate() -> None:
    """Known fault 16: cached tokens are charged once, at the cached rate."""
    priced = price_usage(2, Usage(input=200, cache_read=800, output=100), PRICE)
    assert priced.cost_nano == 200 * 2_000 + 800 * 500 + 100 * 10_000
    assert priced.at_least_nano is None
    assert priced.because is None
    assert [(c.attempt, c.bucket, c.quantity, c.usd_per_million, c.amount_nano) for c in priced.charges] == [
        (2, "input", 200, "2", 400_000),
        (2, "cache_read", 800, "0.5", 400_000),
        (2, "output", 100, "10", 1_000_000),
    ]


def test_lifetimes_of_cache_writes_have_their_own_rates() -> None:
    assert cost(Usage(input=1, cache_write_5m=10, cache_write_1h=10)) == 2_000 + 25_000 + 40_000


@pytest.mark.parametrize(
    ("bucket", "lender"),
    [("reasoning", "output"), ("cache_write_5m", "cache_write"), ("cache_write_1h", "cache_write")],
)
def test_a_bucket_without_a_rate_borrows_from_its_neighbour(bucket: str, lender: str) -> None:
    price = Price("b", {"input": USD("0.000001"), lender: USD("0.000003")})
    assert cost(Usage(input=0, **{bucket: 7}), price) == 21_000
    own = replace(price, rates={**price.rates, bucket: USD("0.000005")})
    assert cost(Usage(input=0, **{bucket: 7}), own) == 35_000


@pytest.mark.parametrize(
    "bucket", sorted(set(BILLED_BUCKETS) - {"input", "reasoning", "cache_write_5m", "cache_write_1h"})
)
def test_any_other_bucket_without_a_rate_makes_the_attempt_unpriced(bucket: str) -> None:
    """Known fault 20: what the book has no rate for is never billed as nothing."""
    price = Price("b", {"input": USD("0.000001")})
    priced = price_usage(0, Usage(input=5, **{bucket: 1}), price)
    assert priced.cost_nano is None
    assert priced.at_least_nano == 5_000
    assert priced.because == f"no price for {bucket}"
    assert cost(Usage(input=5, **{bucket: 0}), price) == 5_000


def test_predictions_are_not_billed_twice() -> None:
    assert cost(Usage(input=0, output=10, prediction_rejected=4, prediction_accepted=6)) == 100_000


def test_a_price_per_call_is_a_charge_of_one() -> None:
    price = Price("b", {"input": USD("0.000001")}, usd_per_call=USD("0.005"))
    priced = price_usage(0, Usage(input=3), price)
    assert priced.cost_nano == 3_000 + 5_000_000
    assert (priced.charges[-1].bucket, priced.charges[-1].quantity) == (CALL, 1)
    assert priced.charges[-1].usd_per_million == "5000"


def test_unknown_free_and_nothing_used_are_three_things() -> None:
    """Known fault 23: unknown, free and own hardware are three different states."""
    used = Usage(input=5, output=5)
    unknown = price_usage(0, used, None)
    assert (unknown.cost_nano, unknown.at_least_nano) == (None, 0)
    assert unknown.because == "no price is known for this target"
    free = Price("file", {}, free=True)
    assert price_usage(0, used, free).cost_nano == 0
    assert price_usage(0, NOTHING_KNOWN, free).cost_nano == 0
    assert price_usage(0, NOTHING_USED, None).cost_nano == 0  # it certainly generated nothing


def test_no_usage_is_no_cost_and_not_zero() -> None:
    """Known faults 5 and 13: a row without counts has no cost, not a cost of zero."""
    priced = price_usage(0, NOTHING_KNOWN, PRICE)
    assert priced.cost_nano is None
    assert priced.because == "no usage is known"


def test_an_unknown_prompt_leaves_the_cost_unknown() -> None:
    priced = price_usage(0, Usage(output=10), PRICE)
    assert (priced.cost_nano, priced.at_least_nano) == (None, 100_000)


@pytest.mark.parametrize("tier", [None, "default", "standard", "auto", "on_demand"])
def test_plain_tiers_cost_the_plain_price(tier: str | None) -> None:
    assert cost(Usage(input=1), conditions=Conditions(service_tier=tier)) == 2_000


@pytest.mark.parametrize("tier", ["priority", "flex", "scale", "batch", "performance", ""])
def test_other_served_tiers_are_unpriced(tier: str) -> None:
    """Known fault 20: a service tier is not billed at the price of another."""
    priced = price_usage(0, Usage(input=1), PRICE, Conditions(service_tier=tier))
    assert (priced.cost_nano, priced.at_least_nano, priced.charges) == (None, 0, ())
    assert tier in (priced.because or "")


def test_searches_that_are_billed_apart_leave_the_cost_unknown() -> None:
    """Known fault 25: a search inside a chat is not free."""
    searched = Conditions(web_search=True)
    price = replace(PRICE, search_billed=True)
    assert cost(Usage(input=1), price) == 2_000
    priced = price_usage(0, Usage(input=1), price, searched)
    assert (priced.cost_nano, priced.at_least_nano) == (None, 2_000)
    assert cost(Usage(input=1), replace(price, always_searches=True)) is None


def test_a_stated_price_of_searches_is_applied_to_their_count() -> None:
    searched = Conditions(web_search=True)
    price = replace(PRICE, rates={**PRICE.rates, "web_searches": USD("0.01")})
    assert cost(Usage(input=1, web_searches=2), price, searched) == 2_000 + 20_000_000
    assert cost(Usage(input=1, web_searches=0), price, searched) == 2_000
    assert cost(Usage(input=1), price, searched) is None  # allowed, and nobody told how many there were


def test_the_cached_rate_of_text_is_not_taken_for_cached_sound() -> None:
    price = replace(PRICE, text_cache_only=True)
    assert cost(Usage(input=1, cache_read=10), price) == 2_000 + 5_000
    assert cost(Usage(input=1, cache_read=10, audio_in=1), price) is None
    assert cost(Usage(input=1, cache_read=0, audio_in=1), price) == 2_000 + 40_000


def test_an_entry_beyond_this_version_is_unknown_with_its_reason() -> None:
    price = replace(PRICE, unknown_because="its price depends on the hour")
    priced = price_usage(0, Usage(input=1), price)
    assert (priced.cost_nano, priced.because) == (None, "its price depends on the hour")


def test_rounding_is_half_even_once_per_charge() -> None:
    half = Price("b", {"input": USD("0.0000000005"), "output": USD("0.0000000015")})
    assert cost(Usage(input=1, output=1), half) == 0 + 2  # the unrounded sum is 2, each is rounded alone
    assert cost(Usage(input=3, output=3), half) == 2 + 4  # 1.5 and 4.5


def test_prices_are_written_per_million_without_exponents() -> None:
    assert [per_million_text(USD(rate)) for rate in ("2.5e-6", "1E-5", "3.75e-8", "0", "0.005")] == [
        "2.5", "10", "0.0375", "0", "5000"
    ]  # fmt: skip


RATES = st.decimals(min_value=0, max_value=Decimal("0.001"), places=15)
RATE_TABLES = st.dictionaries(st.sampled_from(BILLED_BUCKETS), RATES)
PRICES = st.builds(
    Price,
    st.just("b"),
    RATE_TABLES,
    usd_per_call=st.none() | st.decimals(min_value=0, max_value=10, places=9),
    steps=st.lists(st.integers(min_value=0, max_value=3 * 10**6), max_size=2, unique=True).flatmap(
        lambda sizes: st.tuples(*(st.builds(Step, st.just(size), RATE_TABLES) for size in sorted(sizes)))
    ),
    text_cache_only=st.booleans(),
)
COUNTS = st.none() | st.integers(min_value=0, max_value=10**6)
USAGES = st.builds(Usage, **dict.fromkeys(BILLED_BUCKETS, COUNTS))


@given(PRICES, USAGES)
def test_charges_sum_to_the_cost_or_to_what_is_known_of_it(price: Price, usage: Usage) -> None:
    priced = price_usage(0, usage, price)
    total = sum(charge.amount_nano for charge in priced.charges)
    assert (priced.cost_nano is None) == (priced.because is not None)
    assert (priced.cost_nano is None) == (priced.at_least_nano == total)
    assert priced.cost_nano in (None, total)
    for charge in priced.charges:
        assert charge.amount_nano == round(Fraction(charge.usd_per_million) * charge.quantity * 1000)


@given(PRICES, USAGES)
def test_the_unrounded_cost_is_what_fractions_say(price: Price, usage: Usage) -> None:
    priced = price_usage(0, usage, price)
    if priced.cost_nano is None:
        with pytest.raises(Fault) as caught:
            exact_usd(usage, price)
        assert (caught.value.kind, caught.value.message) == (Kind.PRICE_UNKNOWN, priced.because)
        return
    exact = Fraction(exact_usd(usage, price))
    assert exact == sum(Fraction(c.usd_per_million) / 10**6 * c.quantity for c in priced.charges)
    assert abs(exact * 10**9 - priced.cost_nano) <= Fraction(len(priced.charges), 2)


@given(USAGES, st.sampled_from(BILLED_BUCKETS))
def test_more_of_anything_never_costs_less(usage: Usage, bucket: str) -> None:
    """Known fault 25: adding an unpriced quantity cannot make an attempt cheaper."""
    before = price_usage(0, usage, PRICE)
    after = price_usage(0, replace(usage, **{bucket: (getattr(usage, bucket) or 0) + 1}), PRICE)
    if before.cost_nano is not None and after.cost_nano is not None:
        assert after.cost_nano > before.cost_nano
