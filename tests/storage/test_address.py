"""Database URLs: which file or server they mean, and which are refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from gateway.core.errors import Fault, Kind
from gateway.storage.address import PostgresDatabase, SqliteFile, address_of

ODD_NAMES = ["plain.db", "with space.db", "100%25.db", "what?.db", "a#b.db", "ä.db"]


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:////data/t.db", "sqlite:////data/t.db", "sqlite+pysqlite:////data/t.db"]
)
def test_the_file_behind_a_url(url: str) -> None:
    assert address_of(url) == SqliteFile(Path("/data/t.db"))


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("postgresql+psycopg://me:hunter2@db.example:6432/books", "the database books at db.example:6432"),
        ("postgresql://me:hunter2@db.example/books?sslmode=require", "the database books at db.example"),
        ("postgresql+psycopg:///books?host=/run/pg&password=hunter2", "the database books at /run/pg"),
        ("postgresql+psycopg:///books?host=a&host=b", "the database books at a, b"),
        ("postgresql+psycopg:///books", "the database books"),
    ],
)
def test_a_server_is_called_by_its_place_and_never_by_its_password(url: str, called: str) -> None:
    """Known fault 79: no secret in what people are shown."""
    address = address_of(url)
    assert isinstance(address, PostgresDatabase)
    assert str(address) == called
    assert "hunter2" not in repr(address)
    assert address.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    ["mysql://host/db", "no url", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "postgres://host/db",
     "postgresql+asyncpg://host/db", "postgresql+psycopg://host", "postgresql+psycopg://host:port/db"],
)  # fmt: skip
def test_what_is_no_database_of_ours_is_refused(url: str) -> None:
    with pytest.raises(Fault) as refusal:
        address_of(url)
    assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, "database.url")


def test_a_password_in_a_url_is_not_repeated() -> None:
    """Known fault 79: no secret in what people are shown."""
    for url in ("mysql://me:hunter2@host/db", "postgresql://me:hunter2@host", "sqlite+aiosqlite:hunter2"):
        with pytest.raises(Fault) as refusal:
            address_of(url)
        assert "hunter2" not in refusal.value.sentence


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_file_can_be_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE here (x)")
    engine = create_engine(SqliteFile(path).url(driver="pysqlite"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT name FROM sqlite_schema").scalar() == "here"
    engine.dispose()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_file_is_made_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    opening = create_engine(SqliteFile(path).url(driver="pysqlite"))
    with pytest.raises(OperationalError):
        opening.connect()
    assert not path.exists()
    making = create_engine(SqliteFile(path).url(driver="pysqlite", create=True))
    making.connect().close()
    making.dispose()
    assert path.exists()
