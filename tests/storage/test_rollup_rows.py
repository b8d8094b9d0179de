"""Rollups as rows: nothing is lost on the way to SQL and back."""

from hypothesis import given

from gateway.core.calls import CallRecord
from gateway.core.rollups import Rollup
from gateway.storage.ledger_rows import CALL_COLUMNS, rows_of
from gateway.storage.rollup_rows import (
    FIGURE_COLUMNS,
    ROLLUP_COLUMNS,
    adder,
    merge_stored,
    rollup_row,
    stored_rollup,
)
from tests.storage.calls import HOUR_US, START_US, a_call, several_calls

add_up = adder(CALL_COLUMNS)


@given(several_calls())
def test_rows_and_back(records: list[CallRecord]) -> None:
    for key, sums in add_up(rows_of(records).calls).items():
        row = rollup_row(key, sums)
        assert len(row) == len(ROLLUP_COLUMNS)
        assert stored_rollup(row) == (key, sums)


@given(several_calls(), several_calls())
def test_what_is_stored_is_added(some: list[CallRecord], others: list[CallRecord]) -> None:
    stored = add_up(rows_of(some).calls)
    fresh = add_up(rows_of(others).calls)
    common = [rollup_row(key, sums) for key, sums in stored.items() if key in fresh]
    merge_stored(fresh, common)
    together = add_up(rows_of(some + others).calls)
    assert fresh == {key: together[key] for key in fresh}


def test_the_ledger_and_the_reports_read_the_same_figures() -> None:
    (row,) = rows_of([a_call(1)]).calls
    selected = tuple(row[CALL_COLUMNS.index(name)] for name in FIGURE_COLUMNS)
    assert add_up([row]) == adder(FIGURE_COLUMNS)([selected])


def test_a_call_belongs_to_the_hour_of_its_start() -> None:
    calls = [a_call(1, at_us=START_US - 1), a_call(2, at_us=START_US), a_call(3, at_us=START_US + HOUR_US - 1)]
    hours = {key.hour_us: sums.calls for key, sums in add_up(rows_of(calls).calls).items()}
    assert hours == {START_US - HOUR_US: 1, START_US: 2}


def test_an_empty_distribution_is_null() -> None:
    (row,) = rows_of([a_call(1)]).calls
    (key,) = add_up([row])
    assert rollup_row(key, Rollup(calls=1))[-3:] == (None, None, None)
