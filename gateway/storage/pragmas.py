"""How every connection to SQLite is set up, whoever opens it."""

import sqlite3
import time

from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

BUSY_MS = 5000
"""How long a statement waits for another process's lock before it fails, milliseconds."""
WRITER_CACHE_KIB = 16_000
"""Pages that a writer keeps. Calls of a thousand sessions at once change a thousand pages of an index with each batch:
with SQLite's own 2 MB they are written and read again and again, and the ledger falls behind."""
_OTHERS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)
"""What others who open the same file can cause, and what therefore passes."""


def set_up(connection: DBAPIConnection | sqlite3.Connection, *, query_only: bool = False) -> None:
    """Readers beside one writer (WAL), no fsync per commit: the journal holds what a power loss could take."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    _keep_a_log(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    if query_only:
        cursor.execute("PRAGMA query_only = ON")
    else:
        cursor.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    cursor.close()


def _keep_a_log(cursor: DBAPICursor | sqlite3.Cursor) -> None:
    """Switches a new database to WAL. SQLite does not wait for others here, whatever the busy timeout says."""
    give_up = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _OTHERS or time.monotonic() > give_up:
                raise
            time.sleep(0.005)  # somebody is making the same database at this moment
        else:
            return
