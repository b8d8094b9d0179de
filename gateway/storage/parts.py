"""Parts of a revision that go before it, beside those who write, and the patience that locks of an upgrade take.

A revision names them in `ONLINE`, by kind of database. Each is a transaction of its own that can be repeated, so that
an upgrade that was killed goes on where it was. What they do is known to the revision alone; as long as there is a
constraint whose name begins with `upgrade_`, they have begun and the revision has not come.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gateway.core.errors import Fault, Kind
from gateway.storage.backends import Backend

_TRIES = 60
_PAUSE = 1.0
_LONGEST_WAIT = 2
"""Seconds. Whoever waits for a lock on a table holds up all that come after: it gives up soon and tries again, as long
as a report may take and more."""
_IN_THE_WAY = ("55P03", "40P01")
"""What the server says when somebody else has a lock: after that time, or because both wait for one another."""

_TURN = int.from_bytes(b"upgrades")
"""The number of the upgraders' lock; who writes calls takes another one."""
_take_turn = text("SELECT pg_advisory_xact_lock(:turn)").bindparams(turn=_TURN)
_stay_idle = text("SET LOCAL idle_in_transaction_session_timeout = 0")
_limits = (
    text(f"SET LOCAL lock_timeout = '{_LONGEST_WAIT}s'"),
    text("SET LOCAL statement_timeout = 0"),
    # Or what a killed upgrade had begun would go on to its end, in the way of the one that repeats it.
    text("SET LOCAL client_connection_check_interval = '1s'"),
)
_begun = text(
    "SELECT EXISTS (SELECT FROM pg_constraint"
    r" WHERE conname LIKE 'upgrade\_%' AND connamespace = current_schema()::regnamespace)"
)


class Part(NamedTuple):
    """One of them."""

    name: str
    alone: bool
    """Nobody else may write meanwhile: it is short."""
    act: Callable[[Connection], None]


def parts_of(revision: ModuleType, dialect: str) -> list[Part]:
    """In their order; empty for a revision that has none for this kind of database."""
    return [Part(*part) for part in getattr(revision, "ONLINE", {}).get(dialect, ())]


def carry_out(part: Part, backend: Backend, pause: Callable[[float], None] = time.sleep, tries: int = _TRIES) -> None:
    """One transaction, again while somebody else has a lock that it needs; `pause` waits so many seconds in between.

    Raises `Fault` (unavailable).
    """
    for tries_left in reversed(range(tries)):
        try:
            with backend.transaction(create=True, alone=part.alone) as connection:
                if connection.dialect.name == "postgresql":
                    for limit in _limits:
                        connection.execute(limit)
                part.act(connection)
        except Fault as fault:
            cause = fault.__cause__
            if not isinstance(cause, DBAPIError) or getattr(cause.orig, "sqlstate", None) not in _IN_THE_WAY:
                raise
            if not tries_left:
                message = f"an upgrade tried {tries} times to have the tables for a moment, but somebody reads them"
                raise Fault(Kind.UNAVAILABLE, message, hint="repeat it when long reports and dumps are done") from fault
            pause(_PAUSE)
        else:
            return


@contextmanager
def turn(backend: Backend) -> Iterator[None]:
    """Nobody else upgrades this database while the block runs; it is over too if we are killed.

    SQLite needs none, for it has no parts: who upgrades it has its lock.
    """
    if backend.dialect == "sqlite":
        yield
        return
    with backend.transaction() as connection:
        connection.execute(_stay_idle)
        connection.execute(_take_turn)
        yield


def have_begun(connection: Connection) -> bool:
    """Whether some part was carried out and the revision behind it was not."""
    return connection.dialect.name == "postgresql" and bool(connection.scalar(_begun))
