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


def trouble(connection: Connection) -> str | None:
    """What is wrong with the order, one sentence; null if nothing is."""
    if connection.dialect.name == "sqlite":
        return None
    return misplaced(connection.scalars(_sorted).all(), connection.scalar(_name))


def misplaced(words: Sequence[str], collation: str | None) -> str | None:
    """A sentence about the first two neighbours that bytes would have the other way round."""
    for one, other in pairwise(words):
        if one > other:
            return f"its collation {collation} sorts {one} before {other}, so that a month is no range of call ids"
    return None
