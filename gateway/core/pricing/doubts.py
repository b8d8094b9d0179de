"""Prices that can hardly be meant: per token, or per thousand, where a million was meant; borrowed, and nobody has any.

The only evidence is what the same model name costs elsewhere; nothing is corrected here, and nothing forbidden.
"""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from gateway.core.pricing.book import FilePrice, KindPrices
from gateway.core.pricing.rates import EXACT
from gateway.core.routing import Provider
from gateway.core.value import value

FACTOR = 100
"""How many times dearer or cheaper than the known price of the same name is believed."""

_COMPARED = ("input", "output")
"""The buckets that every price has; rates of others lie too far apart to say anything."""
_MILLION = Decimal(1_000_000)


@value(frozen=True)
class Doubt:
    """A price that can hardly be meant."""

    target: str
    sentence: str
    sure: bool
    """It is the provider's own model at the provider's own address, whose price is known."""
    param: str
    """What of a stated price is hard to believe: the name of its field."""
    advice: str


def doubt_of(entry: FilePrice, provider: Provider | None, known: KindPrices, kinds: Collection[str]) -> Doubt | None:
    """What makes a stated price hard to believe; null if nothing does, or if there is nothing to compare it with."""
    model = entry.target_pattern.partition("/")[2]
    stated = entry.usd_per_million
    if model == "*":
        return None
    if entry.like is not None and known.find(entry.like, model) is None:
        sentence = f"no price of {entry.like}/{model} is known, so calls would have none"
        return Doubt(entry.target_pattern, sentence, sure=False, param="like", advice="state amounts of its own")
    if stated is None:
        return None
    at_home = provider.kind if provider is not None and provider.at_home else None
    compared = {kind: list(_ratios(stated, known, kind, model)) for kind in ([at_home] if at_home else kinds)}
    compared = {kind: ratios for kind, ratios in compared.items() if ratios}
    if not compared or any(all(_believed(ratio) for _, _, ratio in ratios) for ratios in compared.values()):
        return None
    kind, ratios = next(iter(compared.items()))
    bucket, usual, ratio = next(one for one in ratios if not _believed(one[2]))
    apart = f"{_times(1 / ratio)} times less" if ratio < 1 else f"{_times(ratio)} times more"
    sentence = (
        f"{bucket} at ${_plain(stated[bucket])} per million is {apart} than the ${_plain(usual)} of {kind}/{model}"
        f"{_guess(ratio)} {preview(stated)}"
    )
    sure = kind == at_home
    return Doubt(entry.target_pattern, sentence, sure, param="usd_per_million", advice="write USD per million")


def _ratios(
    stated: Mapping[str, Decimal], known: KindPrices, kind: str, model: str
) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Bucket, known USD per million, and how many times that the stated price is."""
    price = known.find(kind, model)
    if price is None:
        return
    for bucket in _COMPARED:
        amount, rate = stated.get(bucket), price.rates.get(bucket)
        if amount and rate:
            usual = EXACT.multiply(rate, _MILLION)
            yield bucket, usual, EXACT.divide(amount, usual)


def _believed(ratio: Decimal) -> bool:
    return ratio * FACTOR > 1 and ratio < FACTOR


def _guess(ratio: Decimal) -> str:
    """Which unit it would fit, if one of the usual mistakes explains it."""
    for unit, factor in (("token", Decimal("1e-6")), ("thousand tokens", Decimal("1e-3"))):
        if factor / 30 < ratio < factor * 30:
            return f": was it meant per {unit}?"
    return ";"


def preview(stated: Mapping[str, Decimal]) -> str:
    """What a call of everyday size comes to, so that a wrong unit is seen."""
    usd = (stated.get("input", Decimal(0)) * 1000 + stated.get("output", Decimal(0)) * 500) / _MILLION
    return f"1,000 tokens in and 500 out would cost ${_plain(usd)}"


def _times(ratio: Decimal) -> str:
    return f"{round(ratio):,}"


def _plain(amount: Decimal) -> str:
    return format(amount.normalize(), "f")
