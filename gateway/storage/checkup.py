"""What a self-check asks the database besides its schema: its clock, its room for connections, its newest call."""

from dataclasses import dataclass

from sqlalchemy import func, select, text

from gateway.storage.engine import Database, ReadSession
from gateway.storage.retention import kept_since
from gateway.storage.tables import calls

CONNECTIONS = 5
"""What one process takes of a server at most: four that read, one that writes."""

_server = text(
    "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS clock_us,"
    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS allowed,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS open,"
    " current_setting('synchronous_commit') <> 'off' AS durable"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server's own state."""

    clock_us: int
    """Microseconds since 1970 UTC."""
    connections: int
    """Open at this moment, everybody's."""
    connections_allowed: int
    """The most that everybody together may have."""
    durable: bool
    """Whether what it has confirmed survives its crash (`synchronous_commit`)."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """The database at one moment."""

    newest_call_us: int | None
    """When the newest call started; null in an empty ledger."""
    kept_since_us: int
    """Calls that started before have their hourly sums alone; 0 if all have their detail."""
    server: Server | None
    """Null for a file."""


async def check_up(db: Database, time_limit: float) -> Checkup:
    """Look; seconds at most. Raises `Fault`: unavailable, timeout."""
    async with db.read(time_limit) as session:
        newest_us = await session.scalar(select(func.max(calls.c.started_us)))
        return Checkup(newest_us, await kept_since(session), await _server_of(session))


async def _server_of(session: ReadSession) -> Server | None:
    if session.dialect == "sqlite":
        return None
    row = await session.first(_server)
    assert row is not None, "a statement without a table has one row"
    return Server(row.clock_us, row.open, row.allowed, row.durable)
