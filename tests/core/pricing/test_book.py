"""The book: what the operator stated, over what is known of a kind at its own addresses."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.models import NO_FACTS, ModelFacts
from gateway.core.pricing import (
    Conditions,
    FilePrice,
    Price,
    PriceBook,
    StoredPrice,
    price_usage,
)
from gateway.core.routing import Provider, Target
from gateway.core.usage import Usage

PRICE = Price("book 1", {"input": Decimal("0.000002"), "output": Decimal("0.00001")})
PLAIN = Conditions()


def cost(usage: Usage, price: Price | None, conditions: Conditions = PLAIN) -> int | None:
    return price_usage(0, usage, price, conditions).cost_nano


@dataclass(frozen=True)
class Known:
    """Prices by kind, in memory."""

    prices: Mapping[str, Mapping[str, Price]] = field(default_factory=dict)
    version: str = "known 1"

    def find(self, kind: str, model: str) -> Price | None:
        return self.prices.get(kind, {}).get(model)

    def models(self, kind: str) -> Collection[str]:
        return self.prices.get(kind, {}).keys()

    def facts(self, kind: str, model: str) -> ModelFacts:
        return ModelFacts(1000, 100) if self.find(kind, model) is not None else NO_FACTS


KNOWN = Known({"openai": {"gpt-4o": PRICE}})
HOME = Provider("openai", "openai", at_home=True)
ELSEWHERE = Provider("box", "openai", at_home=False)


def stated(**amounts: str) -> dict[str, Decimal]:
    return {bucket: Decimal(amount) for bucket, amount in amounts.items()}


def test_a_models_bounds_are_those_of_its_kind_or_of_the_kind_it_borrows_from() -> None:
    book = PriceBook(KNOWN, [FilePrice("box/*", like="openai"), FilePrice("other/gpt-4o", free=True)])
    assert book.facts(Target(HOME, "gpt-4o")) == ModelFacts(1000, 100)
    assert book.facts(Target(ELSEWHERE, "gpt-4o")) == ModelFacts(1000, 100)
    assert book.facts(Target(Provider("other", "openai", at_home=False), "gpt-4o")) == NO_FACTS
    assert book.facts(Target(HOME, "unheard-of")) == NO_FACTS


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
    lifted = replace(PRICE, multipliers={"eu": Decimal("1.1")})
    book = PriceBook(Known({"openai": {"gpt-4o": lifted, "old": PRICE, "odd": replace(PRICE, unknown_because="odd")}}))
    price = book.find(Target(europe, "gpt-4o"))
    assert price is not None
    assert (price.rates["input"], price.book) == (Decimal("0.0000022"), "book 1 in eu")
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
