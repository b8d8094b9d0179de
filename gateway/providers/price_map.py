"""litellm's bundled price map, read as data: prices by kind and the provider's own model name.

litellm is never imported and the network never asked. Numbers go from their text to `Decimal`. What cannot be applied
exactly makes an entry unknown with its reason; an entry that is broken is refused and counted while the rest holds
(known fault 22). What an entry says is the business of `price_entries`, how prices are applied that of `core.pricing`.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gateway.core.errors import Fault, Kind
from gateway.core.pricing import Price
from gateway.providers.catalog import KINDS, KindFacts
from gateway.providers.off_peak import Broken
from gateway.providers.price_entries import price_of

_FILE = "model_prices_and_context_window_backup.json"
_RESERVED = frozenset({"sample_spec", "fallback_generalizations"})
"""Not models: a specimen, and guesses by name pattern, which state no price and would be no price of that model."""
_SIZE_CLASS = "together-ai-"
"""Begins keys that stand for classes of model sizes, not for models."""
_MODES = frozenset({"chat", "completion", "responses", "embedding"})
"""What the data plane can ask for; images, speech, video and the like have meters of their own."""

_SEARCHES = re.compile(r"(?:^|[^a-z])(?:search|online)(?:[^a-z]|$)|deep-research")
"""Names of models whose every call searches the web."""
_REACHED = frozenset({"xai"})
"""Kinds whose dearer price begins with the number of tokens that a cliff names, not beyond it."""

_OTHERS = object()
"""Stands for an entry of a provider that is in no catalogue."""


@dataclass(frozen=True, slots=True)
class PriceMap:
    """Implements `core.pricing.KindPrices`."""

    version: str
    """`litellm 1.106.2 sha256:1a2b3c4d5e6f`: the package and the digest of the file."""
    prices: Mapping[str, Mapping[str, Price]]
    """By kind, then by model name."""
    refused: Mapping[str, str]
    """Keys of the map whose entry is broken, and why."""
    sha256: str
    """Of the file, hexadecimal."""

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
    digest = hashlib.sha256(content).hexdigest()
    version = f"{source} sha256:{digest[:12]}"
    try:
        entries = json.loads(content, parse_float=Decimal, parse_constant=Decimal, object_hook=_drop_others)
    except ValueError as error:
        raise _unavailable(f"the price map of {source} is not JSON: {error}") from None
    if not isinstance(entries, dict):
        raise _unavailable(f"the price map of {source} is not an object")
    reading = _Reading(version, digest)
    for key, entry in entries.items():
        if entry is not _OTHERS and key not in _RESERVED and not key.startswith(_SIZE_CLASS):
            reading.take(key, entry)
    return reading.done()


class _Reading:
    """What has been understood of a map so far."""

    def __init__(self, version: str, digest: str) -> None:
        self._version = version
        self._digest = digest
        self._prices: dict[str, dict[str, Price]] = {facts.name: {} for facts in _KIND_OF_PROVIDER.values()}
        self._refused: dict[str, str] = {}
        self._aliases: list[tuple[str, str, Price]] = []

    def take(self, key: str, entry: object) -> None:
        try:
            self._add(key, entry)
        except Broken as broken:
            self._refused[key] = str(broken)

    def done(self) -> PriceMap:
        for kind, alias, price in self._aliases:
            self._prices[kind].setdefault(alias, price)  # an entry of its own goes before an alias
        return PriceMap(self._version, self._prices, self._refused, self._digest)

    def _add(self, key: str, entry: object) -> None:
        if not isinstance(entry, dict):
            raise Broken("is not an object")
        provider, mode = entry.get("litellm_provider"), entry.get("mode")
        if not isinstance(provider, str):
            raise Broken("names no provider")
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
        entry = {name: entry[name] for name in entry if name.startswith("input_cost_per_token")}
        return price_of(entry, book)
    searches = facts.name == "perplexity" or _SEARCHES.search(name) is not None
    return price_of(entry, book, reaches=facts.name in _REACHED, always_searches=searches)


def _unavailable(what: str) -> Fault:
    return Fault(Kind.UNAVAILABLE, what, hint="install Tollkeeper again, with the exact litellm that it asks for")
