"""Bulk insertion: every row arrives, whatever its number and its nulls."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text

from gateway.storage.bulk import ROWS_AT_ONCE, BulkInsert, Values, copy_data
from tests.postgres_server import PostgresServer

notes = Table("notes", MetaData(), Column("a", Text), Column("b", Integer), Column("end", Integer, primary_key=True))
INSERTION = BulkInsert(notes, notes.c.keys())

values = st.none() | st.integers(0, 9)


@given(st.lists(st.tuples(st.just("x"), values, values), max_size=3 * ROWS_AT_ONCE))
def test_every_row_arrives(rows: list[Values]) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE notes (a, b, 'end')")
        for statement in INSERTION.of(rows, "sqlite"):
            db.executemany(statement.text, statement.parameters)
        assert db.execute("SELECT * FROM notes ORDER BY rowid").fetchall() == rows


def test_many_rows_take_few_runs() -> None:
    statements = INSERTION.of([("x", number, 0) for number in range(500)], "sqlite")
    assert sum(len(statement.parameters) for statement in statements) == 500 // ROWS_AT_ONCE


def test_columns_that_are_null_throughout_are_left_out() -> None:
    (statement,) = INSERTION.of([("x", None, 1), ("y", None, None)], "sqlite")
    assert statement.text == 'INSERT INTO notes (a, "end") VALUES (?, ?), (?, ?)'
    assert statement.parameters == [("x", 1, "y", None)]


def test_no_rows_are_no_statements() -> None:
    assert INSERTION.of([], "sqlite") == INSERTION.of([], "postgresql") == []


def test_postgresql_is_given_a_whole_table_at_once() -> None:
    (statement,) = INSERTION.of([("x\t\\y", None, 1), ("z", 2, 3)], "postgresql")
    assert statement.text == 'COPY notes (a, b, "end") FROM STDIN'
    assert statement.data == b"x\\t\\\\y\t\\N\t1\nz\t2\t3\n"


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_row_takes_the_place_of_the_one_with_its_key(dialect: str) -> None:
    (statement,) = BulkInsert(notes, notes.c.keys(), unique=["end"]).of(
        [("x", 1, 2)], "sqlite" if dialect == "sqlite" else "postgresql"
    )
    assert statement.text.endswith('ON CONFLICT ("end") DO UPDATE SET a = excluded.a, b = excluded.b')
    assert statement.parameters == [("x", 1, 2)]


@pytest.fixture(scope="module")
def kept(postgres: PostgresServer) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(postgres.url("postgres").replace("+psycopg", "")) as connection:
        columns = "number serial, t text, i bigint, f float8, b bytea"
        connection.execute(f"CREATE TEMPORARY TABLE kept ({columns})")
        yield connection


# Everything that PostgreSQL can hold: NUL and lone surrogates are what it cannot.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.none() | texts | st.sampled_from(["\\N", "\\.", "", "\\", "a\\tb"]),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.binary(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_value_survives_a_copy(kept: "psycopg.Connection[tuple[object, ...]]", rows: list[Values]) -> None:
    kept.execute("DELETE FROM kept")
    with kept.cursor() as cursor, cursor.copy("COPY kept (t, i, f, b) FROM STDIN") as copy:
        copy.write(copy_data(rows))
    assert kept.execute("SELECT t, i, f, b FROM kept ORDER BY number").fetchall() == rows


def test_what_no_column_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        copy_data([("\ud800",)])
    with pytest.raises(TypeError, match="no column holds"):
        copy_data([(object(),)])
    assert copy_data([(math.inf,)]) == b"inf\n"
