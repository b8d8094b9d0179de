"""Kinds of columns: what is required, what may be unknown."""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer
from sqlalchemy.dialects import sqlite

from gateway.core.usage import BUCKETS
from gateway.storage.columns import measured, number, serial, sketch, usage_buckets, words


def test_counts_and_money_have_64_bits() -> None:
    assert isinstance(number("cost_nano").type, BigInteger)


def test_a_serial_is_handed_out_by_the_database() -> None:
    column = serial("seq")
    assert column.primary_key
    assert isinstance(column.type.dialect_impl(sqlite.dialect()), Integer)


def test_unknown_is_null_unless_a_column_says_otherwise() -> None:
    """Known fault 13: there is room for unknown, so that nobody has to write 0."""
    columns: list[Column[Any]] = [number("a"), words("a"), measured("a"), sketch("a"), *usage_buckets()]
    assert all(column.nullable for column in columns)
    assert not number("a", nullable=False).nullable
    assert not words("a", primary_key=True).nullable


def test_every_bucket_has_a_column() -> None:
    assert tuple(column.name for column in usage_buckets()) == BUCKETS
