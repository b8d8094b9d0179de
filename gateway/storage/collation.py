"""Whether a database sorts call ids as bytes are sorted, which is what partitions by month stand on.

Ids are lower-case hexadecimal digits with dashes at the same places. Most languages sort them as bytes, some do not:
Danish has `aa` behind `z`, Welsh `dd` behind `de`, and a collation may take digits for numbers.
"""

from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import Connection, text

_sorted = text(
    "WITH digits AS (SELECT to_hex(number) AS digit FROM generate_series(0, 15) AS number)"
    " SELECT a.digit || b.digit || '-' || c.digit AS word FROM digits a, digits b, digits c ORDER BY word"
)
_name = text("SELECT datcollate FROM pg_database WHERE datname = current_database()")


def misplaced(words: Sequence[str]) -> tuple[str, str] | None:
    """The first two neighbours that bytes would have the other way round."""
    return next(((one, other) for one, other in pairwise(words) if one > other), None)


def trouble(connection: Connection) -> str | None:
    """What is wrong with the order, one sentence; null if nothing is."""
    if connection.dialect.name == "sqlite":
        return None
    wrong = misplaced(connection.scalars(_sorted).all())
    if wrong is None:
        return None
    one, other = wrong
    name = connection.scalar(_name)
    return f"the database's collation {name} sorts {one!r} before {other!r}, so that months are no ranges of call ids"
