"""Bulk insertion: every row arrives, whatever its number and its nulls."""

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert

from gateway.storage.bulk import ROWS_AT_ONCE, BulkInsert

notes = Table("notes", MetaData(), Column("a", Text), Column("b", Integer), Column("c", Integer))
INSERTION = BulkInsert(insert(notes), notes.c.keys())

values = st.none() | st.integers(0, 9)


@given(st.lists(st.tuples(st.just("x"), values, values), max_size=3 * ROWS_AT_ONCE))
def test_every_row_arrives(rows: list[tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE notes (a, b, c)")
        for text, parameters in INSERTION.of(rows):
            db.executemany(text, parameters)
        assert db.execute("SELECT * FROM notes ORDER BY rowid").fetchall() == rows


def test_many_rows_take_few_runs() -> None:
    statements = INSERTION.of([("x", number, 0) for number in range(500)])
    assert sum(len(statement.parameters) for statement in statements) == 500 // ROWS_AT_ONCE


def test_columns_that_are_null_throughout_are_left_out() -> None:
    (statement,) = INSERTION.of([("x", None, 1), ("y", None, None)])
    assert statement.text == "INSERT INTO notes (a, c) VALUES (?, ?), (?, ?)"
    assert statement.parameters == [("x", 1, "y", None)]


def test_no_rows_are_no_statements() -> None:
    assert INSERTION.of([]) == []
