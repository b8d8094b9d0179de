"""Databases of the current schema for tests, of both kinds, made once and copied."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, CursorResult, create_engine, text
from sqlalchemy.pool import NullPool

from gateway.storage.engine import Database, upgrade
from tests.postgres_server import PostgresServer

KINDS = ("sqlite", "postgresql")
"""What a fixture is parametrised with that gives a database of each kind."""

_TEMPLATE = "empty_books"


def url_of(path: Path) -> str:
    """The URL of a file."""
    return f"sqlite+aiosqlite:///{path}"


def new_database(folder: Path) -> str:
    """The URL of a new, empty SQLite database in this folder."""
    path = folder / "tollkeeper.db"
    path.write_bytes(_empty_database())
    return url_of(path)


@contextmanager
def new_postgres(server: PostgresServer) -> Iterator[str]:
    """The URL of a new, empty database of a server; it is gone after the block."""
    _make_template(server)
    url = server.new_database(_TEMPLATE)
    yield url
    server.drop(url)


@asynccontextmanager
async def opened(url: str, *, read_only: bool = False) -> AsyncIterator[Database]:
    """A database, open for the length of a block."""
    db = Database(url, read_only=read_only)
    try:
        await db.connect()
        yield db
    finally:
        await db.close()


class Operator:
    """A connection of nobody's in particular, as an operator has one: each statement is a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> str:
        return self._connection.dialect.name

    def run(self, statement: str, **values: object) -> CursorResult[Any]:
        return self._connection.execute(text(statement), values)

    def rows(self, statement: str, **values: object) -> Sequence[tuple[Any, ...]]:
        return [tuple(row) for row in self.run(statement, **values).all()]

    def one(self, statement: str, **values: object) -> Any:
        """The first column of the first row."""
        return self.run(statement, **values).scalar()

    def count(self, table: str) -> int:
        number: int = self.one(f"SELECT count(*) FROM {table}")  # noqa: S608 (names of the tests)
        return number


@contextmanager
def operator(url: str) -> Iterator[Operator]:
    """An operator of this database while the block runs."""
    engine = create_engine(url.replace("+aiosqlite", ""), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield Operator(connection)
    finally:
        engine.dispose()


@cache
def _empty_database() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        upgrade(url_of(path))
        return path.read_bytes()


@cache
def _make_template(server: PostgresServer) -> None:
    server.sql(f'CREATE DATABASE "{_TEMPLATE}" TEMPLATE template0')
    upgrade(server.url(_TEMPLATE))
