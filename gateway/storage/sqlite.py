"""SQLite as a backend: one file, one writer in all processes, readers that it never waits for."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from gateway.core.errors import Fault, Kind
from gateway.storage.address import SqliteFile
from gateway.storage.bulk import BulkStatement
from gateway.storage.lean import AsyncConnection, AsyncEngine, create_async_engine
from gateway.storage.pragmas import set_up

_REFUSALS = (IntegrityError, DataError, InterfaceError, ProgrammingError, ValueError, TypeError, OverflowError)


class SqliteBackend:
    """`backends.Backend` over a file."""

    dialect: Final = "sqlite"

    def __init__(self, address: SqliteFile) -> None:
        self.place = str(address)
        self._address = address
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that was opened."""

    def readers(self) -> AsyncEngine:
        return self._engine(pool_size=4, begin="BEGIN", query_only=True)

    def writer(self) -> AsyncEngine:
        return self._engine(pool_size=1, begin="BEGIN IMMEDIATE", query_only=False)

    def exists(self) -> bool:
        return self._address.path.exists()

    @contextmanager
    def transaction(self, *, create: bool = False, alone: bool = False) -> Iterator[Connection]:
        """Holds the write lock in any case: whoever has it sees the file as nobody changes it."""
        if create:
            self._address.path.parent.mkdir(parents=True, exist_ok=True)
        url = self._address.url(driver="pysqlite", create=create)
        engine = create_engine(url, poolclass=NullPool, connect_args={"isolation_level": None})
        event.listen(engine, "connect", lambda connection, _: set_up(connection))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        try:
            with engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise self.fault(error) from error
        finally:
            engine.dispose()

    def seats(self) -> int | None:
        return None

    async def inspect(self, connection: AsyncConnection) -> None:
        await connection.scalar(text("SELECT count(*) FROM sqlite_schema"))
        self._file = _identity(self._address.path)

    def require_in_place(self) -> None:
        """What is written into a file that was moved away or deleted would be gone with it, without a word."""
        if self._file is None:
            return
        try:
            here = _identity(self._address.path)
        except OSError:
            here = None
        if here != self._file:
            message = f"{self.place} was moved, deleted or replaced while it was in use"
            raise Fault(Kind.UNAVAILABLE, message, hint="put it back, or start again with the one that is there")

    async def begin_writing(self, connection: AsyncConnection) -> None:
        """BEGIN IMMEDIATE has waited already."""

    @asynccontextmanager
    async def stopped_after(self, connection: AsyncConnection, seconds: float | None) -> AsyncIterator[None]:
        if seconds is None:
            yield
            return
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        expired = False

        async def interrupt() -> None:
            nonlocal expired
            await asyncio.sleep(seconds)
            expired = True
            await driver.interrupt()

        watch = asyncio.create_task(interrupt())
        try:
            yield
        except DBAPIError as error:
            if not expired:
                raise
            message = f"the query took longer than {seconds:g} seconds"
            raise Fault(Kind.TIMEOUT, message, hint="ask for a shorter period") from error
        finally:
            watch.cancel()

    async def run_bulk(self, connection: AsyncConnection, statement: BulkStatement) -> None:
        await connection.exec_driver_sql(statement.text, statement.parameters)

    def refuses(self, error: BaseException) -> bool:
        return isinstance(error, _REFUSALS)

    def fault(self, error: SQLAlchemyError) -> Fault:
        cause = error.orig if isinstance(error, DBAPIError) else error
        return Fault(Kind.UNAVAILABLE, f"{self.place} cannot be used: {cause}")

    def _engine(self, *, pool_size: int, begin: str, query_only: bool) -> AsyncEngine:
        engine = create_async_engine(
            self._address.url(driver="aiosqlite"),
            pool_size=pool_size,
            max_overflow=0,
            connect_args={"isolation_level": None},
        )

        @event.listens_for(engine.sync_engine, "connect")
        def configure(connection: DBAPIConnection, _: object) -> None:
            set_up(connection, query_only=query_only)

        # The driver would begin before a change only, so that two reads could see two states.
        @event.listens_for(engine.sync_engine, "begin")
        def begin_ourselves(connection: Any) -> None:
            connection.exec_driver_sql(begin)

        # A file that may not be written is opened for reading without a word, and that is what such a connection does
        # from then on: only a new one sees that the file can be written again.
        @event.listens_for(engine.sync_engine, "handle_error")
        def give_up_what_only_reads(context: ExceptionContext) -> None:
            if getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                context.is_disconnect = True

        return engine


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
