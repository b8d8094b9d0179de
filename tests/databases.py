"""Databases of the current schema for tests, made once and copied."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.storage.engine import Database, upgrade


def url_of(path: Path) -> str:
    """The URL of a file."""
    return f"sqlite+aiosqlite:///{path}"


def new_database(folder: Path) -> str:
    """The URL of a new, empty database in this folder."""
    path = folder / "tollkeeper.db"
    path.write_bytes(_empty_database())
    return url_of(path)


@asynccontextmanager
async def opened(url: str, *, read_only: bool = False) -> AsyncIterator[Database]:
    """A database, open for the length of a block."""
    db = Database(url, read_only=read_only)
    try:
        await db.connect()
        yield db
    finally:
        await db.close()


@cache
def _empty_database() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        upgrade(url_of(path))
        return path.read_bytes()
