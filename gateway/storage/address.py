"""What a database URL means: which file or which server, opened by which driver.

Knows the forms of a URL and nothing about what is stored behind it. Repeats no URL: one may hold a password.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.core.errors import Fault, Kind

_FORM = "write it as sqlite+aiosqlite:///FOLDER/tollkeeper.db or postgresql+psycopg://USER@HOST/NAME"

DialectName: TypeAlias = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """`sqlite+aiosqlite:///PATH`."""

    path: Path

    def __str__(self) -> str:
        return f"the database at {self.path}"

    def url(self, *, driver: str, create: bool = False) -> URL:
        """Opens the file with one of SQLAlchemy's drivers for SQLite, and makes it only with `create`."""
        if create:
            return URL.create(f"sqlite+{driver}", database=str(self.path))
        query = {"mode": "rw", "uri": "true"}
        return URL.create(f"sqlite+{driver}", database=f"file:{quote(str(self.path.absolute()))}", query=query)


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """`postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME`; what is left out is libpq's default."""

    url: URL = field(repr=False)

    def __str__(self) -> str:
        hosts = self.url.host or self.url.query.get("host") or ""
        host = hosts if isinstance(hosts, str) else ", ".join(hosts)
        if not host:
            return f"the database {self.url.database}"
        return f"the database {self.url.database} at {host}" + (f":{self.url.port}" if self.url.port else "")


Address: TypeAlias = SqliteFile | PostgresDatabase


def address_of(url: str) -> Address:
    """The database behind a URL. Raises `Fault`: invalid if there is none of a kind that we know."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise Fault(Kind.INVALID, "the database URL cannot be read", hint=_FORM, param="database.url") from None
    if parsed.drivername in ("postgresql+psycopg", "postgresql"):
        if not parsed.database:
            raise Fault(Kind.INVALID, "the database URL names no database", hint=_FORM, param="database.url")
        return PostgresDatabase(parsed.set(drivername="postgresql+psycopg"))
    if parsed.get_backend_name() != "sqlite":
        message = f"{parsed.drivername} is not a known database"
        raise Fault(Kind.INVALID, message, hint=_FORM, param="database.url")
    if not parsed.database or parsed.database == ":memory:":
        raise Fault(Kind.INVALID, "the database needs a file", hint=_FORM, param="database.url")
    return SqliteFile(Path(parsed.database))
