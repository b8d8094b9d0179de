"""Copies of a whole SQLite database: taken while it is in use, put back while it is not."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.core.errors import Fault, Kind
from gateway.storage.address import SqliteFile, address_of
from gateway.storage.migrate import known_revisions

_PATIENCE = 0.2
"""Seconds to wait for whoever has the database open, before a restore gives up."""


def file_of(url: str) -> Path:
    """The file that a backup copies. Raises `Fault`: unsupported for PostgreSQL, which has better tools of its own."""
    address = address_of(url)
    if isinstance(address, SqliteFile):
        return address.path
    message = f"{address} is not copied by Tollkeeper"
    raise Fault(Kind.UNSUPPORTED, message, hint="use PostgreSQL's own pg_dump and pg_restore")


async def backup(url: str, to: Path) -> None:
    """Copy the database to a new file, mode 0600, without stopping anybody.

    Raises `Fault`: not found without a database, conflict if the file exists, unavailable if the copy fails,
    unsupported for PostgreSQL.
    """
    await asyncio.to_thread(_backup, file_of(url), to)


def restore(url: str, source: Path) -> None:
    """Replace the database by a backup, in one transaction. A later `upgrade` brings it to our revision.

    Raises `Fault`: not found without the file, invalid if it is no sound database of a revision that we know,
    conflict while anything else has the database open, unsupported for PostgreSQL.
    """
    path = file_of(url)
    if not source.is_file():
        raise Fault(Kind.NOT_FOUND, f"there is no file {source}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as copy:
        _require_ours(copy, source)
        with _stated(path), closing(sqlite3.connect(path, timeout=_PATIENCE)) as database:
            _require_alone(database, path)
            copy.backup(database)


def _backup(path: Path, to: Path) -> None:
    if not path.exists():
        raise Fault(Kind.NOT_FOUND, f"there is no database at {path}")
    if to.exists():
        raise Fault(Kind.CONFLICT, f"{to} exists already", hint="name a new file")
    # Under another name until it is whole, so that a file with the wanted name is always a sound backup.
    unfinished = to.with_name(f"{to.name}.part")
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        with _stated(path), closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(unfinished)) as copy:
            database.backup(copy)
            # One file is easier to carry away than three.
            copy.execute("PRAGMA journal_mode = DELETE")
        os.replace(unfinished, to)
    except OSError as error:
        raise Fault(Kind.UNAVAILABLE, f"{to} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _require_ours(copy: sqlite3.Connection, source: Path) -> None:
    hint = "take a file that `tollkeeper db backup` wrote"
    try:
        sound = copy.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        revisions = {row[0] for row in copy.execute("SELECT version_num FROM alembic_version")}
        copy.execute("SELECT 1 FROM journal_marks, rollups_hourly, calls LIMIT 1")
    except sqlite3.Error as error:
        raise Fault(Kind.INVALID, f"{source} is no database of Tollkeeper: {error}", hint=hint) from error
    if not sound:
        raise Fault(Kind.INVALID, f"{source} is damaged", hint=hint)
    if not revisions or not revisions <= known_revisions():
        named = ", ".join(sorted(revisions)) or "none"
        raise Fault(Kind.INVALID, f"{source} is of a revision that this version does not know ({named})", hint=hint)


def _require_alone(database: sqlite3.Connection, path: Path) -> None:
    """Take the database for ourselves; SQLite refuses while another connection has it open."""
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        message = f"the database at {path} is in use"
        raise Fault(Kind.CONFLICT, message, hint="stop the server and every other command first") from error


@contextmanager
def _stated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Fault(Kind.UNAVAILABLE, f"the database at {path} cannot be used: {error}") from error
