"""The database: sessions that read and write, errors that say what is wrong, a time limit."""

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import Database
from gateway.storage.tables import revisions
from tests.databases import Operator, new_database, opened, url_of

NOTE = insert(revisions).values(noun="notes", number=1)
COUNT = select(revisions.c.number).where(revisions.c.noun == "notes")


@pytest.mark.anyio
async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    db = Database(url_of(path))
    with pytest.raises(Fault) as refusal:
        await db.connect()
    assert refusal.value.kind is Kind.NOT_FOUND
    await db.close()
    assert not path.exists()


@pytest.mark.anyio
async def test_what_is_written_can_be_read(database_url: str) -> None:
    async with opened(database_url) as db:
        async with db.write() as session:
            assert await session.run(NOTE) == 1
        async with db.read() as session:
            assert await session.scalar(COUNT) == 1


@pytest.mark.anyio
async def test_a_block_that_raises_leaves_nothing(database_url: str) -> None:
    async with opened(database_url) as db:
        with suppress(ZeroDivisionError):
            async with db.write() as session:
                await session.run(NOTE)
                raise ZeroDivisionError
        async with db.read() as session:
            assert await session.scalar(COUNT) is None


@pytest.mark.anyio
async def test_a_read_session_cannot_write(database_url: str) -> None:
    async with opened(database_url) as db:
        with pytest.raises(Fault) as refusal:
            async with db.read() as session:
                await session.scalar(NOTE)
        assert refusal.value.kind is Kind.UNAVAILABLE


@pytest.mark.anyio
async def test_a_read_session_sees_one_state(database_url: str) -> None:
    async with opened(database_url) as db, db.read() as reader:
        assert await reader.scalar(COUNT) is None
        async with db.write() as writer:
            await writer.run(NOTE)
        assert await reader.scalar(COUNT) is None


@pytest.mark.anyio
async def test_a_read_only_database_refuses_to_write(database_url: str) -> None:
    async with opened(database_url, read_only=True) as db:
        with pytest.raises(Fault) as refusal:
            async with db.write():
                pass
        assert refusal.value.kind is Kind.FORBIDDEN


@pytest.mark.anyio
async def test_connections_are_set_up(tmp_path: Path) -> None:
    async with opened(new_database(tmp_path)) as db, db.write() as session:
        settings = [await session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")]
        assert settings == ["wal", 1]
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1


@pytest.mark.anyio
async def test_a_query_stops_at_its_time_limit(database_url: str) -> None:
    """Known fault 84: reports cannot starve traffic."""
    endless = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
    async with opened(database_url) as db:
        with pytest.raises(Fault) as refusal:
            async with db.read(time_limit=0.05) as session:
                await session.scalar(endless)
        assert refusal.value.kind is Kind.TIMEOUT
        async with db.read(time_limit=5) as session:
            assert await session.scalar(text("SELECT 1")) == 1


@pytest.mark.anyio
async def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 1000)
    db = Database(url_of(path))
    with pytest.raises(Fault) as refusal:
        await db.connect()
    await db.close()
    assert refusal.value.kind is Kind.UNAVAILABLE
    assert str(path) in refusal.value.message


@pytest.mark.anyio
async def test_long_answers_come_in_chunks(db: Database, sql: Operator) -> None:
    for noun in range(25):
        sql.run("INSERT INTO revisions VALUES (:noun, 1)", noun=str(noun))
    async with db.read() as session:
        sizes = [len(rows) async for rows in session.chunks(select(revisions), size=10)]
    assert sizes == [10, 10, 5]


@pytest.mark.anyio
async def test_a_database_that_was_moved_away_is_not_written_any_more(tmp_path: Path) -> None:
    """Rows in a file that nobody finds again are lost rows: the journal keeps them instead."""
    url = new_database(tmp_path)
    path = tmp_path / "tollkeeper.db"
    async with opened(url) as db:
        path.rename(tmp_path / "away.db")
        with pytest.raises(Fault, match="moved, deleted or replaced"):
            async with db.write():
                raise AssertionError("unreachable")
        (tmp_path / "away.db").rename(path)
        async with db.write() as session:
            assert await session.run(NOTE) == 1
