"""What usage costs: prices, the book that holds them, and the only place that multiplies counts by rates.

A price that this version cannot apply to the letter is unknown, with its reason, never an approximation:
a cliff in the prompt size, a served tier, a search, a bucket without a rate of its own. Unknown, free and
own hardware are three different things: free must be stated, zero is not a price (known faults 6, 23).
Where prices come from (files, the bundled map) is not known here.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Context, Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Protocol

from gateway.core.calls import Charge
from gateway.core.errors import Fault, Kind
from gateway.core.money import Nano, product_nano
from gateway.core.routing import Target
from gateway.core.usage import BILLED_BUCKETS, Usage
from gateway.core.value import value

CALL = "call"
"""The bucket of a charge per call: its quantity is 1."""
WEB_SEARCHES = "web_searches"

_FALLBACKS = {"reasoning": "output", "cache_write_5m": "cache_write", "cache_write_1h": "cache_write"}
_billed = attrgetter(*BILLED_BUCKETS)
_PLAIN_TIERS = frozenset({None, "default", "standard", "auto", "on_demand"})
"""Served tiers that cost the plain price; `on_demand` is Groq's word for the default."""

# Wide enough that shifts and products of prices are exact: nothing is rounded here.
_EXACT = Context(prec=60)


@value
class Price:
    """What one target costs, and how far this version can apply it."""

    book: str
    """Source and version, for every row priced with it: `litellm 1.106.2 sha256:1a2b3c4d5e6f`."""
    rates: Mapping[str, Decimal]
    """USD per token (or per search) of a bucket of `core.usage`."""
    usd_per_call: Decimal | None = None
    free: bool = False
    max_prompt_tokens: int | None = None
    """Beyond this many prompt tokens another price holds, which this version does not know."""
    unknown_because: str | None = None
    """Why no call of this target can be priced by this version; null if some can."""
    search_billed: bool = False
    """Searches are billed apart, at a price not known here: a call that can have searched is unpriced."""
    always_searches: bool = False
    """Every call of this model can have searched, whatever its request says."""
    text_cache_only: bool = False
    """Cached audio and images cost something else: the `cache_read` rate holds for calls of text alone."""


@value
class Conditions:
    """What besides the counts decides about a price."""

    service_tier: str | None = None
    """As served, from the answer; null if the answer does not say."""
    web_search: bool = False
    """The request allowed a search of the web."""


PLAIN = Conditions()
"""Served as usual, without a search."""


@value
class Priced:
    """The charges of one attempt, and their sum if that is the whole cost."""

    charges: tuple[Charge, ...]
    cost_nano: Nano | None
    at_least_nano: Nano | None
    """The priced part; null exactly where the cost is known."""
    because: str | None
    """Why the cost is unknown; null where it is known."""


@value
class _Assessed:
    """Bucket, quantity and USD per unit of what can be charged, and why that is not everything."""

    lines: tuple[tuple[str, int, Decimal], ...] = ()
    because: str | None = None


def price_usage(attempt: int, usage: Usage, price: Price | None, conditions: Conditions = PLAIN) -> Priced:
    """The cost of what one attempt used, rounded once per charge. Never raises; unknown is null, with the reason."""
    assessed = _assess(usage, price, conditions)
    total = 0
    charges = []
    for bucket, quantity, rate in assessed.lines:
        amount = product_nano(rate, quantity)
        total += amount
        charges.append(Charge(attempt, bucket, quantity, per_million_text(rate), amount))
    if assessed.because is None:
        return Priced(tuple(charges), total, None, None)
    return Priced(tuple(charges), None, total, assessed.because)


def exact_usd(usage: Usage, price: Price | None, conditions: Conditions = PLAIN) -> Decimal:
    """The same cost in USD without any rounding, for estimates. Raises `Fault` (price unknown) with the reason."""
    assessed = _assess(usage, price, conditions)
    if assessed.because is not None:
        raise Fault(Kind.PRICE_UNKNOWN, assessed.because)
    total = Decimal(0)
    for _, quantity, rate in assessed.lines:
        total = _EXACT.add(total, _EXACT.multiply(rate, Decimal(quantity)))
    return total


@lru_cache(maxsize=4096)
def per_million_text(usd_per_unit: Decimal) -> str:
    """A price per unit as decimal text of USD per million units: `0.0000025` is `2.5`."""
    return format(usd_per_unit.scaleb(6, _EXACT).normalize(_EXACT), "f")


def _assess(usage: Usage, price: Price | None, conditions: Conditions) -> _Assessed:
    if price is not None and price.free:
        return _Assessed()
    counts = _billed(usage)
    prompt = usage.prompt_tokens
    if not any(counts):
        if prompt == 0:
            return _Assessed()  # it certainly generated nothing (promises §3), whatever the price
        if counts.count(None) == len(counts):
            return _Assessed(because="no usage is known")
    if price is None:
        return _Assessed(because="no price is known for this target")
    if obstacle := _obstacle(prompt, price, conditions):
        return _Assessed(because=obstacle)
    lines, missing = _lines(usage, counts, price)
    return _Assessed(tuple(lines), _gap(usage, prompt, price, conditions, missing))


def _lines(
    usage: Usage, counts: tuple[int | None, ...], price: Price
) -> tuple[list[tuple[str, int, Decimal]], list[str]]:
    """What can be charged, and the buckets with a count and without a rate."""
    lines, missing = [], []
    for bucket, count in zip(BILLED_BUCKETS, counts, strict=True):
        if count:
            rate = _rate(price, bucket, usage)
            if rate is None:
                missing.append(bucket)
            else:
                lines.append((bucket, count, rate))
    if price.usd_per_call is not None:
        lines.append((CALL, 1, price.usd_per_call))
    return lines, missing


def _obstacle(prompt: int | None, price: Price, conditions: Conditions) -> str | None:
    """Why the stated rates do not hold for this call at all."""
    if price.unknown_because is not None:
        return price.unknown_because
    if conditions.service_tier not in _PLAIN_TIERS:
        return f"prices of the service tier {conditions.service_tier} are not in this version"
    limit = price.max_prompt_tokens
    if limit is not None and (prompt is None or prompt > limit):
        return f"prompts of more than {limit} tokens have another price, which is not in this version"
    return None


def _gap(usage: Usage, prompt: int | None, price: Price, conditions: Conditions, missing: list[str]) -> str | None:
    """What is billed beside the charges, if anything."""
    if missing:
        return f"no price for {', '.join(missing)}"
    if prompt is None:
        return "the prompt's tokens are not known"
    if price.always_searches or (conditions.web_search and price.search_billed):
        return "the call may have searched the web, and prices of searches are not in this version"
    if conditions.web_search and WEB_SEARCHES in price.rates and usage.web_searches is None:
        return "the call may have searched the web, and nobody told how often"
    return None


def _rate(price: Price, bucket: str, usage: Usage) -> Decimal | None:
    if bucket == "cache_read" and price.text_cache_only and (usage.audio_in or usage.image_in):
        return None
    rate = price.rates.get(bucket)
    return price.rates.get(_FALLBACKS.get(bucket, bucket)) if rate is None else rate


class KindPrices(Protocol):
    """Prices by kind of provider and the provider's own model name."""

    @property
    def version(self) -> str: ...
    def find(self, kind: str, model: str) -> Price | None: ...
    def models(self, kind: str) -> Collection[str]: ...


@value
class FilePrice:
    """A price as the operator stated it: exactly one of amounts, `free`, `like`."""

    target_pattern: str
    """A target's name, `gpu-box/llama-3-8b`, or all of a provider's, `gpu-box/*`."""
    usd_per_million: Mapping[str, Decimal] | None = None
    """USD per million units by bucket."""
    usd_per_call: Decimal | None = None
    free: bool = False
    like: str | None = None
    """The kind of provider whose price for the same model name holds here too."""


class PriceBook:
    """The prices in force: what the operator stated, over what is known of a kind at its own addresses."""

    def __init__(self, known: KindPrices, stated: Iterable[FilePrice] = ()) -> None:
        """Raises `Fault` (invalid) naming the entry that makes no sense."""
        entries = tuple(stated)
        self._known = known
        self._file = f"file sha256:{_digest(entries)}"
        self._stated = {entry.target_pattern: self._resolve(entry) for entry in entries}
        self.version = f"{known.version} + {self._file}" if entries else known.version

    def find(self, target: Target) -> Price | None:
        """The price of a target; null if there is none. Stated beats known, a name beats a pattern."""
        provider = target.provider
        stated = self._stated.get(target.name) or self._stated.get(f"{provider.name}/*")
        if isinstance(stated, Price):
            return stated
        if stated is not None:
            borrowed = self._known.find(stated, target.model)
            return borrowed and replace(borrowed, book=f"{borrowed.book} like {stated} by {self._file}")
        return self._known.find(provider.kind, target.model) if provider.at_home else None

    def models(self, kind: str) -> Collection[str]:
        """The model names known for a kind, as its API takes them."""
        return self._known.models(kind)

    def _resolve(self, entry: FilePrice) -> Price | str:
        """A price, or the kind to borrow from."""
        _check_pattern(entry.target_pattern)
        amounts = entry.usd_per_million is not None or entry.usd_per_call is not None
        if amounts + entry.free + (entry.like is not None) != 1:
            raise _senseless(entry, "states not exactly one of amounts, `free: true` and `like`")
        if entry.like is not None:
            if not self._known.models(entry.like):
                raise _senseless(entry, f"borrows from {entry.like!r}, a kind without known prices")
            return entry.like
        return Price(self._file, {}, free=True) if entry.free else _stated_price(entry, self._file)


def _stated_price(entry: FilePrice, book: str) -> Price:
    per_million = entry.usd_per_million or {}
    for bucket in per_million:
        if bucket not in BILLED_BUCKETS:
            raise _senseless(entry, f"prices an unknown bucket {bucket!r}", f"use {', '.join(BILLED_BUCKETS)}")
    amounts = [*per_million.values(), *([] if entry.usd_per_call is None else [entry.usd_per_call])]
    if any(not amount.is_finite() or amount < 0 for amount in amounts):
        raise _senseless(entry, "has an amount that is negative or not a number")
    if not any(amounts):
        raise _senseless(entry, "states nothing but zeros", "zero is not a price: write `free: true`")
    rates = {bucket: amount.scaleb(-6, _EXACT) for bucket, amount in per_million.items()}
    return Price(book, rates, usd_per_call=entry.usd_per_call, search_billed=WEB_SEARCHES not in rates)


def _check_pattern(pattern: str) -> None:
    provider, slash, model = pattern.partition("/")
    if not (provider and slash and model) or "*" in provider or ("*" in model and model != "*"):
        raise Fault(
            Kind.INVALID,
            f"{pattern!r} is not a target",
            hint="write provider/model, or provider/* for all of a provider's models",
            param=f"prices.{pattern}",
        )


def _senseless(entry: FilePrice, what: str, hint: str | None = None) -> Fault:
    pattern = entry.target_pattern
    return Fault(Kind.INVALID, f"the price of {pattern} {what}", hint=hint, param=f"prices.{pattern}")


def _digest(entries: tuple[FilePrice, ...]) -> str:
    lines = sorted(
        f"{e.target_pattern}|{sorted((e.usd_per_million or {}).items())}|{e.usd_per_call}|{e.free}|{e.like}"
        for e in entries
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
