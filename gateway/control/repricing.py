"""A second look at what calls cost: with the prices that are known now, for the moment at which each of them ended."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from gateway.core.calls import Attempt
from gateway.core.money import Nano
from gateway.core.pricing import Conditions, FilePrice, KindPrices, PriceBook, StoredPrice, price_usage
from gateway.core.routing import Provider, Target
from gateway.core.usage import NOTHING_USED, Basis
from gateway.storage.prices import in_force


class Timeline:
    """The books of all times, as they are known now.

    What was set holds by its dates; a map and the settings file state none, so they hold for all times.
    """

    def __init__(self, known: KindPrices, stated: Sequence[FilePrice], stored: Sequence[StoredPrice]) -> None:
        self._begins = sorted({0, *(one.since_us for one in stored)})
        self._books = [PriceBook(known, stated, in_force(stored, at_us).values()) for at_us in self._begins]

    def at(self, at_us: int) -> PriceBook:
        """The book in force at a time, microseconds since 1970 UTC."""
        return self._books[bisect_right(self._begins, at_us) - 1]


class SecondPricing:
    """Implements `storage.repricing.Recost`."""

    def __init__(self, timeline: Timeline, providers: Mapping[str, Provider]) -> None:
        self._timeline = timeline
        self._providers = providers

    def __call__(self, attempts: Sequence[Attempt]) -> tuple[Nano | None, str | None]:
        """The cost of a call from its attempts, null as soon as one is unknown; and the book of the last of them."""
        total = 0
        book = None
        for attempt in attempts:
            cost, book = self._priced(attempt)
            if cost is None:
                return None, book
            total += cost
        return total, book

    def _priced(self, attempt: Attempt) -> tuple[Nano | None, str | None]:
        if attempt.usage == NOTHING_USED and attempt.usage_basis is Basis.NONE:
            return 0, attempt.price_book  # it certainly generated nothing
        name, _, model = attempt.target.partition("/")
        provider = self._providers.get(name)
        if provider is None:
            return None, None
        ended_us = attempt.started_us + round((attempt.duration_ms or 0) * 1000)
        price = self._timeline.at(ended_us).find(Target(provider, model))
        try:
            conditions = Conditions.from_text(attempt.price_conditions, ended_us)
        except ValueError:  # of a release that says more; what it means is not known here
            return None, None
        priced = price_usage(attempt.index, attempt.usage, price, conditions)
        return priced.cost_nano, None if price is None else price.book
