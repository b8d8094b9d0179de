"""What a database URL means: which file, opened by which driver.

Knows the forms of a URL and nothing about what is stored behind it.
"""

from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.core.errors import Fault, Kind, not_in_this_version

_FORM = "write it as sqlite+aiosqlite:///FOLDER/tollkeeper.db"


def sqlite_path(url: str) -> Path:
    """The file behind `sqlite+aiosqlite:///PATH`.

    Raises `Fault`: unsupported for PostgreSQL, invalid for anything else that is not a file of SQLite.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Fault(Kind.INVALID, "the database URL cannot be read", hint=_FORM, param="database.url") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        raise not_in_this_version("PostgreSQL databases")
    if backend != "sqlite":
        raise Fault(Kind.INVALID, f"{backend} is not a known database", hint=_FORM, param="database.url")
    if not parsed.database or parsed.database == ":memory:":
        raise Fault(Kind.INVALID, "the database needs a file", hint=_FORM, param="database.url")
    return Path(parsed.database)


def driver_url(path: Path, *, driver: str, create: bool = False) -> URL:
    """The URL that opens a file with one of SQLAlchemy's drivers for SQLite, and makes it only with `create`."""
    if create:
        return URL.create(f"sqlite+{driver}", database=str(path))
    query = {"mode": "rw", "uri": "true"}
    return URL.create(f"sqlite+{driver}", database=f"file:{quote(str(path.absolute()))}", query=query)
