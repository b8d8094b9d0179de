"""The database as the repositories see it: read and write sessions as different types.

Owns connections, their settings and the border where the SQL library's errors become ours. Knows no table.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Executable, Row, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.core.errors import Fault, Kind
from gateway.storage.address import driver_url, sqlite_path
from gateway.storage.backup import backup, restore
from gateway.storage.bulk import BulkStatement
from gateway.storage.migrate import current, differences, head, upgrade
from gateway.storage.pragmas import set_up

__all__ = [
    "Database", "ReadSession", "WriteSession", "backup", "current", "differences", "head", "restore", "upgrade",
]  # fmt: skip

Rows: TypeAlias = Sequence[Row[Any]]


class ReadSession:
    """One consistent view of the database; sees nothing that is committed after its first statement."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self, statement: Executable) -> Rows:
        return (await self._connection.execute(statement)).all()

    async def first(self, statement: Executable) -> Row[Any] | None:
        return (await self._connection.execute(statement)).first()

    async def scalar(self, statement: Executable) -> Any:
        """The first column of the first row; None without a row."""
        return await self._connection.scalar(statement)

    async def chunks(self, statement: Executable, size: int = 2000) -> AsyncIterator[Rows]:
        """The rows of a long answer, some at a time."""
        async with self._connection.stream(statement) as result:
            async for rows in result.partitions(size):
                yield rows


class WriteSession(ReadSession):
    """One transaction, committed when its block ends, rolled back if it raises."""

    async def run(self, statement: Executable) -> int:
        """Carry out a change; how many rows it touched."""
        return (await self._connection.execute(statement)).rowcount

    async def run_bulk(self, statements: Iterable[BulkStatement]) -> None:
        """Carry out statements in the driver's own words, in their order."""
        for text_of_driver, parameters in statements:
            await self._connection.exec_driver_sql(text_of_driver, parameters)

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """A part of the transaction that can fail alone."""
        return self._connection.begin_nested()


class Database:
    """Connections to one database: a single writer, and readers that it never waits for.

    `read_only`: nothing can be written, and a missing file is an error instead of a new database.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.path = sqlite_path(url)
        self.read_only = read_only
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that was opened."""
        self._readers = self._engine(pool_size=4, begin="BEGIN", query_only=True)
        self._writer = self._engine(pool_size=1, begin="BEGIN IMMEDIATE", query_only=False)

    async def connect(self) -> None:
        """Open a first connection, so that a database that cannot be used says so now.

        Raises `Fault`: not found without a file, unavailable if it cannot be opened.
        """
        if not self.path.exists():
            raise Fault(Kind.NOT_FOUND, f"there is no database at {self.path}", hint="run `tollkeeper db upgrade`")
        async with self.read() as session:
            await session.scalar(text("SELECT count(*) FROM sqlite_schema"))
        self._file = _identity(self.path)

    async def close(self) -> None:
        await self._readers.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def read(self, time_limit: float | None = None) -> AsyncIterator[ReadSession]:
        """A read session; a statement that runs past `time_limit` seconds is stopped.

        Raises `Fault`: unavailable if the database fails, timeout at the time limit.
        """
        with _stated(self):
            async with self._readers.connect() as connection, _stopped_after(connection, time_limit):
                yield ReadSession(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A write session. Raises `Fault`: forbidden on a read-only database, unavailable if the database fails."""
        if self.read_only:
            raise Fault(Kind.FORBIDDEN, "this database was opened for reading only")
        self._must_be_in_place()
        with _stated(self):
            async with self._writer.begin() as connection:
                yield WriteSession(connection)

    def _must_be_in_place(self) -> None:
        """What is written into a file that was moved away or deleted would be gone with it, without a word."""
        if self._file is None:
            return
        try:
            here = _identity(self.path)
        except OSError:
            here = None
        if here != self._file:
            message = f"the database at {self.path} was moved, deleted or replaced while it was in use"
            raise Fault(Kind.UNAVAILABLE, message, hint="put it back, or start again with the one that is there")

    def _engine(self, *, pool_size: int, begin: str, query_only: bool) -> AsyncEngine:
        engine = create_async_engine(
            driver_url(self.path, driver="aiosqlite"),
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

        return engine


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


@asynccontextmanager
async def _stopped_after(connection: AsyncConnection, seconds: float | None) -> AsyncIterator[None]:
    """Interrupt what the connection is doing when the time is up."""
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


@contextmanager
def _stated(database: Database) -> Iterator[None]:
    """The SQL library's errors as ours."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise Fault(Kind.UNAVAILABLE, f"the database at {database.path} cannot be used: {cause}") from error
