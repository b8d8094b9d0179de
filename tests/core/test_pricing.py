"""The calculator of every bill: what it multiplies, and what it refuses to guess."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.core.pricing import (
    CALL,
    Conditions,
    FilePrice,
    Price,
    PriceBook,
    Step,
    StoredPrice,
    exact_usd,
    per_million_text,
    price_usage,
)
from gateway.core.routing import Provider, Target
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


# --- the book


@dataclass(frozen=True)
class Known:
    """Prices by kind, in memory."""

    prices: Mapping[str, Mapping[str, Price]] = field(default_factory=dict)
    version: str = "known 1"

    def find(self, kind: str, model: str) -> Price | None:
        return self.prices.get(kind, {}).get(model)

    def models(self, kind: str) -> Collection[str]:
        return self.prices.get(kind, {}).keys()


KNOWN = Known({"openai": {"gpt-4o": PRICE}})
HOME = Provider("openai", "openai", at_home=True)
ELSEWHERE = Provider("box", "openai", at_home=False)


def stated(**amounts: str) -> dict[str, Decimal]:
    return {bucket: Decimal(amount) for bucket, amount in amounts.items()}


def test_known_prices_hold_at_the_kinds_own_address_alone() -> None:
    book = PriceBook(KNOWN)
    assert book.find(Target(HOME, "gpt-4o")) == PRICE
    assert book.find(Target(ELSEWHERE, "gpt-4o")) is None
    assert book.find(Target(HOME, "gpt-4")) is None
    assert book.version == "known 1"
    assert list(book.models("openai")) == ["gpt-4o"]


def test_stated_prices_come_first_and_a_name_before_a_pattern() -> None:
    book = PriceBook(
        KNOWN,
        [
            FilePrice("openai/gpt-4o", stated(input="1")),
            FilePrice("openai/*", stated(input="2")),
            FilePrice("box/*", free=True),
        ],
    )
    named, rest, free = (
        book.find(Target(HOME, "gpt-4o")),
        book.find(Target(HOME, "else")),
        book.find(Target(ELSEWHERE, "a/b")),
    )
    assert named is not None
    assert named.rates == {"input": Decimal("0.000001")}
    assert rest is not None
    assert rest.rates == {"input": Decimal("0.000002")}
    assert free is not None
    assert free.free


def test_a_price_borrowed_from_a_kind_names_both_sources() -> None:
    book = PriceBook(KNOWN, [FilePrice("box/*", like="openai")])
    borrowed = book.find(Target(ELSEWHERE, "gpt-4o"))
    assert borrowed is not None
    assert borrowed.rates == PRICE.rates
    assert borrowed.book.startswith("book 1 like openai by file sha256:")
    assert book.find(Target(ELSEWHERE, "unheard-of")) is None


def test_stated_prices_are_per_million_and_go_through_the_same_arithmetic() -> None:
    """Known faults 18 and 21: one calculator for custom prices too, and the unit is in the name."""
    entry = FilePrice("box/m", stated(input="0.05", cache_read="0", output="0.20"), usd_per_call=Decimal("0.001"))
    price = PriceBook(Known(), [entry]).find(Target(ELSEWHERE, "m"))
    assert cost(Usage(input=1_000_000, cache_read=9, output=1_000_000), price) == 50_000_000 + 200_000_000 + 1_000_000


def test_a_stated_price_per_call_alone_holds_whatever_the_length() -> None:
    price = PriceBook(Known(), [FilePrice("box/m", usd_per_call=Decimal("0.25"))]).find(Target(ELSEWHERE, "m"))
    assert cost(Usage(input=10**6, cache_read=5, output=9, audio_in=1), price) == 250_000_000
    assert cost(Usage(input=1, web_searches=1), price) is None


def test_a_stated_price_without_searches_does_not_cover_them() -> None:
    price = PriceBook(Known(), [FilePrice("box/m", stated(input="1"))]).find(Target(ELSEWHERE, "m"))
    assert cost(Usage(input=1), price, Conditions(web_search=True)) is None


def test_the_version_follows_the_content() -> None:
    one, two = FilePrice("a/b", stated(input="1")), FilePrice("c/d", free=True)
    versions = [PriceBook(KNOWN, entries).version for entries in ([one, two], [two, one], [one], [])]
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3
    price = PriceBook(KNOWN, [one]).find(Target(Provider("a", "openai", False), "b"))
    assert price is not None
    assert versions[2] == f"known 1 + {price.book}"


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (FilePrice("box/m"), "not exactly one"),
        (FilePrice("box/m", stated(input="1"), free=True), "not exactly one"),
        (FilePrice("box/m", free=True, like="openai"), "not exactly one"),
        (FilePrice("box/m", stated(inputs="1")), "unknown bucket 'inputs'"),
        (FilePrice("box/m", stated(prediction_accepted="1")), "unknown bucket"),
        (FilePrice("box/m", stated(input="-1")), "negative"),
        (FilePrice("box/m", stated(input="NaN")), "negative or not a number"),
        (FilePrice("box/m", stated(input="0", output="0")), "nothing but zeros"),
        (FilePrice("box/m", {}), "nothing but zeros"),
        (FilePrice("box/m", like="vllm"), "without known prices"),
        (FilePrice("box", free=True), "not a target"),
        (FilePrice("*/m", free=True), "not a target"),
        (FilePrice("box/m*", free=True), "not a target"),
    ],
)
def test_entries_that_make_no_sense_are_refused_by_name(entry: FilePrice, what: str) -> None:
    """Known fault 6: zero is not a price; who means free says so."""
    with pytest.raises(Fault, match=what) as caught:
        PriceBook(KNOWN, [entry])
    assert caught.value.kind is Kind.INVALID
    assert caught.value.param == f"prices.{entry.target_pattern}"


def test_a_regional_address_costs_what_the_map_says_of_the_region() -> None:
    europe = Provider("europe", "openai", at_home=True, region="eu")
    lifted = replace(PRICE, multipliers={"eu": USD("1.1")})
    book = PriceBook(Known({"openai": {"gpt-4o": lifted, "old": PRICE, "odd": replace(PRICE, unknown_because="odd")}}))
    price = book.find(Target(europe, "gpt-4o"))
    assert price is not None
    assert (price.rates["input"], price.book) == (USD("0.0000022"), "book 1 in eu")
    untold = book.find(Target(europe, "old"))
    assert untold is not None
    assert untold.unknown_because == "the price map does not say what it costs in the region eu"
    odd = book.find(Target(europe, "odd"))
    assert odd is not None
    assert odd.unknown_because == "odd"
    assert book.find(Target(europe, "else")) is None


def test_sources_and_lenders_of_prices() -> None:
    entries = [FilePrice("box/free", free=True), FilePrice("box/*", like="openai")]
    stored = StoredPrice(3, "box/set", FilePrice("box/set", stated(input="1")), 0, 0, "cli")
    book = PriceBook(KNOWN, entries, [stored])
    told = {
        name: (book.source(target), book.lender(target))
        for name, target in {
            "free": Target(ELSEWHERE, "free"), "set": Target(ELSEWHERE, "set"), "gpt-4o": Target(ELSEWHERE, "gpt-4o"),
            "home": Target(HOME, "gpt-4o"), "nobody": Target(HOME, "nobody"),
        }.items()
    }  # fmt: skip
    assert told == {
        "free": ("file", None), "set": ("set", None), "gpt-4o": ("file", "openai"), "home": ("map", None),
        "nobody": (None, None),
    }  # fmt: skip
    assert book.patterns() == ["box/free", "box/*", "box/set"]
    assert "set price 3" in book.version


def test_who_remembers_a_price_is_told_to_forget_it() -> None:
    told = []
    book = PriceBook(KNOWN)
    book.watch(lambda: told.append(book.version))
    newer = Known({"openai": {"gpt-5": PRICE}}, "known 2")
    book.put_in_force(newer, [StoredPrice(1, "openai/gpt-5", None, 0, 0, "cli")])
    assert told == ["known 2 + set price 1"]
    assert book.find(Target(HOME, "gpt-4o")) is None
    assert book.find(Target(HOME, "gpt-5")) == PRICE


def test_a_stored_price_whose_lender_is_gone_is_no_price() -> None:
    """What was sensible when it was set must not stop the book from being put in force."""
    lost = StoredPrice(1, "box/*", FilePrice("box/*", like="gone"), 0, 0, "cli")
    assert PriceBook(KNOWN, stored=[lost]).find(Target(ELSEWHERE, "gpt-4o")) is None
