"""The grammar of one entry of the price map, on entries made up for it."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.core.pricing import Price, Step, Tariff, Window
from gateway.providers.off_peak import Broken
from gateway.providers.price_entries import price_of

D = Decimal
PLAIN = {"input_cost_per_token": D("1e-6"), "output_cost_per_token": D("2e-6")}


def read(*, reaches: bool = False, **fields: Any) -> Price:
    return price_of({**PLAIN, **fields}, "b", reaches=reaches)


def test_any_cliff_and_any_tier() -> None:
    price = read(
        input_cost_per_token_above_32k_tokens=D("3e-6"),
        output_cost_per_token_above_32k_tokens=D("4e-6"),
        input_cost_per_token_above_512k_tokens=D("5e-6"),
        input_cost_per_token_balanced=D("6e-6"),
        input_cost_per_token_above_32k_tokens_balanced=D("7e-6"),
        input_cost_per_token_above_512k_tokens_decisions=D("8e-6"),
    )
    assert price.steps == (Step(32_000, {"input": D("3e-6"), "output": D("4e-6")}), Step(512_000, {"input": D("5e-6")}))
    assert price.tiers == {
        "balanced": Tariff({"input": D("6e-6")}, (Step(32_000, {"input": D("7e-6")}), Step(512_000, {})))
    }


def test_a_cliff_that_is_reached() -> None:
    assert read(reaches=True, input_cost_per_token_above_128k_tokens=D("3e-6")).steps[0].above == 127_999


def test_a_cliff_without_a_price_is_there_all_the_same() -> None:
    """Known fault 6: zero is not a price, and the price below the cliff is not the one beyond it."""
    assert read(input_cost_per_token_above_128k_tokens=0).steps == (Step(128_000, {}),)


def test_lifetimes_of_cache_writes() -> None:
    one = read(cache_creation_input_token_cost=D("3e-6"))
    assert one.rates["cache_write"] == D("3e-6")
    hour = read(
        cache_creation_input_token_cost=D("3e-6"),
        cache_creation_input_token_cost_above_1hr=D("4e-6"),
        cache_creation_input_token_cost_above_1hr_above_200k_tokens=D("8e-6"),
        cache_creation_input_token_cost_above_200k_tokens=D("6e-6"),
        input_cost_per_token_above_200k_tokens=D("2e-6"),
        input_cost_per_token_batches=D("5e-7"),
        cache_creation_input_token_cost_batches=D("15e-7"),
    )
    assert (hour.rates["cache_write_5m"], hour.rates["cache_write_1h"]) == (D("3e-6"), D("4e-6"))
    assert hour.steps[0].rates == {"input": D("2e-6"), "cache_write_5m": D("6e-6"), "cache_write_1h": D("8e-6")}
    assert hour.tiers["batch"].rates == {"input": D("5e-7"), "cache_write_5m": D("15e-7")}
    half_day = read(cache_creation_input_token_cost=D("3e-6"), cache_creation_input_token_cost_above_12hr=D("9e-6"))
    assert "cache_write" not in half_day.rates
    assert half_day.rates["cache_write_5m"] == D("3e-6")


def test_steps_in_a_list() -> None:
    tiers = [
        {"range": [D(256_000), D(1_000_000)], "input_cost_per_token": D("4e-6"), "output_cost_per_token": D("8e-6")},
        {"range": [0, D(256_000)], "input_cost_per_token": D("1e-6"), "output_cost_per_reasoning_token": D("3e-6")},
    ]
    price = price_of({"tiered_pricing": tiers}, "b")
    assert price.rates == {"input": D("1e-6"), "reasoning": D("3e-6")}
    assert price.steps == (
        Step(256_000, {"input": D("4e-6"), "output": D("8e-6")}),
        Step(1_000_000, {}),  # what larger prompts cost nobody says
    )


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"tiered_pricing": [{"range": [1, 5], "input_cost_per_token": D("1e-6")}]}, "follow on one another"),
        ({"tiered_pricing": [{"max_results_range": [0, 5], "input_cost_per_query": D(1)}]}, "something else"),
        ({"tiered_pricing": [{"range": [0, 5], "input_cost_per_query": D(1)}]}, "something else"),
        ({"tiered_pricing": [{"range": [0, 5], "input_cost_per_token_flex": D("1e-6")}]}, "inside one of its own"),
        ({"tiered_pricing": [{"range": [0, 5], "input_cost_per_token": D("9e-6")}]}, "contradict"),
        (
            {
                "tiered_pricing": [{"range": [0, 5], "input_cost_per_token": D("1e-6")}],
                "input_cost_per_token_flex": D("1e-6"),
            },
            "beside them",
        ),
        (
            {
                "off_peak_pricing": {"hours_utc": "01:00-02:00", "input_cost_per_token": D("1e-7")},
                "input_cost_per_token_flex": D("1e-6"),
            },
            "beside them",
        ),
        ({"off_peak_pricing": {"input_cost_per_token": D("1e-7")}}, "without hours"),
    ],
)
def test_what_can_be_understood_in_two_ways_is_unknown(fields: dict[str, Any], what: str) -> None:
    because = read(**fields).unknown_because
    assert because is not None
    assert because.startswith("the price map is not clear: ")
    assert what in because


@pytest.mark.parametrize(
    "fields",
    [
        {"tiered_pricing": "cheap"},
        {"tiered_pricing": []},
        {"tiered_pricing": [{"range": [0, D("0.5")], "input_cost_per_token": D("1e-6")}]},
        {"input_cost_per_token_flex": D(3)},
        {"search_context_cost_per_query": {"search_context_size_low": D(1000)}},
        {"regional_processing_uplift_multiplier_eu": D(50)},
    ],
)
def test_what_makes_no_sense_is_broken(fields: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        read(**fields)


def test_off_peak_hours() -> None:
    hours = {"hours_utc": "16:30-00:30", "input_cost_per_token": D("5e-7")}
    price = read(off_peak_pricing=hours)
    assert price.off_peak is not None
    assert price.off_peak.windows == (Window(990, 30),)
    assert price.off_peak.rates == {"input": D("5e-7")}


def sizes(low: str, medium: str, high: str) -> dict[str, Decimal]:
    stated = {"low": low, "medium": medium, "high": high}
    return {f"search_context_size_{size}": D(usd) for size, usd in stated.items()}


def test_what_a_search_costs() -> None:
    """Known fault 25: a price for each, a fee by size, or nothing that one call can be billed by."""
    each = read(
        search_context_cost_per_query=sizes("0.01", "0.01", "0.01"),
        input_cost_per_token_flex=D("5e-7"),
        input_cost_per_token_above_200k_tokens=D("3e-6"),
    )
    assert each.rates["web_searches"] == each.tiers["flex"].rates["web_searches"] == D("0.01")
    assert each.steps[0].rates["web_searches"] == D("0.01")
    assert each.tiers["flex"].steps == (Step(200_000, {}),)
    assert not each.search_billed
    fee = read(search_context_cost_per_query=sizes("0.005", "0.008", "0.012"))
    assert fee.search_fees == {"low": D("0.005"), "medium": D("0.008"), "high": D("0.012")}
    for unclear in (
        read(),
        read(search_context_cost_per_query=sizes("0.01", "0.01", "0.01"), search_free_requests={"count": 5000}),
        read(search_context_cost_per_query={"search_context_size_low": D("0.01")}),
        read(search_context_cost_per_query=sizes("0", "0", "0")),
    ):
        assert (unclear.search_billed, unclear.search_fees) == (True, {})
        assert "web_searches" not in unclear.rates


def test_multipliers_of_regions_and_speeds() -> None:
    price = read(
        regional_processing_uplift_multiplier_eu=D("1.1"),
        provider_specific_entry={"us": D("1.2"), "fast": 2, "Setting": 3, "on": True, "word": "text"},
    )
    assert price.multipliers == {"eu": D("1.1"), "us": D("1.2"), "fast": D(2)}


def test_older_spellings_and_meters_beside_tokens() -> None:
    assert read(input_cost_per_token_cache_hit=D("1e-7")).rates["cache_read"] == D("1e-7")
    both = read(input_cost_per_token_cache_hit=D("1e-7"), cache_read_input_token_cost=D("2e-7"))
    assert both.rates["cache_read"] == D("2e-7")
    price = read(citation_cost_per_token=D("2e-6"), input_cost_per_audio_per_second=D("0.0001"))
    assert (price.rates["citation_tokens"], price.rates["audio_seconds"]) == (D("2e-6"), D("0.0001"))


def test_a_meter_of_one_tier_that_no_usage_states_spoils_that_tier_alone() -> None:
    price = read(
        input_cost_per_moon_flex=D("1"), input_cost_per_token_flex=D("1e-7"), input_cost_per_token_priority=D("1e-5")
    )
    assert price.unknown_because is None
    assert set(price.tiers) == {"priority"}
