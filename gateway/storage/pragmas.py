"""How every connection to SQLite is set up, whoever opens it."""

import sqlite3

from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_MS = 5000
"""How long a statement waits for another process's lock before it fails, milliseconds."""


def set_up(connection: DBAPIConnection | sqlite3.Connection, *, query_only: bool = False) -> None:
    """Readers beside one writer (WAL), no fsync per commit: the journal holds what a power loss could take."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    if query_only:
        cursor.execute("PRAGMA query_only = ON")
    cursor.close()
