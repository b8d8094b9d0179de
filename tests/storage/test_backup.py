"""Backups: taken from a database in use, put back into one that is not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import backup, current, head, restore
from tests.databases import new_database, opened, url_of


def note(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT OR REPLACE INTO revisions VALUES ('notes', ?)", (number,))


def noted(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db, db:
        number: int = db.execute("SELECT number FROM revisions").fetchone()[0]
        return number


@pytest.mark.anyio
async def test_a_backup_is_taken_while_the_database_is_in_use(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    async with opened(url) as db, db.read():
        note(tmp_path / "tollkeeper.db", 1)
        await backup(url, tmp_path / "copy.db")
    assert noted(tmp_path / "copy.db") == 1
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "copy.db.part").exists()


@pytest.mark.anyio
async def test_a_backup_replaces_no_file(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(Fault) as refusal:
        await backup(url, tmp_path / "copy.db")
    assert refusal.value.kind is Kind.CONFLICT
    assert (tmp_path / "copy.db").read_text() == "precious"


@pytest.mark.anyio
async def test_a_backup_into_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(Fault) as refusal:
        await backup(new_database(tmp_path), tmp_path / "none" / "copy.db")
    assert refusal.value.kind is Kind.UNAVAILABLE


@pytest.mark.anyio
async def test_a_backup_of_nothing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(Fault) as refusal:
        await backup(url_of(tmp_path / "none.db"), tmp_path / "copy.db")
    assert refusal.value.kind is Kind.NOT_FOUND


@pytest.mark.anyio
async def test_a_restored_database_is_what_it_was(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    path = tmp_path / "tollkeeper.db"
    note(path, 1)
    await backup(url, tmp_path / "copy.db")
    note(path, 2)
    restore(url, tmp_path / "copy.db")
    assert noted(path) == 1
    assert current(url) == head()


@pytest.mark.anyio
async def test_a_backup_can_be_restored_where_there_was_nothing(tmp_path: Path) -> None:
    await backup(new_database(tmp_path), tmp_path / "copy.db")
    url = url_of(tmp_path / "elsewhere" / "new.db")
    restore(url, tmp_path / "copy.db")
    assert current(url) == head()


@pytest.mark.anyio
async def test_a_database_in_use_is_not_replaced(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    await backup(url, tmp_path / "copy.db")
    async with opened(url):
        note(tmp_path / "tollkeeper.db", 2)
        with pytest.raises(Fault) as refusal:
            restore(url, tmp_path / "copy.db")
        assert noted(tmp_path / "tollkeeper.db") == 2
    assert refusal.value.kind is Kind.CONFLICT
    restore(url, tmp_path / "copy.db")


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(Fault) as refusal:
        restore(new_database(tmp_path), tmp_path / "copy.db")
    assert refusal.value.kind is Kind.NOT_FOUND


def test_what_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    letter, other = tmp_path / "letter.txt", tmp_path / "other.db"
    letter.write_text("Dear Sir or Madam")
    with closing(sqlite3.connect(other)) as db, db:
        db.execute("CREATE TABLE calls (id)")
    for file in (letter, other):
        with pytest.raises(Fault) as refusal:
            restore(url, file)
        assert refusal.value.kind is Kind.INVALID
    assert current(url) == head()


def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    (tmp_path / "newer").mkdir()
    new_database(tmp_path / "newer")
    newer = tmp_path / "newer" / "tollkeeper.db"
    with closing(sqlite3.connect(newer)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '29991231_2359'")
    with pytest.raises(Fault) as refusal:
        restore(url, newer)
    assert refusal.value.kind is Kind.INVALID
    assert "29991231_2359" in refusal.value.message


@pytest.mark.anyio
async def test_postgresql_has_tools_of_its_own(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:hunter2@db.example/books"
    with pytest.raises(Fault, match="is not copied by Tollkeeper") as no_backup:
        await backup(url, tmp_path / "copy.db")
    with pytest.raises(Fault, match="is not copied by Tollkeeper") as no_restore:
        restore(url, tmp_path / "copy.db")
    for refusal in (no_backup.value, no_restore.value):
        assert refusal.kind is Kind.UNSUPPORTED
        assert "pg_dump and pg_restore" in refusal.sentence
