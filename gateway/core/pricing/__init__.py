"""What usage costs: prices, the book that holds them, and the only place that multiplies counts by rates.

A price that cannot be applied to the letter is unknown, with its reason, never an approximation. Unknown, free and
own hardware are three different things: free must be stated, zero is not a price (known faults 6, 23).
Where prices come from (files, maps, the database) is not known here.
"""

from gateway.core.pricing.bill import Priced, exact_usd, price_usage
from gateway.core.pricing.book import FilePrice, KindPrices, PriceBook, StoredPrice, resolved
from gateway.core.pricing.bound import Bound, Most
from gateway.core.pricing.conditions import PLAIN, PLAIN_TIERS, Conditions
from gateway.core.pricing.price import CALL, WEB_SEARCHES, OffPeak, Price, Step, Tariff, Window
from gateway.core.pricing.rates import per_million_text

__all__ = [
    "CALL", "PLAIN", "PLAIN_TIERS", "WEB_SEARCHES", "Bound", "Conditions", "FilePrice", "KindPrices", "Most", "OffPeak",
    "Price", "PriceBook", "Priced", "Step", "StoredPrice", "Tariff", "Window", "exact_usd", "per_million_text",
    "price_usage", "resolved",
]  # fmt: skip
