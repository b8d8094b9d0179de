"""What a request can cost at most: never less than what it is charged, whatever it turns out to be."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pricing import PLAIN, Bound, Conditions, Most, OffPeak, Price, Step, Tariff, Window, price_usage
from gateway.core.usage import INPUT_BUCKETS, Usage

USD = Decimal
SMALL = Price("b", {"input": USD("1e-6"), "output": USD("5e-6")}, search_billed=True)
ROUNDINGS = 12
NO_FEE = "it may search the web, and the price of a search is not known"
TOO_LONG = "the price of prompts of more than 10 tokens is not known"


@pytest.mark.parametrize(
    ("price", "most", "bound"),
    [
        (SMALL, Most(1000, 100), 1000 * 1000 + 100 * 5000 + ROUNDINGS),
        (SMALL, Most(1000, 0), 1000 * 1000 + ROUNDINGS),
        (Price("b", {}, free=True), Most(1000, 100), 0),
        (replace(SMALL, usd_per_call=USD("0.01")), Most(0, 0), 10_000_000 + ROUNDINGS),
        (replace(SMALL, rates={**SMALL.rates, "cache_write_1h": USD("2e-6")}), Most(10, 0), 20_000 + ROUNDINGS),
        (replace(SMALL, rates={**SMALL.rates, "reasoning": USD("9e-6")}), Most(0, 10), 90_000 + ROUNDINGS),
        (replace(SMALL, rates={**SMALL.rates, "audio_out": USD("9e-5")}), Most(0, 10), 50_000 + ROUNDINGS),
        (replace(SMALL, rates={**SMALL.rates, "audio_out": USD("9e-5")}), Most(0, 10, audio=True), 900_000 + ROUNDINGS),
        (replace(SMALL, rates={**SMALL.rates, "web_searches": USD("0.01")}), Most(0, 0, searches=3), 30_000_012),
        (replace(SMALL, search_fees={"low": USD("0.01"), "high": USD("0.03")}), Most(0, 0, searches=None), 30_000_012),
        (replace(SMALL, off_peak=OffPeak((Window(0, 60),), {"output": USD("9e-6")})), Most(0, 10), 90_000 + ROUNDINGS),
    ],
)
def test_every_token_is_held_at_the_dearest_rate_that_it_can_be_billed_at(price: Price, most: Most, bound: int) -> None:
    assert Bound(price).of(most) == bound


@pytest.mark.parametrize(
    ("price", "most", "because"),
    [
        (Price("b", {}, unknown_because="nobody said"), Most(1, 1), "nobody said"),
        (Price("b", {}), Most(1, 1), "it has no rates"),
        (Price("b", {"input": USD(1)}), Most(1, 1), "no price for output"),
        (Price("b", {"output": USD(1)}), Most(1, 1), "no price for input"),
        (SMALL, Most(1, 1, searches=None), "it may search the web, and the price of a search is not known"),
        (
            replace(SMALL, always_searches=True),
            Most(1, 1),
            "it may search the web, and the price of a search is not known",
        ),
        (
            replace(SMALL, rates={**SMALL.rates, "web_searches": USD("0.01")}),
            Most(1, 1, searches=None),
            "it may search the web as often as it likes",
        ),
        (
            replace(SMALL, steps=(Step(10, {}),)),
            Most(11, 1),
            "the price of prompts of more than 10 tokens is not known",
        ),
        (SMALL, Most(1, 1, tier="flex"), "no prices of the service tier flex are known"),
        (
            replace(SMALL, rates={**SMALL.rates, "audio_seconds": USD(1)}),
            Most(1, 1),
            "nobody knows how much audio_seconds it will use",
        ),
    ],
)
def test_what_cannot_be_bounded_says_why(price: Price, most: Most, because: str) -> None:
    assert Bound(price).of(most) == because


def test_a_prompt_is_held_at_the_rates_of_its_size_and_no_larger_one() -> None:
    stepped = replace(SMALL, steps=(Step(10, {"input": USD("2e-6"), "output": USD("1e-6")}), Step(20, {})))
    assert Bound(stepped).of(Most(10, 1)) == 10_000 + 5_000 + ROUNDINGS
    assert Bound(stepped).of(Most(11, 1)) == 22_000 + 5_000 + ROUNDINGS


def test_a_tier_that_was_not_asked_for_counts_where_it_is_known() -> None:
    """An account may be served in it all the same."""
    tiered = replace(
        SMALL,
        tiers={
            "priority": Tariff({"input": USD("3e-6"), "output": USD("6e-6")}, (Step(10, {}),)),
            "odd": Tariff({"input": USD(1)}),
            "batch": Tariff({"input": USD(1), "output": USD(1)}),
        },
    )
    assert Bound(tiered).of(Most(20, 1)) == 60_000 + 6_000 + ROUNDINGS
    asked = Bound(tiered).of(Most(20, 1, tier="priority"))
    assert asked == TOO_LONG
    assert Bound(tiered).of(Most(1, 1, tier="odd")) == "no price for output"


BUCKETS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "image_in", "image_out")
rates = st.fixed_dictionaries(
    {bucket: st.integers(1, 10**6).map(lambda n: Decimal(n).scaleb(-11)) for bucket in BUCKETS}
)
prices = st.builds(
    lambda plain, step, tier, fee: Price(
        "b", plain, usd_per_call=fee, steps=(Step(500, step),), tiers={"priority": Tariff(tier, (Step(500, step),))}
    ),
    rates,
    rates,
    rates,
    st.none() | st.just(USD("0.0001")),
)
counts = st.integers(0, 600)
usages = st.builds(
    Usage,
    input=counts,
    cache_read=counts,
    cache_write_5m=counts,
    cache_write_1h=counts,
    image_in=counts,
    output=counts,
    reasoning=counts,
    image_out=counts,
)


@given(price=prices, usage=usages, tier=st.sampled_from([None, "priority"]), slack=st.integers(0, 50))
def test_what_is_charged_is_never_more_than_what_was_held(
    price: Price, usage: Usage, tier: str | None, slack: int
) -> None:
    charged = price_usage(0, usage, price, PLAIN if tier is None else Conditions(service_tier=tier)).cost_nano
    sent = sum(getattr(usage, bucket) or 0 for bucket in INPUT_BUCKETS)
    made = sum(getattr(usage, bucket) or 0 for bucket in ("output", "reasoning", "image_out"))
    bound = Bound(price).of(Most(sent + slack, made + slack))
    assert isinstance(bound, int)
    assert charged is not None
    assert charged <= bound
