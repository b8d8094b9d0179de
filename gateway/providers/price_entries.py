"""One entry of litellm's price map as a price: the grammar of its fields.

`<meter>[_above_1hr|_above_12hr][_above_<N>k_tokens][_<tier>]`, and the lists and objects beside them. What cannot be
understood to the letter makes the entry, or that tier of it, unknown; what makes no sense is `Broken`. Which entries
there are, and whose, is not known here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from gateway.core.pricing import WEB_SEARCHES, Price, Step, Tariff
from gateway.providers.off_peak import Broken, Unclear, off_peak

Entry: TypeAlias = Mapping[str, object]

_RATES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_in",
    "output_cost_per_audio_token": "audio_out",
    "input_cost_per_image_token": "image_in",
    "output_cost_per_image_token": "image_out",
    "citation_cost_per_token": "citation_tokens",
}
_OLDER = {"input_cost_per_token_cache_hit": "cache_read"}
"""Older spellings, believed where the newer one is missing."""
_SECONDS = {"input_cost_per_audio_per_second": "audio_seconds"}
_CACHE_WRITE_12H = "cache_creation_input_token_cost_above_12hr"
"""No provider states how much was written for so long: all that matters is that a write has several prices."""
_PER_CALL = "input_cost_per_request"
_CACHED_MEDIA = frozenset({"cache_read_input_audio_token_cost", "cache_read_input_image_token_cost"})
_SEARCH = "search_context_cost_per_query"
_OTHER_TOOLS = frozenset({"google_maps_grounding_cost_per_query"})
"""Billed only where a request asks for the tool: every entry of the map counts as billing those apart."""
_OWN_GRAMMAR = frozenset({"tiered_pricing", "off_peak_pricing", _SEARCH})
_TIERS = {
    "_batches": "batch",
    "_flex": "flex",
    "_priority": "priority",
    "_balanced": "balanced",
    "_ultrafast": "ultrafast",
    "_decisions": "decisions",
}
_FIELD = re.compile(rf"(?P<meter>.+?)(?:_above_(?P<thousands>\d+)k_tokens)?(?P<tier>{'|'.join(_TIERS)})?", re.DOTALL)
_UPLIFT = "regional_processing_uplift_multiplier_"

_DEAREST = Decimal("0.001")
"""USD per token; the dearest known model costs 0.0006. More was meant per thousand or per million (known fault 21)."""
_CHEAPEST = Decimal("1e-11")
_DEAREST_UNIT = Decimal(100)
"""USD for a call, a search, a second."""


@dataclass(slots=True)
class _Rates:
    """What is stated for one tier and one size of prompt."""

    rates: dict[str, Decimal] = field(default_factory=dict)
    unknown: str | None = None
    """A meter that no usage states."""
    lifetimes: bool = False
    """Cache writes have several prices: one whose lifetime nobody states has none."""

    def settled(self, lifetimes: bool) -> dict[str, Decimal]:
        """The rates; none of them if they are not all that is billed."""
        if lifetimes and "cache_write" in self.rates:
            self.rates["cache_write_5m"] = self.rates.pop("cache_write")
        return {} if self.unknown else self.rates


@dataclass(frozen=True, slots=True)
class _Whole:
    """What holds for all tiers and sizes."""

    usd_per_call: Decimal | None
    text_cache_only: bool
    always_searches: bool


def price_of(entry: Entry, book: str, *, reaches: bool = False, always_searches: bool = False) -> Price:
    """The price that an entry states. Raises `Broken`.

    `reaches`: the provider takes a cliff to begin at its number of tokens, not beyond it. `always_searches`: every call
    of the model can have searched the web.
    """
    scopes: dict[tuple[str | None, int], _Rates] = {}
    per_call: Decimal | None = None
    text_cache_only = False
    for meter, above, tier, amount in _fields(entry):
        scope = scopes.setdefault((tier, above - 1 if above and reaches else above), _Rates())
        if not amount:
            continue
        if meter == _PER_CALL and (tier, above) == (None, 0):
            per_call = _plausible(meter, amount, Decimal(0), _DEAREST_UNIT)
        elif meter in _CACHED_MEDIA:
            text_cache_only = True
        else:
            _take(scope, meter, amount)
    plain = scopes.get((None, 0), _Rates())
    unknown = plain.unknown and f"it is also billed by {plain.unknown}, which no provider states"
    if not plain.rates and per_call is None and unknown is None and "tiered_pricing" not in entry:
        # Free tiers and entries that nobody filled in look alike: neither is believed (known faults 6, 23).
        unknown = "the price map states no price above zero; if it is free, say so with `free: true`"
    if unknown is not None:
        return Price(book, {}, unknown_because=unknown)
    try:
        return _composed(entry, book, scopes, _Whole(per_call, text_cache_only, always_searches))
    except Unclear as unclear:
        return Price(book, {}, unknown_because=f"the price map is not clear: {unclear}")


def _composed(entry: Entry, book: str, scopes: Mapping[tuple[str | None, int], _Rates], whole: _Whole) -> Price:
    lifetimes = any(scope.lifetimes for scope in scopes.values())
    tariffs = _tariffs(scopes, lifetimes)
    plain = tariffs.pop(None, Tariff({}))
    if "tiered_pricing" in entry:
        if plain.steps or tariffs:
            raise Unclear("steps, and prices by tier or by size beside them")
        plain = _tiered(entry["tiered_pricing"], plain.rates)
    timed = off_peak(entry, lambda rates: _simple_rates(rates).settled(lifetimes))
    if timed is not None and (plain.steps or tariffs):
        raise Unclear("off-peak hours, and prices by tier or by size beside them")
    searches, fees = _searches(entry)
    return Price(
        book,
        {**plain.rates, **searches},
        usd_per_call=whole.usd_per_call,
        steps=_with(plain, searches).steps,
        tiers={tier: _with(tariff, searches) for tier, tariff in tariffs.items() if tier is not None},
        off_peak=timed,
        multipliers=dict(_multipliers(entry)),
        search_fees=fees,
        search_billed=not searches and not fees,
        always_searches=whole.always_searches,
        text_cache_only=whole.text_cache_only,
    )


def _with(tariff: Tariff, searches: Mapping[str, Decimal]) -> Tariff:
    """The tariff with the price of searches, which is the same in all of them."""
    steps = tuple(Step(step.above, {**step.rates, **searches} if step.rates else {}) for step in tariff.steps)
    return Tariff({**tariff.rates, **searches}, steps)


def _take(scope: _Rates, meter: str, amount: Decimal) -> None:
    if meter in _RATES:
        scope.rates[_RATES[meter]] = _plausible(meter, amount, _CHEAPEST, _DEAREST)
        scope.lifetimes |= _RATES[meter] == "cache_write_1h"
    elif meter in _OLDER:
        scope.rates.setdefault(_OLDER[meter], _plausible(meter, amount, _CHEAPEST, _DEAREST))
    elif meter in _SECONDS:
        scope.rates[_SECONDS[meter]] = _plausible(meter, amount, Decimal(0), _DEAREST_UNIT)
    elif meter == _CACHE_WRITE_12H:
        scope.lifetimes = True
    elif meter not in _OTHER_TOOLS:
        scope.unknown = meter


def _tariffs(scopes: Mapping[tuple[str | None, int], _Rates], lifetimes: bool) -> dict[str | None, Tariff]:
    """Rates by tier. Where the plain price has a cliff, every tier has one: stated, or unknown beyond it."""
    cliffs = {above for tier, above in scopes if tier is None and above}
    tariffs: dict[str | None, Tariff] = {}
    for tier in {tier for tier, _ in scopes}:
        base = scopes.get((tier, 0))
        rates = {} if base is None else base.settled(lifetimes)
        if not rates and tier is not None:
            continue
        sizes = sorted(cliffs | {above for of, above in scopes if of == tier and above})
        found = [(above, scopes.get((tier, above))) for above in sizes]
        steps = tuple(Step(above, scope.settled(lifetimes) if scope else {}) for above, scope in found)
        tariffs[tier] = Tariff(rates, steps)
    return tariffs


def _tiered(tiers: object, beside: Mapping[str, Decimal]) -> Tariff:
    """`tiered_pricing`: rates by ranges of the prompt's size that follow on one another, from zero on."""
    if not isinstance(tiers, list) or not tiers or not all(isinstance(tier, dict) for tier in tiers):
        raise Broken("tiered_pricing is no list of objects")
    steps: list[Step] = []
    reached = 0
    for tier in sorted(tiers, key=lambda tier: _range(tier)[0]):
        low, high = _range(tier)
        if low != reached or high <= low:
            raise Unclear("ranges of tiered_pricing that do not follow on one another")
        rates = _simple_rates({name: value for name, value in tier.items() if name != "range"}).settled(False)
        if not rates:
            raise Unclear("a range of tiered_pricing that is billed by something else")
        steps.append(Step(low, rates))
        reached = high
    if any(beside.get(meter, rate) != rate for meter, rate in steps[0].rates.items()):
        raise Unclear("rates that contradict its tiered_pricing")
    return Tariff(steps[0].rates, (*steps[1:], Step(reached, {})))


def _range(tier: Mapping[str, object]) -> tuple[int, int]:
    bounds = tier.get("range")
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise Unclear("tiered_pricing by something else than the prompt's size")
    low, high = (_number("range", bound) for bound in bounds)
    if low != int(low) or high != int(high):
        raise Broken("range is no number of tokens")
    return int(low), int(high)


def _simple_rates(fields: Entry) -> _Rates:
    """Rates of an object inside an entry, which has neither tiers nor steps of its own."""
    scope = _Rates()
    for meter, above, tier, amount in _fields(fields):
        if above or tier is not None:
            raise Unclear("prices by tier or size inside one of its own")
        _take(scope, meter, amount)
    return scope


def _searches(entry: Entry) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """What a search costs: the rate of each, or the fee of each call by how much was read; neither where it is unclear.

    A share that is free for all calls of an account together cannot be told for one call.
    """
    stated = entry.get(_SEARCH)
    if not isinstance(stated, dict) or "search_free_requests" in entry:
        return {}, {}
    prefix = "search_context_size_"
    fees = {
        size.removeprefix(prefix): _plausible(_SEARCH, _number(_SEARCH, amount), Decimal(0), _DEAREST_UNIT)
        for size, amount in stated.items()
    }
    if set(fees) != {"low", "medium", "high"} or not all(fees.values()):
        return {}, {}
    return ({WEB_SEARCHES: fees["low"]}, {}) if len(set(fees.values())) == 1 else ({}, fees)


def _multipliers(entry: Entry) -> Iterator[tuple[str, Decimal]]:
    for name, stated in entry.items():
        if name.startswith(_UPLIFT):
            yield name.removeprefix(_UPLIFT), _plausible(name, _number(name, stated), Decimal("0.1"), Decimal(10))
    own = entry.get("provider_specific_entry")
    for name, stated in own.items() if isinstance(own, dict) else ():
        if name.islower() and isinstance(stated, int | Decimal) and not isinstance(stated, bool):
            yield name, _plausible(name, _number(name, stated), Decimal("0.1"), Decimal(10))


def _fields(entry: Entry) -> Iterator[tuple[str, int, str | None, Decimal]]:
    """What an entry is billed by: meter, cliff in tokens of prompt or 0, tier, amount. Raises `Broken`.

    Zeros are left out, since zero is not a price, except beyond a cliff, which is there all the same. The amount of
    what is no single number is NaN.
    """
    for name, stated in entry.items():
        if ("cost" not in name and "pricing" not in name) or stated is None or name in _OWN_GRAMMAR:
            continue
        if isinstance(stated, dict | list):
            yield name, 0, None, Decimal("NaN")
            continue
        amount = _number(name, stated)
        meter, cliff, tier = _parsed(name)
        if amount or cliff:
            yield meter, cliff, tier, amount


@lru_cache(maxsize=1024)
def _parsed(name: str) -> tuple[str, int, str | None]:
    """Meter, cliff in tokens or 0, and tier of the name of a field."""
    parts = _FIELD.fullmatch(name)
    assert parts is not None, "the meter alone matches anything"
    return parts["meter"], int(parts["thousands"] or 0) * 1000, _TIERS.get(parts["tier"] or "")


def _number(name: str, stated: object) -> Decimal:
    if isinstance(stated, bool) or not isinstance(stated, int | Decimal):
        raise Broken(f"{name} is not a number")
    amount = Decimal(stated)
    if not amount.is_finite() or amount < 0:
        raise Broken(f"{name} is {amount}")
    return amount


def _plausible(name: str, amount: Decimal, least: Decimal, most: Decimal) -> Decimal:
    if not least <= amount <= most:
        raise Broken(f"{name} is {amount}, outside {least} to {most} USD")
    return amount
