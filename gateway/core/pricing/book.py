"""The book: prices that the operator stated, over what is known of a kind at its own addresses."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from gateway.core.errors import Fault, Kind
from gateway.core.pricing.price import WEB_SEARCHES, Price
from gateway.core.pricing.rates import EXACT
from gateway.core.routing import Target
from gateway.core.usage import BILLED_BUCKETS
from gateway.core.value import value


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
    rates = {bucket: amount.scaleb(-6, EXACT) for bucket, amount in per_million.items()}
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
