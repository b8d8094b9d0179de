"""Database URLs: which file they mean, and which are refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from gateway.core.errors import Fault, Kind
from gateway.storage.address import driver_url, sqlite_path

ODD_NAMES = ["plain.db", "with space.db", "100%25.db", "what?.db", "a#b.db", "ä.db"]


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:////data/t.db", "sqlite:////data/t.db", "sqlite+pysqlite:////data/t.db"]
)
def test_the_file_behind_a_url(url: str) -> None:
    assert sqlite_path(url) == Path("/data/t.db")


@pytest.mark.parametrize("url", ["postgresql+psycopg://host/db", "postgresql://host/db", "postgres://host/db"])
def test_postgresql_is_refused(url: str) -> None:
    with pytest.raises(Fault) as refusal:
        sqlite_path(url)
    assert refusal.value.kind is Kind.UNSUPPORTED
    assert refusal.value.message == "PostgreSQL databases are not in this version"


@pytest.mark.parametrize("url", ["mysql://host/db", "no url", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
def test_what_is_no_file_of_sqlite_is_refused(url: str) -> None:
    with pytest.raises(Fault) as refusal:
        sqlite_path(url)
    assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, "database.url")


def test_a_password_in_a_url_is_not_repeated() -> None:
    """Known fault 79: no secret in what people are shown."""
    for url in ("mysql://me:hunter2@host/db", "postgresql://me:hunter2@host/db", "sqlite+aiosqlite:hunter2"):
        with pytest.raises(Fault) as refusal:
            sqlite_path(url)
        assert "hunter2" not in refusal.value.sentence


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_file_can_be_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE here (x)")
    engine = create_engine(driver_url(path, driver="pysqlite"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT name FROM sqlite_schema").scalar() == "here"
    engine.dispose()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_file_is_made_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    opening = create_engine(driver_url(path, driver="pysqlite"))
    with pytest.raises(OperationalError):
        opening.connect()
    assert not path.exists()
    making = create_engine(driver_url(path, driver="pysqlite", create=True))
    making.connect().close()
    making.dispose()
    assert path.exists()
