"""Databases of the current schema for tests, of both kinds, made once and copied."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, CursorResult, create_engine, text
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.storage.engine import Database, head, upgrade
from gateway.storage.tables import metadata
from tests.postgres_server import PostgresServer

_MONTHS = run_path(str(Path(__file__).parents[1] / "migrations" / "versions" / "20261126_1830_months.py"))

KINDS = ("sqlite", "postgresql")
"""What a fixture is parametrised with that gives a database of each kind."""


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
    """The URL of new, empty tables on a server; they are gone after the block."""
    with server.schema(_empty_tables()) as url:
        yield url


@contextmanager
def fresh(kind: str, folder: Path, server: Callable[[], PostgresServer]) -> Iterator[str]:
    """The URL of a new, empty database of one of `KINDS`; a server is asked for only if it takes one."""
    if kind == "sqlite":
        yield new_database(folder)
        return
    with new_postgres(server()) as url:
        yield url


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
def _empty_tables() -> str:
    """The statements that make what the migrations make; `test_migrate` holds the two together."""
    dialect = create_engine("postgresql+psycopg://").dialect
    tables = metadata.sorted_tables
    indexes = [index for table in tables for index in table.indexes]
    for index in indexes:  # of which rows, `tables` says once
        index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
    made = [CreateTable(table) for table in tables] + [CreateIndex(index) for index in indexes]
    mark = "CREATE TABLE alembic_version (version_num text PRIMARY KEY); INSERT INTO alembic_version VALUES"
    plain = [str(statement.compile(dialect=dialect)) for statement in made]
    return ";".join([*plain, *_MONTHS["statements"](None), f"{mark} ('{head()}')"])
