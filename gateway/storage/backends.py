"""What the rest of the storage asks of a kind of database, and which kind a URL means.

Sessions, migrations and repositories are written once; where SQLite and PostgreSQL differ, they ask a `Backend`.
Knows no table.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from gateway.core.errors import Fault, Kind
from gateway.storage.address import DialectName, SqliteFile, address_of
from gateway.storage.bulk import BulkStatement
from gateway.storage.lean import AsyncConnection, AsyncEngine
from gateway.storage.sqlite import SqliteBackend


class Backend(Protocol):
    """One database of one kind."""

    @property
    def dialect(self) -> DialectName: ...

    @property
    def place(self) -> str:
        """What a message calls it: `the database at /data/tollkeeper.db`. Never holds a password."""

    def readers(self) -> AsyncEngine:
        """Connections of which each transaction is one view, and cannot write."""

    def writer(self) -> AsyncEngine:
        """The one connection that writes."""

    def exists(self) -> bool:
        """Whether there is a database that an upgrade has made. Raises `Fault` (unavailable)."""

    def transaction(self, *, create: bool = False, alone: bool = False) -> AbstractContextManager[Connection]:
        """One transaction of a connection of its own, for migrations; `alone`: while nobody else writes.

        Raises `Fault` (unavailable).
        """

    def seats(self) -> int | None:
        """How many connections the database gives to all its clients; null: as many as they like.

        Raises `Fault` (unavailable).
        """

    async def inspect(self, connection: AsyncConnection) -> None:
        """Raises `Fault` if this is no database that we can work with."""

    def require_in_place(self) -> None:
        """Raises `Fault` if what was opened is no longer what others would open; asked before each change."""

    async def begin_writing(self, connection: AsyncConnection) -> None:
        """Wait until nobody else writes, for as long as the transaction lasts."""

    def stopped_after(self, connection: AsyncConnection, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """Stop a statement that runs longer. Raises `Fault` (timeout)."""

    async def run_bulk(self, connection: AsyncConnection, statement: BulkStatement) -> None:
        """Carry out what `bulk` made for this dialect."""

    def refuses(self, error: BaseException) -> bool:
        """Whether an error says that the values are at fault. All others are the database's state, and pass."""

    def fault(self, error: SQLAlchemyError) -> Fault:
        """The SQL library's error as ours."""


def backend_of(url: str) -> Backend:
    """The database behind a URL; nothing is opened.

    Raises `Fault`: invalid if the URL is none of ours, unavailable if its driver is missing.
    """
    address = address_of(url)
    if isinstance(address, SqliteFile):
        return SqliteBackend(address)
    try:
        from gateway.storage.postgres import PostgresBackend
    except ImportError as error:
        message = f"PostgreSQL needs the driver psycopg, which cannot be loaded: {error}"
        raise Fault(Kind.UNAVAILABLE, message, hint="install it: pip install 'tollkeeper[postgres]'") from None
    return PostgresBackend(address)
