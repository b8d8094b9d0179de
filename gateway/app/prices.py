"""From settings to the book of prices, and what the control plane needs to change it."""

import logging
from collections.abc import Mapping

from gateway.app.configured import file_prices, price_places
from gateway.control.dependencies import PriceDesk
from gateway.core.errors import Fault, Kind
from gateway.core.pricing import FilePrice, PriceBook
from gateway.core.pricing.doubts import doubt_of
from gateway.core.routing import Alias, Provider
from gateway.providers.catalog import KINDS
from gateway.providers.price_map import load_price_map
from gateway.settings import Settings
from gateway.storage.prices import PriceRepository, PriceStore

logger = logging.getLogger(__name__)


def price_book(settings: Settings, providers: Mapping[str, Provider]) -> PriceBook:
    """The bundled map under what the settings file states.

    Raises `Fault` (invalid) for a price that makes no sense, or that can hardly be meant where its true one is known.
    """
    known = load_price_map()
    for kind in {provider.kind for provider in providers.values()}:
        for name, why in known.refused_of(kind).items():
            logger.warning("the price map's entry %s cannot be used: %s", name, why)
    stated = file_prices(settings)
    for entry in stated:
        doubt = doubt_of(entry, _provider(entry, providers), known, KINDS)
        if doubt is not None and doubt.sure:
            param = f"prices.{entry.target_pattern}"
            raise Fault(Kind.INVALID, doubt.sentence, hint=doubt.advice, param=param)
        if doubt is not None:
            logger.warning("the price of %s: %s", doubt.target, doubt.sentence)
    return PriceBook(known, stated)


def price_desk(
    settings: Settings,
    providers: Mapping[str, Provider],
    aliases: Mapping[str, Alias],
    repository: PriceRepository,
    store: PriceStore,
    book: PriceBook,
) -> PriceDesk:
    """Everything about prices that the control plane works with."""

    return PriceDesk(
        repository=repository,
        store=store,
        book=book,
        providers=providers,
        aliased=tuple(target.name for alias in aliases.values() for target in alias.targets),
        places=price_places(settings),
        doubt=lambda entry: doubt_of(entry, _provider(entry, providers), book.known, KINDS),
    )


def _provider(entry: FilePrice, providers: Mapping[str, Provider]) -> Provider | None:
    return providers.get(entry.target_pattern.partition("/")[0])
