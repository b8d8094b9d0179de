"""PostgreSQL as a backend: a server that several hosts share, and one seat in it for whoever writes.

The seat is an advisory lock, held to the end of each writing transaction. So writers follow one another as they do on
SQLite: nobody deadlocks, no sum is overwritten, and rows are numbered in the order in which they become visible.
The driver, psycopg, is an extra: nothing but `backends` imports this module, and that only when it has to.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, bindparam, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from gateway.core.errors import Fault, Kind
from gateway.storage.address import PostgresDatabase
from gateway.storage.bulk import BulkStatement
from gateway.storage.lean import AsyncConnection, AsyncEngine, create_async_engine

_SEAT = int.from_bytes(b"tollkeep")
"""The number of the writers' lock; it is known in one database only."""
PATIENCE = 5.0
"""Seconds that a writer waits for the one before it."""
_ABANDONED = "30s"
"""After how long of silence the server ends the transaction of a writer whose host is gone."""

_CONNECTION = {
    "application_name": "tollkeeper",
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # A host that is gone without a word is noticed within half a minute, not within two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_REFUSALS = ("22", "23", "54")
"""Classes of SQLSTATE in which the values are at fault: data, constraints, more than an index takes."""

_take_seat = text("SELECT pg_advisory_xact_lock(:seat)").bindparams(seat=_SEAT)
_count_seats = text(
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
)
_limit_waits = text(
    "SELECT set_config('lock_timeout', :patience, true),"
    " set_config('idle_in_transaction_session_timeout', :abandoned, true),"
    " current_setting('transaction_read_only') AS read_only"
).bindparams(bindparam("patience"), abandoned=_ABANDONED)
_limit_time = text("SELECT set_config('statement_timeout', :limit, true)").bindparams(bindparam("limit"))


class PostgresBackend:
    """`backends.Backend` over a server."""

    dialect: Final = "postgresql"

    def __init__(self, address: PostgresDatabase, patience: float = PATIENCE) -> None:
        self.place = str(address)
        self._url = address.url
        self._patience = patience
        self._connection = {name: value for name, value in _CONNECTION.items() if name not in address.url.query}

    def readers(self) -> AsyncEngine:
        return self._engine(pool_size=4, isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def writer(self) -> AsyncEngine:
        # Each statement sees what the writer before has committed: the seat is taken after the transaction has begun.
        return self._engine(pool_size=1, isolation_level="READ COMMITTED")

    def exists(self) -> bool:
        with self.transaction() as connection:
            return connection.scalar(text("SELECT to_regclass('alembic_version')")) is not None

    @contextmanager
    def transaction(self, *, create: bool = False, alone: bool = False) -> Iterator[Connection]:
        """Makes no database: that takes rights which a gateway should not have."""
        engine = create_engine(self._url, poolclass=NullPool, use_native_hstore=False, connect_args=self._connection)
        try:
            with engine.begin() as connection:
                if alone:
                    connection.execute(_take_seat)
                yield connection
        except DBAPIError as error:
            raise self.fault(error) from error
        finally:
            engine.dispose()

    def seats(self) -> int | None:
        with self.transaction() as connection:
            seats: int = connection.execute(_count_seats).scalar_one()
        return seats

    async def inspect(self, connection: AsyncConnection) -> None:
        encoding = await connection.scalar(text("SELECT current_setting('server_encoding')"))
        if encoding != "UTF8":
            message = f"{self.place} has the encoding {encoding}, which cannot hold every text"
            raise Fault(Kind.INVALID, message, hint="make one with ENCODING 'UTF8'", param="database.url")

    def require_in_place(self) -> None:
        """The server says itself when a database is gone."""

    async def begin_writing(self, connection: AsyncConnection) -> None:
        begun = (await connection.execute(_limit_waits, {"patience": f"{self._patience:g}s"})).one()
        if begun.read_only == "on":
            # A session keeps the mode that it began with: only a new one sees that the database can be written again.
            await connection.invalidate()
            raise Fault(Kind.UNAVAILABLE, f"{self.place} is read-only", hint="see whether its disk is full")
        await connection.execute(_take_seat)

    @asynccontextmanager
    async def stopped_after(self, connection: AsyncConnection, seconds: float | None) -> AsyncIterator[None]:
        if seconds is None:
            yield
            return
        await connection.execute(_limit_time, {"limit": f"{max(1, round(seconds * 1000))}ms"})
        try:
            yield
        except DBAPIError as error:
            if _state(error) != "57014":
                raise
            message = f"the query took longer than {seconds:g} seconds"
            raise Fault(Kind.TIMEOUT, message, hint="ask for a shorter period") from error

    async def run_bulk(self, connection: AsyncConnection, statement: BulkStatement) -> None:
        if statement.data is None:
            await connection.exec_driver_sql(statement.text, statement.parameters)
        else:
            await _copy(connection, statement.text, statement.data)

    def refuses(self, error: BaseException) -> bool:
        if not isinstance(error, DBAPIError):
            return isinstance(error, ValueError | TypeError | OverflowError)
        state = _state(error)
        # Without a state it is the driver that refuses: a NUL in a text, a value of a type that it does not know.
        return state[:2] in _REFUSALS if state else isinstance(error.orig, psycopg.DataError | psycopg.ProgrammingError)

    def fault(self, error: SQLAlchemyError) -> Fault:
        if not isinstance(error, DBAPIError):
            return Fault(Kind.UNAVAILABLE, f"{self.place} cannot be used: {error}")
        cause = " ".join(str(error.orig).split())
        if _state(error) == "55P03":
            message = f"{self.place} has been held by another writer for {self._patience:g} seconds"
            return Fault(Kind.UNAVAILABLE, message)
        if self.refuses(error):
            return Fault(Kind.INVALID, f"{self.place} does not take a value: {cause}")
        return Fault(Kind.UNAVAILABLE, f"{self.place} cannot be used: {cause}")

    def _engine(self, *, pool_size: int, **options: Any) -> AsyncEngine:
        return create_async_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=0,
            # A server that was away has cut the connections that were waiting for use.
            pool_pre_ping=True,
            use_native_hstore=False,
            connect_args=self._connection,
            execution_options={"preserve_rowcount": True, **options},
        )


async def _copy(connection: AsyncConnection, statement: str, data: bytes) -> None:
    """Rows into a table in one go; what the driver raises leaves as SQLAlchemy would have wrapped it."""
    driver: psycopg.AsyncConnection[Any] | None = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    try:
        async with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            await copy.write(data)
    except psycopg.Error as error:
        if driver.closed:
            await connection.invalidate(error)
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
