"""The prices in force as a command sees them: the settings file, what was set, the map that was taken over last.

Secrets are not looked up: a price needs none.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.frame import opened, read_settings
from gateway.core.errors import Fault, Kind
from gateway.core.pricing import FilePrice, PriceBook, StoredPrice
from gateway.core.pricing.doubts import Doubt, doubt_of
from gateway.core.routing import Provider, Target
from gateway.providers.catalog import KINDS, kind_of, provider_of
from gateway.providers.price_map import PriceMap, load_price_map, read_price_map

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Desk:
    """What there is to know about prices here and now."""

    settings: "Settings"
    providers: dict[str, Provider]
    known: PriceMap
    """The map in force."""
    stored: Sequence[StoredPrice]
    book: PriceBook

    def target(self, name: str) -> Target:
        """Raises `Fault` (invalid) unless its provider is configured, or a known kind at its own address."""
        provider, slash, model = name.partition("/")
        if not (provider and slash and model):
            raise Fault(Kind.INVALID, f"{name!r} is not a target", hint="write PROVIDER/MODEL: openai/gpt-4o")
        found = self.providers.get(provider)
        if found is None and provider not in KINDS:
            hint = f"configured are {', '.join(self.providers) or 'none'}"
            raise Fault(Kind.INVALID, f"{provider!r} is neither a configured provider nor a known kind", hint=hint)
        return Target(found or Provider(provider, provider, at_home=KINDS[provider].base_url is not None), model)

    def doubt(self, entry: FilePrice) -> Doubt | None:
        """What makes a stated price hard to believe; null if nothing does."""
        return doubt_of(entry, self.providers.get(entry.target_pattern.partition("/")[0]), self.known, KINDS)


def file_prices(settings: "Settings") -> list[FilePrice]:
    """What the settings file states."""
    return [
        FilePrice(pattern, price.usd_per_million, price.usd_per_call, bool(price.free), price.like)
        for pattern, price in settings.prices.targets.items()
    ]


def providers_of(settings: "Settings") -> dict[str, Provider]:
    """The configured providers, without their secrets."""
    return {
        name: provider_of(name, kind_of(name, given.kind), given.base_url) for name, given in settings.providers.items()
    }


@asynccontextmanager
async def price_desk(config: Path | None, *, read_only: bool) -> AsyncIterator[tuple[Desk, "Database"]]:
    """The prices in force and the database that says so, while the block runs. Raises `Fault`."""
    async with opened(config, read_only=read_only) as db:
        yield await desk_on(read_settings(config), db), db


async def desk_to_read(config: Path | None) -> Desk:
    """The prices in force; without a database those of the settings file and the bundled map."""
    from gateway.storage.engine import exists

    settings = read_settings(config)
    if exists(settings.database.url):
        async with price_desk(config, read_only=True) as (desk, _):
            return desk
    known = load_price_map()
    return Desk(settings, providers_of(settings), known, (), PriceBook(known, file_prices(settings)))


async def desk_on(settings: "Settings", db: "Database") -> Desk:
    """The prices in force by this database."""
    from gateway.cli.when import now_us
    from gateway.storage.prices import PriceRepository, in_force

    repository = PriceRepository(db)
    stored = await repository.all()
    newer = await repository.map_in_force()
    known = load_price_map() if newer is None or newer.content is None else read_price_map(newer.content, newer.label)
    book = PriceBook(known, file_prices(settings), in_force(stored, now_us()).values())
    return Desk(settings, providers_of(settings), known, stored, book)
