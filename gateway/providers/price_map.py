"""litellm's bundled price map, read as data: prices by kind and the provider's own model name.

litellm is never imported and the network never asked. Numbers go from their text to `Decimal`. What this version
cannot apply exactly makes an entry unknown with its reason; an entry that is broken is refused and counted while
the rest holds (known fault 22). How prices are applied is known in `core.pricing` alone.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from gateway.core.errors import Fault, Kind
from gateway.core.pricing import Price
from gateway.providers.catalog import KINDS, KindFacts

_FILE = "model_prices_and_context_window_backup.json"
_RESERVED = frozenset({"sample_spec", "fallback_generalizations"})
"""Not models: a specimen, and guesses by name pattern, which state no price and would be no price of that model."""
_SIZE_CLASS = "together-ai-"
"""Begins keys that stand for classes of model sizes, not for models."""
_MODES = frozenset({"chat", "completion", "responses", "embedding"})
"""What the data plane can ask for; images, speech, video and the like have meters of their own."""

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
}
_PER_CALL = "input_cost_per_request"
_CACHED_MEDIA = frozenset({"cache_read_input_audio_token_cost", "cache_read_input_image_token_cost"})
# Older spellings of rates that stand beside them, and searches: every entry of the map counts as billing those apart.
_ELSEWHERE = frozenset(
    {
        "input_cost_per_token_cache_hit",
        "search_context_cost_per_query",
        "google_maps_grounding_cost_per_query",
        "citation_cost_per_token",
    }
)
_OTHER_GRAMMAR = {
    "tiered_pricing": "its price steps with the prompt's size, and such prices are not in this version",
    "off_peak_pricing": "its price depends on the hour, and such prices are not in this version",
}
_FIELD = re.compile(
    r"(?P<meter>.+?)(?:_above_(?P<thousands>\d+)k_tokens)?"
    r"(?P<tier>_batches|_flex|_priority|_balanced|_ultrafast|_decisions)?"
)
_SEARCHES = re.compile(r"(?:^|[^a-z])(?:search|online)(?:[^a-z]|$)|deep-research")
"""Names of models whose every call searches the web."""

_DEAREST = Decimal("0.001")
"""USD per token; the dearest known model costs 0.0006. More was meant per thousand or per million (known fault 21)."""
_CHEAPEST = Decimal("1e-11")
_DEAREST_CALL = Decimal(100)

_OTHERS = object()
"""Stands for an entry of a provider that is in no catalogue."""


class _Broken(Exception):
    """An entry that makes no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class PriceMap:
    """Implements `core.pricing.KindPrices`."""

    version: str
    """`litellm 1.106.2 sha256:1a2b3c4d5e6f`: the package and the digest of the file."""
    prices: Mapping[str, Mapping[str, Price]]
    """By kind, then by model name."""
    refused: Mapping[str, str]
    """Keys of the map whose entry is broken, and why."""

    def find(self, kind: str, model: str) -> Price | None:
        """The price of a kind's model; null if the map has none. A name is never shortened to find one."""
        prices = self.prices.get(kind)
        return prices.get(_as_listed(kind, model)) if prices else None

    def models(self, kind: str) -> Collection[str]:
        """Model names of a kind, as its API takes them."""
        return self.prices.get(kind, {}).keys()


def load_price_map() -> PriceMap:
    """The map inside the installed litellm. Raises `Fault` (unavailable) if it is not there or not readable."""
    spec = importlib.util.find_spec("litellm")  # finds, does not import
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise _unavailable("litellm is not installed")
    path = Path(places[0]) / _FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unavailable(f"{path} cannot be read: {error.strerror}") from None
    return read_price_map(content, f"litellm {importlib.metadata.version('litellm')}")


def read_price_map(content: bytes, source: str) -> PriceMap:
    """A price map from its JSON; `source` names the package. Raises `Fault` (unavailable) if it is no map at all."""
    version = f"{source} sha256:{hashlib.sha256(content).hexdigest()[:12]}"
    try:
        entries = json.loads(content, parse_float=Decimal, parse_constant=Decimal, object_hook=_drop_others)
    except ValueError as error:
        raise _unavailable(f"the price map of {source} is not JSON: {error}") from None
    if not isinstance(entries, dict):
        raise _unavailable(f"the price map of {source} is not an object")
    reading = _Reading(version)
    for key, entry in entries.items():
        if entry is not _OTHERS and key not in _RESERVED and not key.startswith(_SIZE_CLASS):
            reading.take(key, entry)
    return reading.done()


class _Reading:
    """What has been understood of a map so far."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._prices: dict[str, dict[str, Price]] = {facts.name: {} for facts in _KIND_OF_PROVIDER.values()}
        self._refused: dict[str, str] = {}
        self._aliases: list[tuple[str, str, Price]] = []

    def take(self, key: str, entry: object) -> None:
        try:
            self._add(key, entry)
        except _Broken as broken:
            self._refused[key] = str(broken)

    def done(self) -> PriceMap:
        for kind, alias, price in self._aliases:
            self._prices[kind].setdefault(alias, price)  # an entry of its own goes before an alias
        return PriceMap(self._version, self._prices, self._refused)

    def _add(self, key: str, entry: object) -> None:
        if not isinstance(entry, dict):
            raise _Broken("is not an object")
        provider, mode = entry.get("litellm_provider"), entry.get("mode")
        if not isinstance(provider, str):
            raise _Broken("names no provider")
        if not isinstance(mode, str) or mode not in _MODES:
            return
        facts = _KIND_OF_PROVIDER[provider]
        known, name = self._prices[facts.name], _name(facts, key)
        price = _price(facts, name, entry, self._version)
        if known.get(name, price) != price:
            price = Price(self._version, {}, unknown_because="the price map states two different prices of it")
        known[name] = price
        aliases = entry.get("aliases")
        for alias in aliases if isinstance(aliases, list) else ():
            self._aliases.append((facts.name, _name(facts, str(alias)), price))


_KIND_OF_PROVIDER = {provider: facts for facts in KINDS.values() for provider in facts.price_providers}


def _drop_others(entry: dict[str, object]) -> object:
    """Called for every JSON object as soon as it is read, so that the bulk of the map never gathers in memory."""
    provider = entry.get("litellm_provider", _OTHERS)
    if isinstance(provider, str) and provider not in _KIND_OF_PROVIDER:
        return _OTHERS
    return entry


def _name(facts: KindFacts, key: str) -> str:
    """The name that the provider's API takes; keys stand with and without the provider's prefix."""
    return key.removeprefix(f"{facts.price_providers[0]}/")


def _as_listed(kind: str, model: str) -> str:
    """The spelling of the map for names that the provider spells in more than one way."""
    if kind == "gemini":
        return model.removeprefix("models/")
    if kind == "openai" and model.startswith("ft:"):  # ft:BASE:organisation:name:id is priced as ft:BASE
        return ":".join(model.split(":")[:2])
    return model


def _price(facts: KindFacts, name: str, entry: dict[str, object], book: str) -> Price:
    if entry["mode"] == "embedding":
        # Asked for with text alone: whatever else it can embed cannot come through here.
        entry = {"input_cost_per_token": entry.get("input_cost_per_token")}
        price = _metered(entry, book)
        return replace(price, search_billed=True)
    searches = facts.name == "perplexity" or _SEARCHES.search(name) is not None
    return replace(_metered(entry, book), search_billed=True, always_searches=searches)


def _metered(entry: dict[str, object], book: str) -> Price:
    rates: dict[str, Decimal] = {}
    per_call: Decimal | None = None
    cliffs: list[int] = []
    unknown: str | None = None
    text_cache_only = False
    for meter, cliff, amount in _fields(entry):
        if cliff is not None:
            cliffs.append(cliff)
        elif meter in _RATES:
            rates[_RATES[meter]] = _plausible(meter, amount, _CHEAPEST, _DEAREST)
        elif meter == _PER_CALL:
            per_call = _plausible(meter, amount, Decimal(0), _DEAREST_CALL)
        elif meter in _CACHED_MEDIA:
            text_cache_only = True
        elif meter not in _ELSEWHERE:
            unknown = _OTHER_GRAMMAR.get(meter, f"it is also billed by {meter}, which is not in this version")
    if not rates and per_call is None and unknown is None:
        # Free tiers and entries that nobody filled in look alike: neither is believed (known faults 6, 23).
        unknown = "the price map states no price above zero; if it is free, say so with `free: true`"
    if "cache_write_1h" in rates and "cache_write" in rates:
        # Two lifetimes at two prices: a write whose lifetime nobody states has none.
        rates["cache_write_5m"] = rates.pop("cache_write")
    return Price(
        book,
        {} if unknown else rates,
        usd_per_call=None if unknown else per_call,
        max_prompt_tokens=min(cliffs, default=None),
        unknown_because=unknown,
        text_cache_only=text_cache_only,
    )


def _fields(entry: dict[str, object]) -> Iterator[tuple[str, int | None, Decimal]]:
    """What an entry is billed by: meter, cliff in prompt tokens, amount. Raises `_Broken`.

    Zeros are left out, since zero is not a price, and so are prices of tiers, which are never applied. The
    amount of what is no single number is NaN.
    """
    for field, value in entry.items():
        if ("cost" not in field and "pricing" not in field) or value is None:
            continue
        if isinstance(value, dict | list):
            yield field, None, Decimal("NaN")
            continue
        amount = _number(field, value)
        parts = _FIELD.fullmatch(field)
        if amount and parts and not parts["tier"]:
            cliff = parts["thousands"]
            yield parts["meter"], int(cliff) * 1000 if cliff else None, amount


def _number(field: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Broken(f"{field} is not a number")
    amount = Decimal(value)
    if not amount.is_finite() or amount < 0:
        raise _Broken(f"{field} is {amount}")
    return amount


def _plausible(field: str, amount: Decimal, least: Decimal, most: Decimal) -> Decimal:
    if not least <= amount <= most:
        raise _Broken(f"{field} is {amount}, outside {least} to {most} USD")
    return amount


def _unavailable(what: str) -> Fault:
    return Fault(Kind.UNAVAILABLE, what, hint="install Tollkeeper again, with the exact litellm that it asks for")
