"""The book: prices that the operator stated, over what is known of a kind at its own addresses."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Protocol, TypeAlias

from gateway.core.errors import Fault, Kind
from gateway.core.models import NO_FACTS, ModelFacts
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
    def facts(self, kind: str, model: str) -> ModelFacts: ...


@value(frozen=True)
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


@value(frozen=True)
class StoredPrice:
    """A price that was set while the gateway runs, and from when on it holds."""

    number: int
    """Grows with every price that is set."""
    target_pattern: str
    entry: FilePrice | None
    """Null: it was taken back; what else is known holds again."""
    since_us: int
    """Microseconds since 1970 UTC, of the calls' end."""
    made_us: int
    actor: str

    @property
    def book(self) -> str:
        """How rows name it."""
        return f"set price {self.number}"


class PriceBook:
    """The prices in force: what the operator stated, over what is known of a kind at its own addresses.

    A name goes before a pattern, and for each of them the settings file before what was set while running.
    """

    def __init__(self, known: KindPrices, stated: Iterable[FilePrice] = (), stored: Iterable[StoredPrice] = ()) -> None:
        """`stored`: those in force, one for each target. Raises `Fault` (invalid) naming what makes no sense."""
        entries = tuple(stated)
        self.file = f"file sha256:{_digest(entries)}" if entries else None
        self._stated = {entry.target_pattern: resolved(entry, self.file or "", known) for entry in entries}
        self._watchers: list[Callable[[], object]] = []
        self._put(known, stored)

    def put_in_force(self, known: KindPrices, stored: Iterable[StoredPrice]) -> None:
        """Another map and other stored prices from now on, what the file states over them; tells who watches."""
        self._put(known, stored)
        for changed in self._watchers:
            changed()

    def watch(self, changed: Callable[[], object]) -> None:
        """Have something called after every change: whoever remembers a price must forget it then."""
        self._watchers.append(changed)

    def find(self, target: Target) -> Price | None:
        """The price of a target; null if there is none."""
        provider = target.provider
        for name in (target.name, f"{provider.name}/*"):
            found = self._stated.get(name) or self._stored.get(name)
            if isinstance(found, Price):
                return found
            if found is not None:
                return self._borrowed(target, *found)
        price = self.known.find(provider.kind, target.model) if provider.at_home else None
        return price if price is None or provider.region is None else _in_region(price, provider.region)

    def source(self, target: Target) -> str | None:
        """Where the price of a target comes from: `file`, `set`, `map`; null if it has none."""
        for name in (target.name, f"{target.provider.name}/*"):
            if name in self._stated:
                return "file"
            if name in self._stored:
                return "set"
        return None if self.find(target) is None else "map"

    def lender(self, target: Target) -> str | None:
        """The kind that a target's price is borrowed from; null if it has one of its own, or none."""
        for name in (target.name, f"{target.provider.name}/*"):
            found = self._stated.get(name) or self._stored.get(name)
            if found is not None:
                return None if isinstance(found, Price) else found[0]
        return None

    def facts(self, target: Target) -> ModelFacts:
        """How much a target takes and makes, and what: as known of its kind, at the kind's own addresses, or of the
        kind that its price is borrowed from."""
        kind = self.lender(target) or (target.provider.kind if target.provider.at_home else None)
        return NO_FACTS if kind is None else self.known.facts(kind, target.model)

    def patterns(self) -> list[str]:
        """What prices were stated and set for: names of targets, and `PROVIDER/*`."""
        return [*self._stated, *(name for name in self._stored if name not in self._stated)]

    def models(self, kind: str) -> Collection[str]:
        """The model names known for a kind, as its API takes them."""
        return self.known.models(kind)

    def _put(self, known: KindPrices, stored: Iterable[StoredPrice]) -> None:
        self.known = known
        self._stored: dict[str, Price | _Loan] = {}
        last = 0
        for one in stored:
            if one.entry is not None:
                self._stored[one.target_pattern] = resolved(one.entry, one.book, known=None)
            last = max(last, one.number)
        versions = [known.version, *([f"set price {last}"] if last else []), *([self.file] if self.file else [])]
        self.version = " + ".join(versions)

    def _borrowed(self, target: Target, kind: str, lent_by: str) -> Price | None:
        price = self.known.find(kind, target.model)
        return price and replace(price, book=f"{price.book} like {kind} by {lent_by}")


_Loan: TypeAlias = tuple[str, str]
"""The kind to borrow from, and the book that says so."""


def _in_region(price: Price, region: str) -> Price:
    """What the same costs at a regional address."""
    if price.unknown_because is not None:
        return price
    multiplied = price.multiplied(region)
    if multiplied is None:
        because = f"the price map does not say what it costs in the region {region}"
        return Price(price.book, {}, unknown_because=because)
    return replace(multiplied, book=f"{price.book} in {region}")


def resolved(entry: FilePrice, book: str, known: KindPrices | None) -> Price | _Loan:
    """The price that an entry states, or whose it borrows. Raises `Fault` (invalid) if it makes no sense.

    `known`: what there is to borrow; null if that was looked at when the price was set.
    """
    _check_pattern(entry.target_pattern)
    amounts = entry.usd_per_million is not None or entry.usd_per_call is not None
    if amounts + entry.free + (entry.like is not None) != 1:
        raise _senseless(entry, "states not exactly one of amounts, `free: true` and `like`")
    if entry.like is not None:
        if known is not None and not known.models(entry.like):
            raise _senseless(entry, f"borrows from {entry.like!r}, a kind without known prices")
        return entry.like, book
    return Price(book, {}, free=True) if entry.free else _stated_price(entry, book)


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
    if not rates:  # a price per call alone holds for calls of any length
        rates = {bucket: Decimal(0) for bucket in BILLED_BUCKETS if bucket != WEB_SEARCHES}
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
