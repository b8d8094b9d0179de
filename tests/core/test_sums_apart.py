"""What must never be added up: kinds of money, and tokens that are counted twice."""

from gateway.core.pricing import price_usage
from gateway.core.rollups import FIGURES, Rollup
from gateway.core.usage import BILLED_BUCKETS, INPUT_BUCKETS
from gateway.providers.price_map import load_price_map
from gateway.storage.usage_report import sums_json
from gateway.wire.openai_usage import buckets

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 200, "rejected_prediction_tokens": 50},
}


def test_spent_avoided_and_reserved_money_are_three_sums() -> None:
    """Known fault 24: they live in separate columns and never add up together."""
    sums = Rollup()
    money = {"cost_nano": 5, "avoided_nano": 7, "reserve_nano": 11}
    call = {"end": "completed", "attempts": 1, "usage_basis": "provider", **money, **buckets(USAGE).as_dict()}
    sums.add([tuple(call.get(name) for name in FIGURES)] * 2)
    shown = sums_json(sums)
    assert [shown[name] for name in ("cost_usd", "avoided_usd", "reserve_usd")] == [
        "0.000000010", "0.000000014", "0.000000022",
    ]  # fmt: skip


def test_what_is_exported_adds_up_to_what_the_provider_counted() -> None:
    """Known fault 17: buckets are disjoint, so nobody who adds them up counts cached tokens twice."""
    usage = buckets(USAGE).as_dict()
    assert sum(usage[name] or 0 for name in INPUT_BUCKETS) == 1000
    assert sum(usage[name] or 0 for name in BILLED_BUCKETS) == 1300
    price = load_price_map().find("openai", "gpt-6-luna")
    charges = price_usage(0, buckets(USAGE), price).charges
    assert sum(charge.quantity for charge in charges) == 1300
