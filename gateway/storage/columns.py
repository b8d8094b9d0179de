"""The kinds of columns that the tables are made of, so that a unit is spelled in one way.

A name that ends in `_us` is microseconds (a time: since 1970 UTC), in `_nano` nano-dollars, in `_ms` milliseconds.
"""

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, Text

from gateway.core.usage import BUCKETS


def number(name: str, *, nullable: bool = True) -> Column[int]:
    """A count, a time or an amount, 64 bits."""
    return Column(name, BigInteger, nullable=nullable)


def serial(name: str) -> Column[int]:
    """The primary key that the database hands out, growing."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def words(name: str, *, nullable: bool = True, primary_key: bool = False) -> Column[str]:
    """Text of any length; JSON too, as text."""
    return Column(name, Text, nullable=nullable and not primary_key, primary_key=primary_key)


def measured(name: str) -> Column[float]:
    """A measurement; null where there was nothing to measure."""
    return Column(name, Double, nullable=True)


def sketch(name: str) -> Column[bytes]:
    """A distribution (`core.sketch`) as bytes; null where it is empty."""
    return Column(name, LargeBinary, nullable=True)


def usage_buckets() -> Iterable[Column[int]]:
    """One count per usage bucket; null where nobody told us."""
    return [number(bucket) for bucket in BUCKETS]
