"""PostgreSQL: what a server can do that a file cannot, like being away, busy with others, or set up in another way."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.core.errors import Fault, Kind
from gateway.storage.address import PostgresDatabase, address_of
from gateway.storage.backends import backend_of
from gateway.storage.bulk import BulkInsert
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, WriteSession, current, differences, exists, upgrade
from gateway.storage.journal import Mark
from gateway.storage.keys import KeyRepository
from gateway.storage.ledger import Ledger
from gateway.storage.postgres import PostgresBackend
from gateway.storage.reports import CallFilter, Reports
from gateway.storage.tables import revisions
from tests.databases import new_postgres, opened, operator
from tests.postgres_server import PostgresServer, running
from tests.storage.calls import START_US, a_call, an_attempt, call_id, with_facts
from tests.storage.test_keys import KEY

NOTE = insert(revisions).values(noun="notes", number=1)


@pytest.fixture
async def books(url: str) -> AsyncIterator[Database]:
    async with opened(url) as db:
        yield db


# --- servers that are not as they should be ---------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_server_that_is_away_is_said_to_be_away(free_port: Callable[[], int]) -> None:
    """Known fault 79: its place is named, its password is not."""
    port = free_port()
    url = f"postgresql+psycopg://keeper:hunter2@127.0.0.1:{port}/books"
    db = Database(url)
    refusals = []
    for asked in (lambda: current(url), lambda: exists(url), lambda: upgrade(url)):
        with pytest.raises(Fault) as refusal:
            asked()
        refusals.append(refusal.value)
    with pytest.raises(Fault) as refusal:
        await db.connect()
    await db.close()
    for fault in (*refusals, refusal.value):
        assert fault.kind is Kind.UNAVAILABLE
        assert fault.message.startswith(f"the database books at 127.0.0.1:{port} cannot be used: ")
        assert "refused" in fault.message
        assert "\n" not in fault.message
        assert "hunter2" not in fault.sentence


@pytest.mark.anyio
async def test_a_database_that_was_never_upgraded_is_not_found(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    db = Database(url)
    with pytest.raises(Fault) as refusal:
        await db.connect()
    await db.close()
    postgres.drop(url)
    assert refusal.value.kind is Kind.NOT_FOUND
    assert "tollkeeper db upgrade" in refusal.value.sentence


@pytest.mark.anyio
async def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresServer) -> None:
    postgres.sql("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII'")
    url = postgres.url("bytes")
    upgrade(url)
    db = Database(url)
    with pytest.raises(Fault, match="has the encoding SQL_ASCII") as refusal:
        await db.connect()
    await db.close()
    postgres.drop(url)
    assert refusal.value.kind is Kind.INVALID


def test_without_the_driver_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from gateway.storage.engine import Database, Fault\n"
        "try: Database('postgresql+psycopg://keeper@h/d')\n"
        "except Fault as fault: print(fault.kind, fault.sentence)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("unavailable PostgreSQL needs the driver psycopg")
    assert "pip install 'tollkeeper[postgres]'" in told


@pytest.mark.anyio
async def test_a_server_that_comes_back_is_used_again() -> None:
    with running() as server, new_postgres(server) as url:
        async with opened(url) as db:
            async with db.write() as session:
                await session.run(NOTE)
            server.stop()
            for _ in range(2):
                with pytest.raises(Fault) as reading:
                    async with db.read() as reader:
                        await reader.scalar(select(revisions.c.number))
                with pytest.raises(Fault) as writing:
                    async with db.write():
                        raise AssertionError("unreachable")
                assert reading.value.kind is writing.value.kind is Kind.UNAVAILABLE
            server.start()
            async with db.read() as reader:
                assert await reader.scalar(select(revisions.c.number)) == 1
            async with db.write() as session:
                assert await session.run(revisions.update().values(number=2)) == 1


@pytest.mark.anyio
async def test_a_schema_of_its_own_is_enough(url: str) -> None:
    with operator(url) as sql:
        sql.run("CREATE SCHEMA apart")
    apart = f"{url.partition('?')[0]}?options=-csearch_path%3Dapart"
    assert not exists(apart)
    upgrade(apart)
    assert differences(apart) == []
    async with opened(apart) as db, db.write() as session:
        await session.run(NOTE)
    with operator(url) as sql:
        assert (sql.count("apart.revisions"), sql.count("revisions")) == (1, 0)
        sql.run("DROP SCHEMA apart CASCADE")


# --- writers ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_writer(url: str, patience: float) -> AsyncIterator[None]:
    """The writers' seat, taken while the block runs."""
    address = address_of(url)
    assert isinstance(address, PostgresDatabase)
    backend = PostgresBackend(address, patience)
    engine = backend.writer()
    try:
        async with engine.begin() as connection:
            await backend.begin_writing(connection)
            yield
    except SQLAlchemyError as error:
        raise backend.fault(error) from error
    finally:
        await engine.dispose()


@pytest.mark.anyio
async def test_a_writer_does_not_wait_for_ever(url: str) -> None:
    async with a_writer(url, 5):
        with pytest.raises(Fault, match="held by another writer") as refusal:
            async with a_writer(url, 0.05):
                raise AssertionError("unreachable")
    assert refusal.value.kind is Kind.UNAVAILABLE
    async with a_writer(url, 0.05):
        pass


async def a_note(session: WriteSession) -> None:
    await session.run(NOTE)


async def a_copy(session: WriteSession) -> None:
    async with session.savepoint():
        await session.run_bulk(BulkInsert(revisions, revisions.c.keys()).of([("more notes", 1)], session.dialect))


@pytest.mark.anyio
@pytest.mark.parametrize("change", [a_note, a_copy])
async def test_a_writer_whose_connection_is_cut_leaves_nothing(
    books: Database, url: str, change: Callable[[WriteSession], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    with operator(url) as sql:
        with pytest.raises(Fault) as failure:
            async with books.write() as session:
                await session.run(NOTE)
                mine = await session.scalar(text("SELECT pg_backend_pid()"))
                sql.run("SELECT pg_terminate_backend(:pid, 5000)", pid=mine)
                await change(session)
        assert failure.value.kind is Kind.UNAVAILABLE
        assert sql.count("revisions") == 0
        async with books.write() as session:
            assert await session.run(NOTE) == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.anyio
async def test_a_process_takes_five_connections_at_most(postgres: PostgresServer) -> None:
    """Known fault 58: pools of many processes fill a server long before it has work to do."""
    url = postgres.new_database()
    upgrade(url)
    books = Database(url)

    async def read() -> None:
        async with books.read() as session:
            await session.scalar(text("SELECT pg_sleep(0.02)"))

    async def write() -> None:
        async with books.write() as session:
            await session.scalar(text("SELECT pg_sleep(0.02)"))

    await asyncio.gather(*(read() for _ in range(12)), *(write() for _ in range(3)))
    with operator(url) as sql:
        ours = "application_name = 'tollkeeper' AND datname = current_database()"
        assert sql.one(f"SELECT count(*) FROM pg_stat_activity WHERE {ours}") == 5  # noqa: S608 (a text of this line)
    await books.close()
    postgres.drop(url)


@pytest.mark.anyio
async def test_two_who_take_one_name_are_told_apart(books: Database, url: str) -> None:
    """Whoever comes second is refused for the name, not for an error of the database."""
    async with opened(url) as others:
        keys = [replace(KEY, id=number, digest=number) for number in "12"]
        taken = [KeyRepository(db).add(key, "cli") for db, key in zip((books, others), keys, strict=True)]
        results = await asyncio.gather(*taken, return_exceptions=True)
    (refused,) = [result for result in results if result is not None]
    assert isinstance(refused, Fault)
    assert refused.kind is Kind.CONFLICT


# --- what PostgreSQL does not hold ------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_text_with_a_nul_is_mended(books: Database, tmp_path: Path) -> None:
    """Known fault 52: one row of a client's making must not stop the others, nor get lost itself."""
    ledger = Ledger(books, DeadLetters(tmp_path))
    odd = with_facts(a_call(2, attempts=[replace(an_attempt(), raw_usage="{\0}")]), model="a\0b", labels={"x": "\0"})
    assert len(await ledger.append("j", [a_call(1), odd, a_call(3)], Mark(1, 10))) == 3
    stored = await Reports(books).call(call_id(2))
    assert stored is not None
    assert (stored.facts.model, stored.attempts[0].raw_usage) == ("a?b", "{?}")
    assert stored.facts.labels == {"x": "\0"}
    assert ledger.dead_letters == 0


@pytest.mark.anyio
async def test_a_name_longer_than_an_index_takes_is_cut(books: Database, tmp_path: Path) -> None:
    """Known fault 52: a client chooses what it asks for, and so how long the key of a sum is."""
    ledger = Ledger(books, DeadLetters(tmp_path))
    noise = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(5000))
    odd = with_facts(a_call(2, attempts=[replace(an_attempt(), target=noise)]), model=noise, key=noise, team=noise)
    assert len(await ledger.append("j", [a_call(1), odd, a_call(3)], Mark(1, 10))) == 3
    stored = await Reports(books).call(call_id(2))
    assert stored is not None
    assert stored.facts.model == stored.target == noise[:123]
    assert stored.attempts[0].target == noise
    totals = (await Reports(books).usage(["model"], START_US, START_US + 3_600_000_000)).totals
    assert totals.calls == 3


@pytest.mark.anyio
async def test_a_filter_that_no_row_can_match_is_the_askers_mistake(books: Database) -> None:
    with pytest.raises(Fault) as refusal:
        await Reports(books).calls(CallFilter(model="a\0b"))
    assert refusal.value.kind is Kind.INVALID


def test_values_at_fault_are_told_from_a_database_in_trouble(url: str) -> None:
    backend = backend_of(url)
    with operator(url) as sql:
        for statement, refused in {
            "INSERT INTO revisions VALUES ('a', 1), ('a', 2)": True,
            "INSERT INTO revisions VALUES ('a', 9223372036854775807 + 1)": True,
            "CREATE TABLE revisions (noun text)": False,
            "SELECT * FROM nowhere": False,
            "SELECT pg_cancel_backend(pg_backend_pid())": False,
        }.items():
            with pytest.raises(DBAPIError) as error:
                sql.run(statement)
            assert backend.refuses(error.value) is refused, statement
    assert backend.refuses(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"))
    assert not backend.refuses(OSError("no route to host"))
