"""Many rows into one table by few statements in the driver's own words: the fast way in.

Rows are positional tuples; what they mean is not known here. Two costs of the driver for SQLite decide the form there:
it gives up and takes back the interpreter's lock for every row that it carries out, which beside a busy event loop
costs more than the row itself, so a statement carries many rows; and it takes ten times as long to bind a null as a
number, so columns that are null in every row are left out. PostgreSQL is given whole tables by COPY, half the work of
its quickest INSERT, written here because this runs in a thread and the driver does not.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain, compress, cycle
from typing import NamedTuple, TypeAlias

from sqlalchemy import URL, Dialect, Table
from sqlalchemy.dialects import sqlite

from gateway.storage.address import DialectName
from gateway.storage.lean import Insert, insert

Values: TypeAlias = tuple[object, ...]

ROWS_AT_ONCE = 25

_SQLITE = sqlite.dialect()


class BulkStatement(NamedTuple):
    """A statement of the driver and the positional parameters of each of its runs, or the rows of a COPY."""

    text: str
    parameters: list[Values]
    data: bytes | None = None


class BulkInsert:
    """An insertion, and the columns that its rows are values of, in order.

    With `unique`, the columns of a key, a row takes the place of the one that has the same key.
    """

    def __init__(self, table: Table, columns: Sequence[str], unique: Sequence[str] = ()) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._insert = insert(table)
        self._upsert = bool(unique)
        if unique:
            # Both databases read this clause; SQLite has it from PostgreSQL.
            others = {name: self._insert.excluded[name] for name in columns if name not in unique}
            self._insert = self._insert.on_conflict_do_update(index_elements=unique, set_=others)

    def of(self, rows: Sequence[Values], dialect: DialectName) -> list[BulkStatement]:
        """What puts these rows into the table."""
        if not rows:
            return []
        if dialect == "sqlite":
            return self._for_sqlite(rows)
        if self._upsert:
            return [BulkStatement(_postgres_text(self._insert, self._columns), list(rows))]
        return [BulkStatement(_copy_text(self._table, self._columns), [], copy_data(rows))]

    def _for_sqlite(self, rows: Sequence[Values]) -> list[BulkStatement]:
        given = [column[0] is not None or column.count(None) < len(column) for column in zip(*rows, strict=True)]
        columns = tuple(compress(self._columns, given))
        rest = len(rows) % ROWS_AT_ONCE
        chunks = [rows[start : start + ROWS_AT_ONCE] for start in range(rest, len(rows), ROWS_AT_ONCE)]
        parts = ((rest, [rows[:rest]] if rest else []), (ROWS_AT_ONCE, chunks))
        return [
            BulkStatement(_sqlite_text(self._insert, columns, size), [_joined(some, given) for some in runs])
            for size, runs in parts
            if runs
        ]


def _joined(rows: Sequence[Values], given: Sequence[bool]) -> Values:
    values = chain.from_iterable(rows)
    return tuple(values if all(given) else compress(values, cycle(given)))


@lru_cache(maxsize=512)
def _sqlite_text(statement: Insert, columns: tuple[str, ...], rows: int) -> str:
    """The statement for so many rows of these columns."""
    places = f"({', '.join('?' * len(columns))})"
    return _of_one_row(statement, columns).replace(f"VALUES {places}", f"VALUES {', '.join([places] * rows)}", 1)


@lru_cache(maxsize=64)
def _of_one_row(statement: Insert, columns: tuple[str, ...]) -> str:
    """Apart from the number of rows, which is another in every batch: this takes a thousand times as long."""
    return str(statement.compile(dialect=_SQLITE, column_keys=list(columns)))


@lru_cache(maxsize=1)
def _psycopg() -> Dialect:
    """Asked for beside PostgreSQL only, where it is imported already."""
    of_driver: Callable[..., Dialect] = URL.create("postgresql+psycopg").get_dialect()
    return of_driver(paramstyle="format")


@lru_cache(maxsize=64)
def _postgres_text(statement: Insert, columns: tuple[str, ...]) -> str:
    """The statement for one row of these columns; the driver prepares it and sends many at once."""
    return str(statement.compile(dialect=_psycopg(), column_keys=list(columns)))


@lru_cache(maxsize=64)
def _copy_text(table: Table, columns: tuple[str, ...]) -> str:
    quoted = _psycopg().identifier_preparer.quote
    return f"COPY {quoted(table.name)} ({', '.join(map(quoted, columns))}) FROM STDIN"


_SPECIAL = str.maketrans({"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"})
_WRITTEN: dict[type, Callable[..., str]] = {
    type(None): lambda _: "\\N",
    int: str,
    float: repr,
    str: lambda value: value if value.isprintable() and "\\" not in value else value.translate(_SPECIAL),
    bytes: lambda value: "\\\\x" + value.hex(),
}


def copy_data(rows: Sequence[Values]) -> bytes:
    """Rows in the text format of COPY. Raises `ValueError` (a lone surrogate), `TypeError`."""
    written = _WRITTEN
    try:
        lines = ["\t".join([written[type(value)](value) for value in row]) for row in rows]
    except KeyError as error:
        raise TypeError(f"no column holds a value of the type {error}") from None
    return ("\n".join(lines) + "\n").encode()
