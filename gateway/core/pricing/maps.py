"""Two price maps beside one another: what a newer one changes, and whether that can be believed.

Prices do change, models come and go; but not nearly all at once, nor by a factor of a hundred (known faults 21, 22).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from gateway.core.pricing.price import Price, Tariff
from gateway.core.pricing.rates import EXACT, per_million_text

Prices: TypeAlias = Mapping[str, Mapping[str, Price]]
"""By kind of provider, then by model."""

_FACTOR = 100
"""How many times dearer or cheaper than before a rate is believed."""
_LOSS = Decimal("0.1")
"""The share of known models that a newer map may know no more."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What one model costs in another way than before."""

    model: str
    """With its kind, `openai/gpt-4o`."""
    what: str


@dataclass(frozen=True, slots=True)
class MapChanges:
    """What differs; models with their kind, in order."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Change, ...]
    doubts: tuple[str, ...]
    """Why this can hardly be meant; empty if nothing speaks against it."""


def compare(before: Prices, after: Prices, broken: Mapping[str, str]) -> MapChanges:
    """What `after` changes. `broken`: entries that the newer map has and nobody can read, with the reasons."""
    old, new = _flat(before), _flat(after)
    added = tuple(sorted(new.keys() - old.keys()))
    removed = tuple(sorted(old.keys() - new.keys()))
    both = sorted(old.keys() & new.keys())
    changed = tuple(Change(model, what) for model in both if (what := _difference(old[model], new[model])))
    doubts: list[str] = []
    if not new:
        doubts.append("it has no price of any known provider")
    elif len(removed) > len(old) * _LOSS:
        doubts.append(f"{len(removed)} of {len(old)} known models are missing in it")
    priced = [model for model in both if old[model].unknown_because is None]
    unpriced = [model for model in priced if new[model].unknown_because is not None]
    if len(unpriced) > len(priced) * _LOSS:
        doubts.append(f"{len(unpriced)} of {len(priced)} models have no price in it any more: {_some(unpriced)}")
    lost = [f"{name}: {why}" for name, why in broken.items()]
    if lost:
        doubts.append(f"{len(lost)} of its entries cannot be read: {_some(lost)}")
    leaps = [leap for model in both for leap in _leaps(model, old[model], new[model])]
    if leaps:
        doubts.append(f"{len(leaps)} rates differ by more than {_FACTOR} times: {_some(leaps)}")
    return MapChanges(added, removed, changed, tuple(doubts))


def _flat(prices: Prices) -> dict[str, Price]:
    return {f"{kind}/{model}": price for kind, models in prices.items() for model, price in models.items()}


def _difference(old: Price, new: Price) -> str | None:
    """What changed, in a few words; null if nothing but the book did."""
    if replace(old, book=new.book) == new:
        return None
    if old.unknown_because != new.unknown_because:
        return f"{old.unknown_because or 'known'} → {new.unknown_because or 'known'}"
    meters = [meter for meter in {**old.rates, **new.rates} if old.rates.get(meter) != new.rates.get(meter)]
    if not meters:
        return "its steps, tiers, hours or fees"
    return ", ".join(f"{meter} {_rate(old, meter)} → {_rate(new, meter)}" for meter in meters)


def _rate(price: Price, meter: str) -> str:
    rate = price.rates.get(meter)
    return "–" if rate is None else f"${per_million_text(rate)}"


def _leaps(model: str, old: Price, new: Price) -> Iterator[str]:
    before, after = _rates(old), _rates(new)
    for (where, meter), rate in before.items():
        later = after.get((where, meter))
        if later is not None and rate and not 1 < EXACT.divide(later, rate) * _FACTOR < _FACTOR**2:
            yield f"{model} {meter}{where} ${per_million_text(rate)} → ${per_million_text(later)}"


def _rates(price: Price) -> dict[tuple[str, str], Decimal]:
    """Every rate of a price, by where it holds (in words, empty: plainly) and its meter."""
    tariffs = {
        "": Tariff(price.rates, price.steps),
        **{f" in the tier {tier}": one for tier, one in price.tiers.items()},
    }
    tables = {where: tariff.rates for where, tariff in tariffs.items()}
    for where, tariff in tariffs.items():
        tables |= {f"{where} above {step.above} tokens": step.rates for step in tariff.steps}
    if price.off_peak is not None:
        tables[" off-peak"] = price.off_peak.rates
    return {(where, meter): rate for where, rates in tables.items() for meter, rate in rates.items()}


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
