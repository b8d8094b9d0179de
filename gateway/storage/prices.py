"""Prices that were set while running, and price maps that were taken over, in SQL; and the book they make, in memory.

Append-only: a new price or map is a new row, and what held before stays to be read. What a map says is not known here.
"""

import asyncio
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, insert, select

from gateway.core.pricing import FilePrice, KindPrices, PriceBook, StoredPrice
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, WriteSession
from gateway.storage.revisions import advance, revision_of
from gateway.storage.tables import price_maps, prices

_NOUN = "prices"

ReadMap = Callable[[bytes, str], KindPrices]
"""(content, label) → the prices of a map. Raises `Fault`."""


@dataclass(frozen=True, slots=True)
class StoredMap:
    """A price map that was taken over."""

    number: int
    version: str
    sha256: str | None
    source: str
    """Where it came from: a file, an address, or the package."""
    made_us: int
    actor: str
    content: bytes | None
    """Its JSON; null: the map that comes with this software holds."""

    @property
    def label(self) -> str:
        """What begins the name of its version: the file's own name, however it was reached."""
        return label_of(self.source)


def label_of(source: str) -> str:
    """The name of a file from its path or address."""
    return source.partition("?")[0].rpartition("/")[2] or source


class PriceRepository:
    """Every change leaves an audit entry in its transaction."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    async def set(self, target_pattern: str, entry: FilePrice | None, since_us: int, actor: str) -> StoredPrice:
        """A price from a moment on; without an entry what was set before is taken back."""
        made_us = self._now_us()
        async with self._db.write() as session:
            statement = insert(prices).values(_columns(target_pattern, entry, since_us, made_us, actor))
            number = await session.scalar(statement.returning(prices.c.number))
            action = "price.set" if entry is not None else "price.take_back"
            await self._changed(session, actor, action, target_pattern, _shown(entry, since_us))
        return StoredPrice(number, target_pattern, entry, since_us, made_us, actor)

    async def all(self) -> list[StoredPrice]:
        """Every price that was ever set, in the order in which that was done."""
        async with self._db.read() as session:
            return [_stored(row) for row in await session.all(select(prices).order_by(prices.c.number))]

    async def history(self, target_pattern: str) -> list[StoredPrice]:
        """What was set for one target, the newest first."""
        statement = select(prices).where(prices.c.target == target_pattern).order_by(prices.c.number.desc())
        async with self._db.read() as session:
            return [_stored(row) for row in await session.all(statement)]

    async def take_over(
        self, version: str, sha256: str | None, source: str, content: bytes | None, actor: str
    ) -> StoredMap:
        """Put a map in force; those before it stay. No content: the map that comes with this software."""
        made_us = self._now_us()
        packed = None if content is None else await asyncio.to_thread(zlib.compress, content)
        facts: dict[str, object] = {"version": version, "sha256": sha256, "source": source}
        async with self._db.write() as session:
            statement = insert(price_maps).values(made_us=made_us, actor=actor, content=packed, **facts)
            number = await session.scalar(statement.returning(price_maps.c.number))
            await self._changed(session, actor, "price_map.take_over", version, facts)
        return StoredMap(number, version, sha256, source, made_us, actor, content)

    async def map_in_force(self) -> StoredMap | None:
        """The map that was taken over last, with its content; None if none ever was."""
        async with self._db.read() as session:
            row = await session.first(select(price_maps).order_by(price_maps.c.number.desc()).limit(1))
        if row is None:
            return None
        content = None if row.content is None else await asyncio.to_thread(zlib.decompress, row.content)
        return StoredMap(row.number, row.version, row.sha256, row.source, row.made_us, row.actor, content)

    async def revision(self) -> int:
        """A number that grows with every change of any price by any process."""
        async with self._db.read() as session:
            return await revision_of(session, _NOUN)

    async def _changed(
        self, session: WriteSession, actor: str, action: str, subject: str, details: dict[str, object]
    ) -> None:
        await record_change(session, AuditEntry(self._now_us(), actor, action, subject, details))
        await advance(session, _NOUN)


def in_force(stored: Iterable[StoredPrice], at_us: int) -> dict[str, StoredPrice]:
    """By target, what holds at a moment: the latest that has begun, and of those that begin together the last set."""
    holds: dict[str, StoredPrice] = {}
    for one in stored:
        before = holds.get(one.target_pattern)
        if one.since_us <= at_us and (before is None or (one.since_us, one.number) > (before.since_us, before.number)):
            holds[one.target_pattern] = one
    return holds


class PriceStore:
    """Keeps a book what the database says it should be. `refresh` is to be called every second.

    Until the first `refresh` the book knows the settings file and the bundled map only.
    """

    def __init__(
        self,
        repository: PriceRepository,
        book: PriceBook,
        read_map: ReadMap,
        now_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        """`book`: as made from the settings and the bundled map."""
        self._repository = repository
        self._book = book
        self._bundled = book.known
        self._read_map = read_map
        self._now_us = now_us
        self._revision: int | None = None
        self._map: tuple[int, KindPrices] | None = None
        """Number of the map that was read last, and its prices."""
        self._stored: Sequence[StoredPrice] = ()
        self._next_us: int | None = None
        """When the next of the stored prices begins to hold."""
        self._begun_us: int | None = None
        """When the last of those began that hold already: a clock that is set back before it ends them."""

    async def refresh(self) -> bool:
        """Put in force what has changed since, or has begun to hold; whether anything has.

        Raises `Fault` (unavailable) if the database fails; the prices known so far stay in force.
        """
        revision = await self._repository.revision()
        now_us = self._now_us()
        due = (self._next_us is not None and self._next_us <= now_us) or (
            self._begun_us is not None and now_us < self._begun_us
        )
        if revision == self._revision and not due:
            return False
        if revision != self._revision:
            self._stored = await self._repository.all()
        known = await self._known()
        self._next_us = min((one.since_us for one in self._stored if one.since_us > now_us), default=None)
        self._begun_us = max((one.since_us for one in self._stored if one.since_us <= now_us), default=None)
        self._revision = revision
        holds = in_force(self._stored, now_us)
        if not holds and known is self._book.known and not due:
            return False  # as at the start, where nothing was ever set
        self._book.put_in_force(known, holds.values())
        return True

    async def _known(self) -> KindPrices:
        """The map in force, read once."""
        stored = await self._repository.map_in_force()
        if stored is None or stored.content is None:
            return self._bundled
        if self._map is None or self._map[0] != stored.number:
            known = await asyncio.to_thread(self._read_map, stored.content, stored.label)
            self._map = (stored.number, known)
        return self._map[1]


def _columns(
    target_pattern: str, entry: FilePrice | None, since_us: int, made_us: int, actor: str
) -> dict[str, object]:
    rates = None if entry is None else entry.usd_per_million
    return {
        "target": target_pattern,
        "since_us": since_us,
        "made_us": made_us,
        "actor": actor,
        "usd_per_million": None if rates is None else json.dumps({name: str(rate) for name, rate in rates.items()}),
        "usd_per_call": None if entry is None or entry.usd_per_call is None else str(entry.usd_per_call),
        "free": entry is not None and entry.free,
        "like_kind": None if entry is None else entry.like,
        "taken_back": entry is None,
    }


def _stored(row: Row[Any]) -> StoredPrice:
    rates = None if row.usd_per_million is None else json.loads(row.usd_per_million)
    entry = FilePrice(
        row.target,
        None if rates is None else {name: Decimal(rate) for name, rate in rates.items()},
        None if row.usd_per_call is None else Decimal(row.usd_per_call),
        bool(row.free),
        row.like_kind,
    )
    return StoredPrice(row.number, row.target, None if row.taken_back else entry, row.since_us, row.made_us, row.actor)


def _shown(entry: FilePrice | None, since_us: int) -> dict[str, object]:
    """What an audit entry tells of a price."""
    if entry is None:
        return {"since_us": since_us}
    rates = None if entry.usd_per_million is None else {name: str(usd) for name, usd in entry.usd_per_million.items()}
    return {
        "since_us": since_us,
        "usd_per_million": rates,
        "usd_per_call": None if entry.usd_per_call is None else str(entry.usd_per_call),
        "free": entry.free,
        "like": entry.like,
    }
