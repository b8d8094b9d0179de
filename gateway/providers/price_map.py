"""litellm's bundled price map, read as data: prices by kind and the provider's own model name.

litellm is never imported and the network never asked. Which entries there are, and whose, is found out at once; what
they say when somebody asks for prices of their kind. Numbers go from their text to `Decimal`. What cannot be applied
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
from functools import lru_cache
from pathlib import Path

from gateway.core.errors import Fault, Kind
from gateway.core.models import NO_FACTS, ModelFacts
from gateway.core.pricing import Price
from gateway.providers.catalog import KINDS, KindFacts
from gateway.providers.json_members import members
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


class PriceMap:
    """Implements `core.pricing.KindPrices`.

    What it says of a kind is read when somebody first asks for that kind. A gateway has few of the dozen that are in
    the map: the others would cost every start twice the time of finding them, and twice the memory of their text.
    """

    def __init__(self, version: str, sha256: str, texts: dict[str, dict[str, str]], nobodys: dict[str, str]) -> None:
        """`texts`: entries as JSON, by kind and key. `nobodys`: keys of those that are of no provider, and why."""
        self.version = version
        """`litellm 1.106.2 sha256:1a2b3c4d5e6f`: the package and the digest of the file."""
        self.sha256 = sha256
        """Of the file, hexadecimal."""
        self._kinds = tuple(texts)
        self._texts = texts
        self._read: dict[str, _OfKind] = {}
        self._nobodys = nobodys

    def find(self, kind: str, model: str) -> Price | None:
        """The price of a kind's model; null if the map has none. A name is never shortened to find one."""
        return self._of(kind).prices.get(_as_listed(kind, model))

    def models(self, kind: str) -> Collection[str]:
        """Model names of a kind, as its API takes them."""
        return self._of(kind).prices.keys()

    def facts(self, kind: str, model: str) -> ModelFacts:
        """How much a kind's model takes and makes, and what."""
        return self._of(kind).facts.get(_as_listed(kind, model), NO_FACTS)

    def refused_of(self, kind: str) -> Mapping[str, str]:
        """Keys of a kind's entries that are broken, and why."""
        return self._of(kind).refused

    @property
    def prices(self) -> Mapping[str, Mapping[str, Price]]:
        """All of them, by kind, then by model name. Reads the whole map."""
        return {kind: self._of(kind).prices for kind in self._kinds}

    @property
    def refused(self) -> Mapping[str, str]:
        """Keys of the map whose entry is broken, and why. Reads the whole map."""
        refused = dict(self._nobodys)
        for kind in self._kinds:
            refused.update(self._of(kind).refused)
        return refused

    def _of(self, kind: str) -> "_OfKind":
        read = self._read.get(kind)
        if read is not None:
            return read
        texts = self._texts.get(kind)
        if texts is None:  # there is no such kind, or another thread has read it at this moment
            return self._read.get(kind, _NOTHING)
        read = self._read[kind] = _of_kind(kind, texts, self.version)
        self._texts.pop(kind, None)
        return read


@dataclass(frozen=True, slots=True)
class _OfKind:
    """What a map says of one kind."""

    prices: Mapping[str, Price]
    facts: Mapping[str, ModelFacts]
    refused: Mapping[str, str]


_NOTHING = _OfKind({}, {}, {})


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
    found: dict[str, tuple[str, str]] = {}
    nobodys: dict[str, str] = {}
    try:
        for key, entry, text in members(content.decode("utf-8-sig")):
            found.pop(key, None)  # of two members with one name the last holds, as for all readers of JSON
            nobodys.pop(key, None)
            if key in _RESERVED or key.startswith(_SIZE_CLASS):
                continue
            why = _nobodys(entry)
            if why is not None:
                nobodys[key] = why
            elif (facts := _KIND_OF_PROVIDER.get(entry["litellm_provider"])) and _can_be_asked_for(entry):
                found[key] = facts.name, text
    except (ValueError, RecursionError) as error:
        raise _unavailable(f"the price map of {source} is not JSON as it should be: {error}") from None
    texts: dict[str, dict[str, str]] = {facts.name: {} for facts in _KIND_OF_PROVIDER.values()}
    for key, (kind, text) in found.items():
        texts[kind][key] = text
    return PriceMap(f"{source} sha256:{digest[:12]}", digest, texts, nobodys)


def _nobodys(entry: object) -> str | None:
    """Why nobody can say whose an entry is; null if it says so."""
    if not isinstance(entry, dict):
        return "is not an object"
    return None if isinstance(entry.get("litellm_provider"), str) else "names no provider"


def _can_be_asked_for(entry: Mapping[str, object]) -> bool:
    mode = entry.get("mode")
    return isinstance(mode, str) and mode in _MODES


def _of_kind(kind: str, texts: Mapping[str, str], book: str) -> _OfKind:
    facts = KINDS[kind]
    prices: dict[str, Price] = {}
    known: dict[str, ModelFacts] = {}
    aliases: list[tuple[str, str]] = []
    refused: dict[str, str] = {}
    for key, text in texts.items():
        name = _name(facts, key)
        try:
            entry = _exact(text)
            price = _price(facts, name, entry, book)
        except Broken as broken:
            refused[key] = str(broken)
            continue
        if prices.get(name, price) != price:
            price = Price(book, {}, unknown_because="the price map states two different prices of it")
        prices[name] = price
        known[name] = _facts(entry)
        others = entry.get("aliases")
        aliases += [(_name(facts, str(alias)), name) for alias in (others if isinstance(others, list) else ())]
    for alias, name in aliases:  # an entry of its own goes before an alias
        prices.setdefault(alias, prices[name])
        known.setdefault(alias, known[name])
    return _OfKind(prices, known, refused)


def _facts(entry: Mapping[str, object]) -> ModelFacts:
    """Its bounds, and whether it embeds; of two figures for the answer the larger, for a bound must hold."""
    outputs = [one for name in ("max_output_tokens", "max_tokens") if (one := _tokens(entry.get(name)))]
    return _shared(_tokens(entry.get("max_input_tokens")), max(outputs, default=None), entry["mode"] == "embedding")


def _tokens(stated: object) -> int | None:
    return stated if isinstance(stated, int) and not isinstance(stated, bool) and stated > 0 else None


_shared = lru_cache(maxsize=1024)(ModelFacts)
"""Thousands of models have a few hundred different bounds."""


_KIND_OF_PROVIDER = {provider: facts for facts in KINDS.values() for provider in facts.price_providers}


def _exact(text: str) -> dict[str, object]:
    """An entry with its numbers as they are written. Raises `Broken`."""
    try:
        entry: dict[str, object] = json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    except ArithmeticError:
        raise Broken("has a number beyond all bounds") from None
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
