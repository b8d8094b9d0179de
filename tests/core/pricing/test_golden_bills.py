"""Golden bills: what providers published or recorded, and the amount that each comes to, exact to the nano-dollar.

Each case of `golden_bills.json` has the provider's usage object as it came (or `buckets`, where only another dialect
tells them apart), its charges as quantity and USD per million, the amount as a literal, and its source. The amounts
were worked out apart from this software. They hold for the price map that is pinned; a newer one may change a line,
with a reason in the commit.
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

from gateway.core.pricing import PLAIN, Conditions, price_usage
from gateway.core.usage import Usage
from gateway.providers.price_map import PriceMap, load_price_map
from gateway.wire.openai_usage import Stated, stated

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden_bills.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def prices() -> PriceMap:
    return load_price_map()


def used(case: dict[str, Any]) -> Stated:
    if "buckets" in case:
        return Stated(Usage(**case["buckets"]), "{}")
    return stated(case["usage"], orjson.dumps({"usage": case["usage"]}))


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
    priced = price_usage(0, said.usage, prices.find(case["kind"], case["model"]), conditions(case, said))
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


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert len({case["kind"] for case in CASES}) >= 12
    assert all(case["from"] for case in CASES)
    assert sum(case["amount"] == "published" for case in CASES) >= 10
