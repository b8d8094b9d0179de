"""Golden bills: what providers published or recorded, and the amount that each comes to, exact to the nano-dollar.

Each case of `golden_bills.json` has the provider's usage object as it came (or `buckets`, where only another dialect
tells them apart), its charges as quantity and USD per million, the amount as a literal, its source, and where the
amount comes from:

- `published`: somebody else wrote down both the usage and what it costs, in documentation, a report, a test;
- `recorded`: the provider's own answer stated both;
- `worked out`: the usage is the source's, the amount was worked out by hand from the published prices.

The first two have the amount as it stands there too (`stated`), and `rounded` where it was rounded there.
Cases hold for the price map that is pinned, a newer one may change a line, with a reason in the commit; or for `rates`
of their own (USD per million by bucket, and per `call`), where the source's price is of another day or provider.
"""

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.core.pricing import PLAIN, Conditions, FilePrice, Price, price_usage, resolved
from gateway.core.usage import BILLED_BUCKETS, Usage
from gateway.providers.price_map import PriceMap, load_price_map
from gateway.wire.openai_usage import Stated, stated

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden_bills.json").read_text(encoding="utf-8"))
BY_OTHERS = [case for case in CASES if case["amount"] in ("published", "recorded")]


@pytest.fixture(scope="module")
def prices() -> PriceMap:
    return load_price_map()


def used(case: dict[str, Any]) -> Stated:
    if "buckets" in case:
        return Stated(Usage(**case["buckets"]), "{}")
    return stated(case["usage"], orjson.dumps({"usage": case["usage"]}))


def price(case: dict[str, Any], prices: PriceMap) -> Price | None:
    if "rates" not in case:
        return prices.find(case["kind"], case["model"])
    rates = {bucket: Decimal(usd) for bucket, usd in case["rates"].items()}
    found = resolved(FilePrice("as/stated", usd_per_call=rates.pop("call", None), usd_per_million=rates), "file", None)
    assert isinstance(found, Price)
    return found


def conditions(case: dict[str, Any], said: Stated) -> Conditions:
    given = dict(case.get("conditions", {}))
    at = given.pop("at", None)
    given["multipliers"] = tuple(given.get("multipliers", ()))
    at_us = None if at is None else round(datetime.fromisoformat(at).timestamp()) * 1_000_000
    found = Conditions(**given, at_us=at_us, metered=said.metered, search_context=said.search_context)
    return PLAIN if found == PLAIN else found


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_golden_bill(prices: PriceMap, case: dict[str, Any]) -> None:
    """Known fault 19: golden bills, recorded answers with the amount they led to, kept as tests."""
    said = used(case)
    priced = price_usage(0, said.usage, price(case, prices), conditions(case, said))
    assert priced.because is None
    charged = Counter((charge.quantity, Fraction(charge.usd_per_million)) for charge in priced.charges)
    assert charged == Counter((quantity, Fraction(usd)) for quantity, usd in case["lines"])
    assert priced.cost_nano == Decimal(case["usd"]).scaleb(9)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_amounts_are_what_their_lines_come_to(case: dict[str, Any]) -> None:
    """By fractions, without a line of the software: each charge rounded alone, half to even."""
    assert sum(round(Fraction(usd) * quantity * 1000) for quantity, usd in case["lines"]) == Decimal(
        case["usd"]
    ).scaleb(9)


def theirs(case: dict[str, Any]) -> Decimal:
    """What the source states, in USD; some state the prompt's part and the answer's."""
    return sum((Decimal(part) for part in case["stated"].split(" + ")), Decimal(0))


@pytest.mark.parametrize("case", BY_OTHERS, ids=[case["name"] for case in BY_OTHERS])
def test_the_amounts_are_what_others_state(case: dict[str, Any]) -> None:
    """To the nano-dollar; where the source rounded, half of its last digit is all that rounding explains."""
    ours, said = Decimal(case["usd"]), theirs(case)
    if case.get("rounded"):
        assert 0 < abs(ours - said) <= Decimal("0.5").scaleb(int(said.as_tuple().exponent))
    else:
        assert ours == round(said, 9)


def test_there_are_enough_of_them() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert all(case["from"] for case in CASES)
    assert {case["amount"] for case in CASES} == {"published", "recorded", "worked out"}
    assert len(BY_OTHERS) >= 150
    assert len({case["kind"] for case in BY_OTHERS}) >= 17
    assert sum(not case.get("rounded") for case in BY_OTHERS) >= 140


@pytest.mark.parametrize("bucket", BILLED_BUCKETS)
def test_others_state_an_amount_with_every_bucket(bucket: str) -> None:
    assert any(getattr(used(case).usage, bucket) for case in BY_OTHERS)


@pytest.mark.parametrize("tier", ["batch", "flex", "priority"])
def test_others_state_an_amount_of_every_tier(tier: str) -> None:
    assert any(conditions(case, used(case)).tier == tier for case in BY_OTHERS)
