"""Many rows into one table by few statements in the driver's own words: the fast way in.

Rows are positional tuples; what they mean is not known here. Two costs of the driver for SQLite decide the form:
it gives up and takes back the interpreter's lock for every row that it carries out, which beside a busy event loop
costs more than the row itself, so a statement carries many rows; and it takes ten times as long to bind a null as a
number, so columns that are null in every row are left out.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, compress, cycle
from typing import NamedTuple, TypeAlias

from sqlalchemy import Insert
from sqlalchemy.dialects import sqlite

Values: TypeAlias = tuple[object, ...]

ROWS_AT_ONCE = 25


class BulkStatement(NamedTuple):
    """A statement of the driver and the positional parameters of each of its runs."""

    text: str
    parameters: list[Values]


class BulkInsert:
    """An insertion, and the columns that its rows are values of, in order."""

    def __init__(self, statement: Insert, columns: Sequence[str]) -> None:
        self._statement = statement
        self._columns = tuple(columns)

    def of(self, rows: Sequence[Values]) -> list[BulkStatement]:
        """What puts these rows into the table."""
        given = [column[0] is not None or column.count(None) < len(column) for column in zip(*rows, strict=True)]
        columns = tuple(compress(self._columns, given))
        rest = len(rows) % ROWS_AT_ONCE
        chunks = [rows[start : start + ROWS_AT_ONCE] for start in range(rest, len(rows), ROWS_AT_ONCE)]
        parts = ((rest, [rows[:rest]] if rest else []), (ROWS_AT_ONCE, chunks))
        return [
            BulkStatement(_text(self._statement, columns, size), [_joined(some, given) for some in runs])
            for size, runs in parts
            if runs
        ]


def _joined(rows: Sequence[Values], given: Sequence[bool]) -> Values:
    return tuple(compress(chain.from_iterable(rows), cycle(given)))


@lru_cache(maxsize=512)
def _text(statement: Insert, columns: tuple[str, ...], rows: int) -> str:
    """The statement for so many rows of these columns."""
    one_row = str(statement.compile(dialect=sqlite.dialect(), column_keys=list(columns)))
    places = f"({', '.join('?' * len(columns))})"
    return one_row.replace(f"VALUES {places}", f"VALUES {', '.join([places] * rows)}", 1)
