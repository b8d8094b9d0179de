"""The database as the repositories see it: read and write sessions as different types.

Owns connections, their settings and the border where the SQL library's errors become ours. Knows no table.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

from sqlalchemy import Executable, Row
from sqlalchemy.exc import SQLAlchemyError

from gateway.core.errors import Fault, Kind
from gateway.storage.address import DialectName
from gateway.storage.backends import Backend, backend_of
from gateway.storage.backup import backup, file_of, restore
from gateway.storage.bulk import BulkStatement
from gateway.storage.lean import AsyncConnection
from gateway.storage.migrate import begun, current, differences, exists, head, steps, upgrade

__all__ = [
    "Database", "ReadSession", "Refused", "WriteSession",
    "backup", "begun", "current", "differences", "exists", "file_of", "head", "restore", "steps",
    "upgrade",
]  # fmt: skip

Rows: TypeAlias = Sequence[Row[Any]]


class Refused(Exception):
    """The database does not take these values, whatever state it is in; its words are the message."""


class ReadSession:
    """One consistent view of the database; sees nothing that is committed after its first statement."""

    def __init__(self, connection: AsyncConnection, backend: Backend) -> None:
        self._connection = connection
        self._backend = backend

    @property
    def dialect(self) -> DialectName:
        """Whose words statements of the driver must be in."""
        return self._backend.dialect

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

    async def run_many(self, statement: Executable, values: Sequence[Mapping[str, Any]]) -> None:
        """Carry out one change with each of these values."""
        await self._connection.execute(statement, values)

    async def run_bulk(self, statements: Iterable[BulkStatement]) -> None:
        """Carry out statements in the driver's own words, in their order."""
        for statement in statements:
            await self._backend.run_bulk(self._connection, statement)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that can fail alone. Raises `Refused` where the values are at fault."""
        try:
            async with self._connection.begin_nested():
                yield
        except Exception as error:
            if not self._backend.refuses(error):
                raise
            cause = getattr(error, "orig", error)
            raise Refused(f"{type(error).__name__}: {cause}") from error


class Database:
    """Connections to one database: a single writer, and readers that it never waits for.

    `read_only`: nothing can be written, and a missing database is an error instead of a new one.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Raises `Fault`: invalid if the URL is none of ours, unavailable without its driver."""
        self.read_only = read_only
        self._backend = backend_of(url)
        self._readers = self._backend.readers()
        self._writer = self._backend.writer()

    async def connect(self) -> None:
        """Open a first connection, so that a database that cannot be used says so now.

        Raises `Fault`: not found if there is none, unavailable if it cannot be opened, invalid if it does not suit.
        """
        if not await asyncio.to_thread(self._backend.exists):
            raise Fault(
                Kind.NOT_FOUND, f"{self._backend.place} has not been made yet", hint="run `tollkeeper db upgrade`"
            )
        with _stated(self._backend):
            async with self._readers.connect() as connection:
                await self._backend.inspect(connection)

    async def close(self) -> None:
        await self._readers.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def read(self, time_limit: float | None = None) -> AsyncIterator[ReadSession]:
        """A read session; a statement that runs past `time_limit` seconds is stopped.

        Raises `Fault`: unavailable if the database fails, timeout at the time limit.
        """
        with _stated(self._backend):
            async with (
                self._readers.connect() as connection,
                self._backend.stopped_after(connection, time_limit),
            ):
                yield ReadSession(connection, self._backend)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A write session. Raises `Fault`: forbidden on a read-only database, unavailable if the database fails."""
        if self.read_only:
            raise Fault(Kind.FORBIDDEN, "this database was opened for reading only")
        self._backend.require_in_place()
        with _stated(self._backend):
            async with self._writer.begin() as connection:
                await self._backend.begin_writing(connection)
                yield WriteSession(connection, self._backend)


@contextmanager
def _stated(backend: Backend) -> Iterator[None]:
    """The SQL library's errors as ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise backend.fault(error) from error
