"""The database: sessions that read and write, errors that say what is wrong, a time limit."""

from contextlib import suppress

import pytest
from sqlalchemy import insert, select, text

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import Database
from gateway.storage.tables import revisions
from tests.databases import Operator, opened

NOTE = insert(revisions).values(noun="notes", number=1)
COUNT = select(revisions.c.number).where(revisions.c.noun == "notes")


@pytest.mark.anyio
async def test_what_is_written_can_be_read(db: Database) -> None:
    async with db.write() as session:
        assert await session.run(NOTE) == 1
    async with db.read() as session:
        assert await session.scalar(COUNT) == 1


@pytest.mark.anyio
async def test_a_block_that_raises_leaves_nothing(db: Database) -> None:
    with suppress(ZeroDivisionError):
        async with db.write() as session:
            await session.run(NOTE)
            raise ZeroDivisionError
    async with db.read() as session:
        assert await session.scalar(COUNT) is None


@pytest.mark.anyio
async def test_a_read_session_cannot_write(db: Database) -> None:
    with pytest.raises(Fault) as refusal:
        async with db.read() as session:
            await session.scalar(NOTE)
    assert refusal.value.kind is Kind.UNAVAILABLE


@pytest.mark.anyio
async def test_a_read_session_sees_one_state(db: Database) -> None:
    async with db.read() as reader:
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
async def test_a_query_stops_at_its_time_limit(db: Database) -> None:
    """Known fault 84: reports cannot starve traffic."""
    endless = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
    with pytest.raises(Fault) as refusal:
        async with db.read(time_limit=0.05) as session:
            await session.scalar(endless)
    assert refusal.value.kind is Kind.TIMEOUT
    async with db.read(time_limit=5) as session:
        assert await session.scalar(text("SELECT 1")) == 1


@pytest.mark.anyio
async def test_long_answers_come_in_chunks(db: Database, sql: Operator) -> None:
    for noun in range(25):
        sql.run("INSERT INTO revisions VALUES (:noun, 1)", noun=str(noun))
    async with db.read() as session:
        sizes = [len(rows) async for rows in session.chunks(select(revisions), size=10)]
    assert sizes == [10, 10, 5]
