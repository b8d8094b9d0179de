"""Price maps made for a test, and what they make of a call."""

import json
from collections.abc import Mapping

from gateway.core.pricing import Conditions, price_usage
from gateway.core.usage import Usage
from gateway.providers.price_map import PriceMap, read_price_map

PLAIN = Conditions()
GOOD = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


def bill(prices: PriceMap, kind: str, model: str, usage: Usage, conditions: Conditions = PLAIN) -> int | None:
    return price_usage(0, usage, prices.find(kind, model), conditions).cost_nano


def made(**entries: Mapping[str, object] | object) -> PriceMap:
    full = {
        name: {"litellm_provider": "openai", "mode": "chat", **entry} if isinstance(entry, Mapping) else entry
        for name, entry in entries.items()
    }
    return read_price_map(json.dumps(full).encode(), "test 1")


def entry_of(rate: float) -> dict[str, object]:
    return {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": rate}
