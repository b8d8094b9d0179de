"""The ledger: every call once, with its sums and the journal's mark, in one transaction."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.core.calls import CallRecord, Charge, End
from gateway.core.errors import Fault, Kind
from gateway.core.usage import Usage
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.reports import Reports
from tests.databases import Operator, opened
from tests.storage.calls import START_US, a_call, an_attempt, call_id, with_facts

NOW = START_US + 1


@pytest.fixture
def ledger(db: Database, tmp_path: Path) -> Ledger:
    return Ledger(db, DeadLetters(tmp_path / "journal"), lambda: NOW)


def dead_letters(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "journal" / "dead-letter.jsonl").read_text().splitlines()]


@pytest.mark.anyio
async def test_a_call_is_kept_to_the_last_field(db: Database, ledger: Ledger) -> None:
    record = a_call(1, attempts=[an_attempt(0, cost_nano=None), an_attempt(1)])
    assert len(await ledger.append("j", [record], Mark(1, 10))) == 1
    stored = await Reports(db).call(call_id(1))
    assert stored is not None
    assert stored.facts == record.facts
    assert stored.attempts == record.attempts
    assert stored.timings == record.timings
    told = ("end", "status", "error", "cache", "target", "provider", "usage", "usage_basis", "price_book", "ended_us")
    for field in (*told, "cost_nano", "cost_at_least_nano"):
        assert getattr(stored, field) == getattr(record, field), field
    assert (stored.avoided_nano, stored.reserve_nano, stored.held_nano) == (0, 0, 0)


@pytest.mark.anyio
async def test_a_call_without_attempts_leaves_a_row_that_cost_nothing(db: Database, ledger: Ledger) -> None:
    refused = replace(a_call(1, attempts=[]), end=End.REFUSED, status=404, error="model_not_found: no such model")
    await ledger.append("j", [refused], Mark(1, 10))
    stored = await Reports(db).call(call_id(1))
    assert stored is not None
    assert (stored.cost_nano, stored.target, stored.attempts, stored.usage) == (0, None, (), Usage())


@pytest.mark.anyio
async def test_a_call_comes_in_once(ledger: Ledger, sql: Operator) -> None:
    first, second, third = a_call(1), a_call(2), a_call(3)
    assert len(await ledger.append("j", [first, second, first], Mark(1, 10))) == 2
    assert len(await ledger.append("j", [second, third], Mark(1, 20))) == 1
    assert len(await ledger.append("other", [first, second, third], Mark(1, 20))) == 0
    assert sql.count("calls") == sql.count("attempts") == 3
    assert sql.rows("SELECT sum(calls), sum(cost_nano) FROM rollups_hourly") == [(3, 4_800_000)]


@pytest.mark.anyio
async def test_the_mark_moves_with_the_rows(ledger: Ledger) -> None:
    assert await ledger.mark("j") == Mark(0, 0)
    await ledger.append("j", [a_call(1)], Mark(1, 10))
    assert await ledger.mark("j") == Mark(1, 10)
    await ledger.append("j", [], Mark(2, 0))
    assert await ledger.mark("j") == Mark(2, 0)
    await ledger.append("another", [], Mark(3, 0))
    await ledger.forget(["j", "never seen"])
    assert await ledger.mark("j") == Mark(0, 0)
    assert await ledger.mark("another") == Mark(3, 0)


@pytest.mark.anyio
async def test_a_database_that_fails_takes_nothing(ledger: Ledger, sql: Operator) -> None:
    """Known faults 52, 53: what is not committed is not lost, whatever the failure was."""
    sql.run("ALTER TABLE rollups_hourly RENAME TO gone")
    with pytest.raises(Fault) as failure:
        await ledger.append("j", [a_call(1)], Mark(1, 10))
    assert failure.value.kind is Kind.UNAVAILABLE
    assert sql.count("calls") == sql.count("attempts") == sql.count("journal_marks") == 0
    assert ledger.dead_letters == 0
    sql.run("ALTER TABLE gone RENAME TO rollups_hourly")
    assert len(await ledger.append("j", [a_call(1)], Mark(1, 10))) == 1


@pytest.mark.anyio
async def test_a_row_that_sql_refuses_holds_nobody_up(ledger: Ledger, sql: Operator, tmp_path: Path) -> None:
    """Known fault 52: bad rows go to a dead letter with a count."""
    monstrous = replace(an_attempt(), usage=Usage(input=2**70))
    records = [a_call(1), a_call(2, attempts=[monstrous]), a_call(3)]
    assert len(await ledger.append("j", records, Mark(1, 10))) == 2
    assert sql.rows("SELECT id FROM calls ORDER BY id") == [(call_id(1),), (call_id(3),)]
    assert sql.one("SELECT sum(calls) FROM rollups_hourly") == 2
    assert await ledger.mark("j") == Mark(1, 10)
    (letter,) = dead_letters(tmp_path)
    assert re.search("too large|out of range", str(letter["reason"]))
    assert letter["at_us"] == NOW
    assert call_id(2) in json.dumps(letter["record"])
    assert ledger.dead_letters == DeadLetters(tmp_path / "journal").count == 1


@pytest.mark.anyio
async def test_some_refused_among_many_are_found_wherever_they_are(ledger: Ledger, sql: Operator) -> None:
    """Known fault 52: the rest of a large batch arrives, and at once."""
    monstrous = replace(an_attempt(), usage=Usage(input=2**70))
    odd = {0, 1, 500, 998, 999}
    records = [a_call(number, attempts=[monstrous] if number in odd else None) for number in range(1000)]
    assert len(await ledger.append("j", records, Mark(1, 10))) == 995
    assert sql.count("calls") == sql.one("SELECT sum(calls) FROM rollups_hourly") == 995
    assert ledger.dead_letters == len(odd)


@pytest.mark.anyio
async def test_two_charges_for_one_bucket_are_refused(ledger: Ledger, sql: Operator, tmp_path: Path) -> None:
    """Known fault 16: no bucket is charged twice."""
    twice = replace(an_attempt(), charges=(Charge(0, "input", 1, "2", 2), Charge(0, "input", 1, "2", 2)))
    assert len(await ledger.append("j", [a_call(1, attempts=[twice])], Mark(1, 10))) == 0
    assert sql.count("calls") == sql.count("attempts") == sql.count("charges") == 0
    assert "unique" in str(dead_letters(tmp_path)[0]["reason"]).lower()


@pytest.mark.anyio
async def test_a_sum_that_no_column_holds_stops_only_the_call_that_makes_it(ledger: Ledger, tmp_path: Path) -> None:
    huge = replace(an_attempt(), usage=Usage(input=2**62))
    assert len(await ledger.append("j", [a_call(1, attempts=[huge]), a_call(2, attempts=[huge])], Mark(1, 10))) == 1
    assert len(await ledger.append("j", [a_call(3)], Mark(1, 20))) == 1
    assert len(dead_letters(tmp_path)) == 1


@pytest.mark.anyio
async def test_text_that_sql_cannot_hold_is_mended(db: Database, ledger: Ledger) -> None:
    torn = with_facts(a_call(1), model="fast\ud800", labels={"feature": "\udfff"})
    assert len(await ledger.append("j", [torn], Mark(1, 10))) == 1
    stored = await Reports(db).call(call_id(1))
    assert stored is not None
    assert stored.facts.model == "fast?"
    assert ledger.dead_letters == 0


@pytest.mark.anyio
async def test_a_dead_letter_that_cannot_be_written_stops_the_batch(
    ledger: Ledger, sql: Operator, tmp_path: Path
) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    monstrous = replace(an_attempt(), usage=Usage(input=2**70))
    with pytest.raises(Fault) as failure:
        await ledger.append("j", [a_call(1), a_call(2, attempts=[monstrous])], Mark(1, 10))
    assert failure.value.kind is Kind.UNAVAILABLE
    assert sql.count("calls") == sql.count("journal_marks") == 0


@pytest.mark.anyio
async def test_several_writers_at_once_lose_nothing(database_url: str, sql: Operator, tmp_path: Path) -> None:
    """Known fault 54: deadlocks lost increments; here writers of the same sums follow one another."""
    teams = ["blue", "green", "red"]

    async def write(writer: int) -> int:
        async with opened(database_url) as db:
            ledger = Ledger(db, DeadLetters(tmp_path / "journal"))
            new = 0
            for batch in range(8):
                first = (writer * 8 + batch) * 10
                # Each writer meets the same sums in an order of its own.
                records = [with_facts(a_call(first + n), team=teams[(n + writer) % 3]) for n in range(9)]
                new += len(await ledger.append(f"j{writer}", [*records, a_call(10_000 + batch)], Mark(1, batch)))
            return new

    assert sum(await asyncio.gather(*map(write, range(4)))) == 4 * 8 * 9 + 8
    assert sql.count("calls") == 4 * 8 * 9 + 8
    summed = "SELECT team, sum(calls), sum(cost_nano) FROM rollups_hourly GROUP BY team ORDER BY team"
    counted = "SELECT team, count(*), sum(cost_nano) FROM calls GROUP BY team ORDER BY team"
    assert sql.rows(summed) == sql.rows(counted)
    assert sql.rows("SELECT journal, segment FROM journal_marks ORDER BY journal") == [(f"j{n}", 1) for n in range(4)]


@pytest.mark.anyio
async def test_who_follows_along_misses_no_writer(database_url: str, tmp_path: Path) -> None:
    """Numbers are given in the order in which rows become visible, however many give them."""
    seen: list[str] = []

    async def write(writer: int) -> None:
        async with opened(database_url) as db:
            for batch in range(10):
                records = [a_call(writer * 100 + batch * 10 + n) for n in range(5)]
                await Ledger(db, DeadLetters(tmp_path / "journal")).append(f"j{writer}", records, Mark(1, batch))

    async with opened(database_url) as db, asyncio.TaskGroup() as writers, asyncio.timeout(30):
        for writer in range(3):
            writers.create_task(write(writer))
        seq = 0
        while len(seen) < 150:
            for call in await Reports(db).calls_after(seq):
                seen.append(call.facts.id)
                seq = call.seq
    assert len(set(seen)) == 150


@pytest.mark.anyio
async def test_large_batches_of_every_shape_come_in_whole(ledger: Ledger, sql: Operator) -> None:
    def record(number: int) -> CallRecord:
        tries = [an_attempt(index, cost_nano=None if number % 3 else 5) for index in range(number % 3)]
        return with_facts(a_call(number, attempts=tries), team=None if number % 2 else f"team-{number}")

    records = [record(number) for number in range(777)]
    assert len(await ledger.append("j", records, Mark(1, 10))) == 777
    assert sql.count("calls") == 777
    assert sql.count("attempts") == sum(len(record.attempts) for record in records)
    assert sql.count("charges") == sum(len(record.charges) for record in records)
    assert sql.one("SELECT sum(calls) FROM rollups_hourly") == 777


@pytest.mark.anyio
async def test_the_charges_of_a_call_add_up_to_its_cost(ledger: Ledger, sql: Operator) -> None:
    """Known fault 31: totals must equal the sum of their parts."""
    await ledger.append("j", [a_call(number) for number in range(3)], Mark(1, 10))
    assert sql.one("SELECT sum(amount_nano) FROM charges") == sql.one("SELECT sum(cost_nano) FROM calls") == 4_800_000


def test_an_attempt_belongs_to_a_call(sql: Operator) -> None:
    if sql.dialect == "sqlite":
        sql.run("PRAGMA foreign_keys = ON")
    with pytest.raises(IntegrityError):
        sql.run("INSERT INTO charges VALUES ('nobody', 0, 'input', 1, '2', 2)")
