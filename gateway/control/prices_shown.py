"""Prices as the admin API and the command line write them: decimals as text, USD per million units."""

from typing import Any

from gateway.control import times
from gateway.core.pricing import FilePrice, OffPeak, Price, PriceBook, StoredPrice, per_million_text
from gateway.core.pricing.rates import Rates
from gateway.core.routing import Target


def price_facts(book: PriceBook, target: Target) -> dict[str, Any]:
    """What a target costs, with the source; unknown is null."""
    price = book.find(target)
    facts: dict[str, Any] = {"target": target.name, "source": book.source(target), "price_book": None}
    lender = book.lender(target)
    if lender is not None:
        facts["like"] = lender
    if price is None:
        every_model = target.model == "*" and lender is not None
        return {**facts, "unknown_because": None if every_model else "no price is known for this target"}
    facts["price_book"] = price.book
    facts["unknown_because"] = price.unknown_because
    facts |= {"free": price.free, "usd_per_million": _rates(price.rates)}
    facts["usd_per_call"] = None if price.usd_per_call is None else format(price.usd_per_call, "f")
    return {**facts, **_grammar(price)}


def _grammar(price: Price) -> dict[str, Any]:
    """Whatever else decides about it; nothing for most."""
    found: dict[str, Any] = {}
    if price.steps:
        found["steps"] = [_step(step.above, step.rates) for step in price.steps]
    if price.tiers:
        found["tiers"] = {
            tier: {
                "usd_per_million": _rates(tariff.rates),
                "steps": [_step(step.above, step.rates) for step in tariff.steps],
            }
            for tier, tariff in price.tiers.items()
        }
    if price.off_peak is not None:
        found["off_peak"] = _off_peak(price.off_peak)
    if price.multipliers:
        found["multipliers"] = {word: format(factor, "f") for word, factor in price.multipliers.items()}
    if price.search_fees:
        found["usd_per_call_by_search"] = {size: format(fee, "f") for size, fee in price.search_fees.items()}
    return found


def _step(above: int, rates: Rates) -> dict[str, Any]:
    return {"above_prompt_tokens": above, "usd_per_million": _rates(rates) if rates else None}


def _off_peak(off_peak: OffPeak) -> dict[str, Any]:
    windows = [
        {"hours_utc": f"{_clock(window.start)}-{_clock(window.end)}", "weekdays": sorted(window.weekdays)}
        for window in off_peak.windows
    ]
    return {"windows": windows, "usd_per_million": _rates(off_peak.rates)}


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _rates(rates: Rates) -> dict[str, str]:
    return {meter: per_million_text(rate) for meter, rate in rates.items()}


def stored_facts(stored: StoredPrice) -> dict[str, Any]:
    """One price of a target's history."""
    return {
        "number": stored.number,
        "target": stored.target_pattern,
        "since": times.rfc3339(stored.since_us),
        "made_at": times.rfc3339(stored.made_us),
        "actor": stored.actor,
        "taken_back": stored.entry is None,
        **stated_facts(stored.entry),
    }


def stated_facts(entry: FilePrice | None) -> dict[str, Any]:
    """A price as somebody stated it."""
    rates = entry.usd_per_million if entry is not None else None
    per_call = entry.usd_per_call if entry is not None else None
    return {
        "usd_per_million": None if rates is None else {bucket: format(usd, "f") for bucket, usd in rates.items()},
        "usd_per_call": None if per_call is None else format(per_call, "f"),
        "free": entry is not None and entry.free,
        "like": entry.like if entry is not None else None,
    }
