"""Prices and maps in SQL: what was set stays to be read, and a book follows."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.core.errors import Fault
from gateway.core.pricing import FilePrice, PriceBook, StoredPrice
from gateway.core.routing import Provider, Target
from gateway.providers.price_map import read_price_map
from gateway.storage.audit import AuditLog
from gateway.storage.engine import Database
from gateway.storage.prices import PriceRepository, PriceStore, in_force
from tests.databases import new_database, opened
from tests.fakes.clock import FakeClock

HOME = Provider("openai", "openai", at_home=True)
GPT = Target(HOME, "gpt-x")
STATED = FilePrice("openai/gpt-x", {"input": Decimal("2.50"), "output": Decimal("10")})


def a_map(rate: float) -> bytes:
    return json.dumps({"gpt-x": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": rate}}).encode()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(new_database(tmp_path)) as db:
        yield db


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def repository(db: Database, clock: FakeClock) -> PriceRepository:
    return PriceRepository(db, clock.now_us)


@pytest.fixture
def book() -> PriceBook:
    return PriceBook(read_price_map(a_map(1e-6), "bundled"))


@pytest.fixture
def store(repository: PriceRepository, book: PriceBook, clock: FakeClock) -> PriceStore:
    return PriceStore(repository, book, read_price_map, clock.now_us)


def rate(book: PriceBook) -> Decimal | None:
    price = book.find(GPT)
    return None if price is None else price.rates.get("input")


@pytest.mark.anyio
async def test_every_form_of_a_price_comes_back_as_it_was(repository: PriceRepository, clock: FakeClock) -> None:
    forms = [
        STATED,
        FilePrice("openai/gpt-x", usd_per_call=Decimal("0.000000001")),
        FilePrice("openai/*", free=True),
        FilePrice("openai/gpt-x", like="azure"),
        FilePrice("openai/gpt-x", {"input": Decimal(1)}, Decimal(2)),
    ]
    made = [await repository.set(form.target_pattern, form, number, "cli:me") for number, form in enumerate(forms)]
    made.append(await repository.set("openai/gpt-x", None, 9, "admin"))
    assert await repository.all() == made
    assert [one.entry for one in made] == [*forms, None]
    assert made[0] == StoredPrice(1, "openai/gpt-x", STATED, 0, clock.now_us(), "cli:me")
    history = await repository.history("openai/gpt-x")
    assert [one.number for one in history] == [6, 5, 4, 2, 1]
    assert await repository.history("openai/other") == []


@pytest.mark.anyio
async def test_every_change_is_told(repository: PriceRepository, db: Database) -> None:
    await repository.set("openai/gpt-x", STATED, 5, "cli:me")
    await repository.set("openai/gpt-x", None, 6, "admin")
    await repository.take_over("new sha256:1", "1", "new.json", b"{}", "cli:me")
    entries = (await AuditLog(db).page()).items
    assert [(entry.action, entry.actor, entry.subject) for entry in reversed(entries)] == [
        ("price.set", "cli:me", "openai/gpt-x"),
        ("price.take_back", "admin", "openai/gpt-x"),
        ("price_map.take_over", "cli:me", "new sha256:1"),
    ]
    assert entries[-1].details["usd_per_million"] == {"input": "2.50", "output": "10"}
    assert await repository.revision() == 3


def test_what_begins_last_holds() -> None:
    def one(number: int, since_us: int, pattern: str = "a/b") -> StoredPrice:
        return StoredPrice(number, pattern, None, since_us, 0, "cli")

    stored = [one(1, 0), one(2, 100), one(3, 50), one(4, 100), one(5, 0, "c/d")]
    for at_us, number in [(0, 1), (49, 1), (50, 3), (99, 3), (100, 4), (10**18, 4)]:
        assert in_force(stored, at_us)["a/b"].number == number
    assert "a/b" not in in_force(stored, -1)
    assert in_force(stored, 7)["c/d"].number == 5


@pytest.mark.anyio
async def test_a_book_follows_what_is_set(store: PriceStore, repository: PriceRepository, book: PriceBook) -> None:
    changes: list[str] = []
    book.watch(lambda: changes.append(book.version))
    assert not await store.refresh()
    await repository.set("openai/gpt-x", STATED, 0, "cli")
    assert await store.refresh()
    assert not await store.refresh()
    price = book.find(GPT)
    assert price is not None
    assert (price.rates["input"], price.book) == (Decimal("0.0000025"), "set price 1")
    assert book.source(GPT) == "set"
    await repository.set("openai/gpt-x", None, 0, "cli")
    assert await store.refresh()
    assert (rate(book), book.source(GPT)) == (Decimal("0.000001"), "map")
    assert len(changes) == 2
    assert changes[0].endswith(" + set price 1")


@pytest.mark.anyio
async def test_a_price_of_tomorrow_holds_tomorrow(
    store: PriceStore, repository: PriceRepository, book: PriceBook, clock: FakeClock
) -> None:
    await repository.set("openai/gpt-x", STATED, clock.now_us() + 60_000_000, "cli")
    await store.refresh()
    assert rate(book) == Decimal("0.000001")
    clock.forward(59)
    assert not await store.refresh()
    clock.forward(1)
    assert await store.refresh()
    assert rate(book) == Decimal("0.0000025")
    assert not await store.refresh()
    clock.forward(-1)  # a clock that was wrong, and is set right
    assert await store.refresh()
    assert rate(book) == Decimal("0.000001")
    assert not await store.refresh()


@pytest.mark.anyio
async def test_a_price_of_the_file_goes_before_one_that_was_set(repository: PriceRepository, clock: FakeClock) -> None:
    book = PriceBook(read_price_map(a_map(1e-6), "bundled"), [FilePrice("openai/*", free=True)])
    store = PriceStore(repository, book, read_price_map, clock.now_us)
    await repository.set("openai/*", STATED, 0, "cli")
    await store.refresh()
    price = book.find(GPT)
    assert price is not None
    assert price.free
    await repository.set("openai/gpt-x", STATED, 0, "cli")  # a name before a pattern
    await store.refresh()
    assert rate(book) == Decimal("0.0000025")


@pytest.mark.anyio
async def test_a_map_that_was_taken_over_holds_and_the_old_ones_stay(
    store: PriceStore, repository: PriceRepository, book: PriceBook, db: Database
) -> None:
    newer = read_price_map(a_map(3e-6), "new.json")
    stored = await repository.take_over(newer.version, newer.sha256, "/tmp/x/new.json?a=b", a_map(3e-6), "cli")  # noqa: S108
    assert stored.label == "new.json"
    assert await store.refresh()
    assert (rate(book), book.version) == (Decimal("0.000003"), newer.version)
    await repository.take_over("bundled", None, "bundled", None, "cli")
    assert await store.refresh()
    assert rate(book) == Decimal("0.000001")
    again = await repository.map_in_force()
    assert again is not None
    assert (again.number, again.content, again.label) == (2, None, "bundled")


@pytest.mark.anyio
async def test_a_map_that_cannot_be_read_leaves_the_old_one_in_force(
    store: PriceStore, repository: PriceRepository, book: PriceBook
) -> None:
    """Known fault 22: a broken map is an error that is seen, and takes no price away."""
    await repository.take_over("broken", None, "broken.json", b"not JSON", "cli")
    for _ in range(2):
        with pytest.raises(Fault, match="not JSON"):
            await store.refresh()
        assert rate(book) == Decimal("0.000001")
