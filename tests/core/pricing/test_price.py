"""Which rates hold: by tier, prompt size, hour and region; and when none can be told."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pricing import PLAIN, Conditions, OffPeak, Price, Step, Tariff, Window, price_usage
from gateway.core.usage import Usage

USD = Decimal
STEPPED = Price(
    "b",
    {"input": USD("1e-6"), "cache_read": USD("1e-7"), "output": USD("5e-6")},
    steps=(
        Step(1000, {"input": USD("2e-6"), "output": USD("1e-5")}),
        Step(5000, {"input": USD("3e-6"), "output": USD("2e-5")}),
        Step(9000, {}),
    ),
    tiers={"flex": Tariff({"input": USD("5e-7"), "output": USD("2.5e-6")}, (Step(1000, {}),))},
    multipliers={"eu": USD("1.1"), "fast": USD(2)},
)
DAY_US = 86_400_000_000


def priced(price: Price, usage: Usage, conditions: Conditions = PLAIN) -> tuple[int | None, str | None]:
    found = price_usage(0, usage, price, conditions)
    return found.cost_nano, found.because


@pytest.mark.parametrize(
    ("prompt", "rate"), [(1, 1000), (1000, 1000), (1001, 2000), (5000, 2000), (5001, 3000), (9000, 3000)]
)
def test_a_cliff_charges_the_whole_prompt(prompt: int, rate: int) -> None:
    assert priced(STEPPED, Usage(input=prompt)) == (prompt * rate, None)


def test_the_size_of_a_prompt_is_all_of_it() -> None:
    """Known fault 16: what was cached counts towards the cliff, and only towards its own price."""
    assert priced(STEPPED, Usage(input=900, cache_read=100)) == (900 * 1000 + 100 * 100, None)
    assert priced(STEPPED, Usage(input=1, cache_write=500, audio_in=500))[0] is None
    cost, because = priced(STEPPED, Usage(input=900, cache_read=101))
    assert (cost, because) == (None, "no price for cache_read in prompts of more than 1000 tokens")


def test_beyond_the_last_known_step_nothing_is_known() -> None:
    found = price_usage(0, Usage(input=9001, output=1), STEPPED)
    assert (found.cost_nano, found.at_least_nano, found.charges) == (None, 0, ())
    assert found.because == "the price of prompts of more than 9000 tokens is not known"


def test_long_answers_do_not_make_a_long_prompt() -> None:
    assert priced(STEPPED, Usage(input=600, output=600)) == (600 * 1000 + 600 * 5000, None)


def test_without_the_prompt_s_size_no_step_can_be_told() -> None:
    assert priced(STEPPED, Usage(output=1))[1] == "its price depends on the prompt's size, and that is not known"


def test_what_was_served_decides_not_what_was_asked_for() -> None:
    """Known fault 20: a tier is billed at its own price, as the answer says."""
    usage = Usage(input=10, output=10)
    assert priced(STEPPED, usage, Conditions(service_tier="flex", asked_tier="priority")) == (5_000 + 25_000, None)
    assert priced(STEPPED, usage, Conditions(service_tier="default", asked_tier="flex")) == (10_000 + 50_000, None)
    assert priced(STEPPED, usage, Conditions(service_tier="FLEX")) == (5_000 + 25_000, None)
    cost, because = priced(STEPPED, usage, Conditions(asked_tier="flex"))
    assert (cost, because) == (None, "the answer does not say whether the service tier flex was served")
    assert priced(STEPPED, usage, Conditions(asked_tier="auto")) == (60_000, None)
    assert priced(replace(STEPPED, tiers={}), usage, Conditions(asked_tier="flex")) == (60_000, None)


@pytest.mark.parametrize("tier", ["priority", "scale", "batch", "performance", ""])
def test_a_tier_without_prices_is_unknown(tier: str) -> None:
    cost, because = priced(STEPPED, Usage(input=1), Conditions(service_tier=tier))
    assert (cost, because) == (None, f"no prices of the service tier {tier} are known")


def test_a_tier_has_steps_and_gaps_of_its_own() -> None:
    flex = Conditions(service_tier="flex")
    assert priced(STEPPED, Usage(input=1001), flex)[1] == "the price of prompts of more than 1000 tokens is not known"
    assert priced(STEPPED, Usage(input=1, cache_read=1), flex)[1] == "no price for cache_read in the service tier flex"


NIGHT = Window(22 * 60, 6 * 60)
WEEKEND = Window(0, 0, frozenset({6, 7}))
NOON = Window(12 * 60, 13 * 60 + 30, frozenset({1}))
TIMED = Price(
    "b", {"input": USD("2e-6"), "output": USD("4e-6")}, off_peak=OffPeak((NIGHT, WEEKEND, NOON), {"input": USD("1e-6")})
)


def at(text: str) -> Conditions:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Conditions(at_us=round(moment.timestamp()) * 1_000_000)


@pytest.mark.parametrize(
    ("when", "rate"),
    [
        ("2026-11-24T21:59:59", 2000),  # a Tuesday
        ("2026-11-24T22:00:00", 1000),
        ("2026-11-25T05:59:59", 1000),
        ("2026-11-25T06:00:00", 2000),
        ("2026-11-27T23:59:59", 1000),
        ("2026-11-28T12:00:00", 1000),  # a Saturday
        ("2026-11-29T23:59:59", 1000),
        ("2026-11-30T07:00:00", 2000),  # a Monday
        ("2026-11-30T12:00:00", 1000),
        ("2026-11-30T13:29:59", 1000),
        ("2026-11-30T13:30:00", 2000),
        ("2026-12-01T12:00:00", 2000),
        ("1970-01-01T12:00:00", 2000),  # a Thursday
    ],
)
def test_hours_and_weekdays_decide(when: str, rate: int) -> None:
    assert priced(TIMED, Usage(input=10), at(when)) == (10 * rate, None)


def test_a_bucket_without_an_off_peak_rate_keeps_its_own() -> None:
    assert priced(TIMED, Usage(input=1, output=1), at("2026-11-28T12:00:00")) == (1000 + 4000, None)


def test_without_a_time_a_timed_price_is_unknown() -> None:
    assert priced(TIMED, Usage(input=1)) == (
        None, "its price depends on the hour, and the time of the call is not known",
    )  # fmt: skip


@given(st.integers(0, 4000 * DAY_US))
def test_the_calendar_is_the_world_s(at_us: int) -> None:
    moment = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    only = OffPeak((Window(moment.hour * 60, moment.hour * 60 + 60, frozenset({moment.isoweekday()})),), {})
    assert only.open(at_us)
    assert not only.open(at_us + 2 * 3600 * 1_000_000)
    assert not only.open(at_us + DAY_US)


def test_regions_and_speeds_multiply_what_tokens_cost() -> None:
    usage = Usage(input=10, output=1)
    assert priced(STEPPED, usage, Conditions(multipliers=("eu",))) == (11_000 + 5_500, None)
    assert priced(STEPPED, usage, Conditions(multipliers=("eu", "fast"))) == (22_000 + 11_000, None)
    assert priced(STEPPED, Usage(input=1001), Conditions(multipliers=("eu",))) == (1001 * 2200, None)
    eu_flex = Conditions(service_tier="flex", multipliers=("eu",))
    assert priced(STEPPED, usage, eu_flex) == (5_500 + 2_750, None)
    assert priced(TIMED, usage, Conditions(multipliers=("eu",)))[1] == "what `eu` does to its price is not known"


def test_searches_and_fees_are_not_multiplied() -> None:
    price = Price(
        "b", {"input": USD("1e-6"), "web_searches": USD("0.01")}, usd_per_call=USD("0.5"), multipliers={"eu": USD(2)}
    )
    searched = Usage(input=1, web_searches=3)
    assert priced(price, searched, Conditions(multipliers=("eu",))) == (2000 + 30_000_000 + 500_000_000, None)


def test_meters_beside_the_buckets() -> None:
    price = Price("b", {"input": USD("1e-6"), "audio_seconds": USD("0.0001")})
    heard = Conditions(metered=(("audio_seconds", 90),))
    assert priced(price, Usage(input=5), heard) == (5_000 + 9_000_000, None)
    assert priced(STEPPED, Usage(input=5), heard) == (None, "no price for audio_seconds")
    assert priced(price, Usage(input=5), Conditions(metered=(("audio_seconds", None),)))[0] is None
    assert priced(price, Usage(input=5), Conditions(metered=(("audio_seconds", 0),))) == (5_000, None)


def test_a_fee_by_what_the_search_read() -> None:
    fees = {"low": USD("0.005"), "medium": USD("0.008"), "high": USD("0.012")}
    price = Price("b", {"input": USD("1e-6"), "output": USD("1e-6")}, search_fees=fees, always_searches=True)
    usage = Usage(input=10, output=10)
    assert priced(price, usage, Conditions(search_context="medium")) == (20_000 + 8_000_000, None)
    for unclear in (PLAIN, Conditions(search_context="huge")):
        assert priced(price, usage, unclear) == (None, "the call searched the web, and nobody told how much of it")


def test_a_price_is_equal_by_what_it_states() -> None:
    assert replace(STEPPED, book="b") == STEPPED
    assert replace(STEPPED, tiers={}) != STEPPED


@given(
    st.builds(
        Usage,
        **dict.fromkeys(("input", "cache_read", "output", "audio_in"), st.none() | st.integers(0, 12_000)),
    ),
    st.sampled_from([STEPPED, replace(STEPPED, text_cache_only=True), replace(STEPPED, steps=())]),
)
def test_the_quick_way_and_the_long_way_agree(usage: Usage, price: Price) -> None:
    assert price_usage(1, usage, price, PLAIN) == price_usage(1, usage, price, Conditions(service_tier="default"))
