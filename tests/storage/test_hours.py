"""One hour of the ledger against its sums."""

from pathlib import Path

import pytest

from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.hours import difference, hour_differs, next_hour
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.ledger_rows import CALL_COLUMNS, rows_of
from gateway.storage.rollup_rows import adder, rollup_row
from tests.databases import Operator
from tests.storage.calls import HOUR_US, START_US, a_call, with_facts

add_up = adder(CALL_COLUMNS)


def test_a_difference_is_what_would_mend_it() -> None:
    counted = add_up(rows_of([a_call(1), with_facts(a_call(2), team="blue")]).calls)
    (first, first_sums), (second, second_sums) = counted.items()
    right = {first: rollup_row(first, first_sums), second: rollup_row(second, second_sums)}
    assert not difference(counted, right)
    wrong = difference({first: first_sums}, right)
    assert (list(wrong.rows), list(wrong.surplus)) == ([], [second])
    wrong = difference(counted, {first: right[first]})
    assert (list(wrong.rows), list(wrong.surplus)) == ([right[second]], [])
    assert difference(counted, {**right, second: (*right[second][:-1], b"other")}).rows == [right[second]]


@pytest.mark.anyio
async def test_hours_are_met_one_after_the_other_whoever_has_them(db: Database, sql: Operator) -> None:
    records = [a_call(n, at_us=START_US + n * 5 * HOUR_US + 7) for n in range(3)]
    await Ledger(db, DeadLetters(Path("never written"))).append("j", records, Mark(1, 1))
    sql.run("UPDATE rollups_hourly SET hour_us = hour_us + :more WHERE hour_us = :hour", more=HOUR_US, hour=START_US)
    met, from_us = [], 0
    async with db.read() as session:
        while (hour := await next_hour(session, from_us)) is not None:
            met.append(((hour - START_US) // HOUR_US, await hour_differs(session, hour)))
            from_us = hour + HOUR_US
    assert met == [(0, True), (1, True), (5, False), (10, False)]
