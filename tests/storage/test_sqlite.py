"""SQLite: a file that is missing, foreign, or moved away while it is in use."""

from pathlib import Path

import pytest
from sqlalchemy import insert, text

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import Database
from gateway.storage.tables import revisions
from tests.databases import new_database, opened, url_of

NOTE = insert(revisions).values(noun="notes", number=1)


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
async def test_connections_are_set_up(tmp_path: Path) -> None:
    async with opened(new_database(tmp_path)) as db, db.write() as session:
        settings = [await session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")]
        assert settings == ["wal", 1]
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1


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
