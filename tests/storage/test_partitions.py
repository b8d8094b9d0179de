"""Months on PostgreSQL: there before they are needed, whole when they go; nothing is refused, nothing counted twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.core.calls import CallRecord
from gateway.core.errors import Fault, Kind
from gateway.proxy.ids import new_id
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, current, differences, head, upgrade
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.partitions import AHEAD, Months, drop, first_id, month, partitions
from gateway.storage.reports import Reports
from gateway.storage.retention import Progress, Retention, kept_since
from tests.databases import Operator, opened, operator
from tests.postgres_server import PostgresServer
from tests.storage.calls import a_call, an_attempt, with_facts

TABLES = ("calls", "attempts", "charges", "corrections")


def at(year: int, month: int, day: int = 1, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * 1_000_000


def call_at(us: int, call_id: str | None = None) -> CallRecord:
    """A call with the id that it would have had."""
    record = a_call(at_us=us, attempts=[an_attempt(0), an_attempt(1)])
    return with_facts(record, id=new_id(us) if call_id is None else call_id)


async def append(db: Database, records: Sequence[CallRecord]) -> int:
    return len(await Ledger(db, DeadLetters(Path("never written"))).append("j", records, Mark(1, 1)))


async def prune(db: Database, before_us: int, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> Progress:
    return [progress async for progress in Retention(db, pause=pause).prune(before_us, "cli:me")][-1]


async def names(db: Database) -> list[str]:
    async with db.read() as session:
        return [one.name for one in await partitions(session)]


async def months(db: Database, *moments: int) -> None:
    for us in moments:
        await Months(db, lambda us=us: us).make()  # type: ignore[misc]  # the lambda has a default


def correct(sql: Operator, call_id: str) -> None:
    """A correction that changes no sum."""
    fields = "call_id, made_us, actor, reason, delta_nano, cost_nano"
    sql.run(f"INSERT INTO corrections ({fields}) VALUES (:id, 1, 'a', 'r', 0, 3200000)", id=call_id)  # noqa: S608


def in_each(sql: Operator, name: str) -> list[int]:
    return [sql.count(f"{table}_{name}") for table in TABLES]


def just_now(hours_ago: int = 0) -> int:
    return int(datetime.now(UTC).timestamp() - hours_ago * 3600) * 1_000_000


async def filled(url: str) -> list[CallRecord]:
    """Some calls as they come, one of an odd id and one from a clock that is far ahead; each corrected."""
    records = [
        *(call_at(just_now(hours_ago)) for hours_ago in (2000, 2, 0)),
        call_at(just_now(), "zz"),
        call_at(just_now(), new_id(at(2100, 1))),
    ]
    async with opened(url) as db:
        await append(db, records)
    with operator(url) as sql:
        for record in records:
            correct(sql, record.facts.id)
    return records


@pytest.fixture
async def months_db(url: str) -> AsyncIterator[Database]:
    async with opened(url) as db:
        yield db


# --- made ahead -------------------------------------------------------------------------------------------------------


def test_the_bound_of_a_month_is_between_the_ids_around_it() -> None:
    turn = at(2027, 1)
    assert new_id(turn - 1) < first_id(turn) <= new_id(turn)
    december = month(turn - 1)
    assert (december.name, december.from_id, december.until_id) == ("202612", first_id(at(2026, 12)), first_id(turn))
    assert december.until_us == turn
    assert month(turn - 1, later=2) == month(at(2027, 2, 28))


@pytest.mark.anyio
async def test_this_month_and_the_next_ones_are_made_once(db: Database, sql: Operator) -> None:
    made = await Months(db, lambda: at(2026, 11, 26)).make()
    if sql.dialect == "sqlite":
        assert (made, await names(db)) == ([], [])
        return
    assert made == await names(db) == ["202611", "202612", "202701", "202702"]
    assert len(made) == AHEAD + 1
    assert await Months(db, lambda: at(2026, 11, 27)).make() == []
    assert await Months(db, lambda: at(2026, 12)).make() == ["202703"]


@pytest.mark.anyio
async def test_several_make_them_at_once(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        async with asyncio.TaskGroup() as both:
            for db in (one, other):
                both.create_task(Months(db, lambda: at(2026, 11)).make())
        assert len(await names(one)) == AHEAD + 1


@pytest.mark.anyio
async def test_a_call_goes_to_its_month_and_an_odd_id_is_not_refused(months_db: Database, pg: Operator) -> None:
    await months(months_db, at(2026, 11))
    odd = ["", "zz", "call-7", new_id(at(1999, 1)), new_id(at(2100, 1)), "ffffffff-ffff-7fff-bfff-ffffffffffff"]
    usual = [call_at(at(2026, 11, 30, 23)), call_at(at(2026, 12))]
    assert await append(months_db, [*usual, *(call_at(at(2026, 11), one) for one in odd)]) == 8
    assert in_each(pg, "202611") == in_each(pg, "202612") == [1, 2, 4, 0]
    assert in_each(pg, "other") == [6, 12, 24, 0]
    reports = Reports(months_db)
    for call_id in (usual[0].facts.id, *odd):
        call = await reports.call(call_id)
        assert call is not None
        assert len(call.attempts) == 2
    assert (await reports.usage([], at(2026, 11), at(2027, 1))).totals.calls == 8


@pytest.mark.anyio
async def test_an_id_is_there_once_wherever_it_lies(months_db: Database, pg: Operator) -> None:
    """What is read twice from a journal counts once."""
    await months(months_db, at(2026, 11))
    both = [call_at(at(2026, 11, 3)), call_at(at(2026, 11, 3), "odd")]
    assert await append(months_db, both) == 2
    assert await append(months_db, [*both, call_at(at(2026, 11, 4))]) == 1
    assert pg.count("calls") == pg.one("SELECT sum(calls) FROM rollups_hourly") == 3
    fields = ", ".join(f'"{row[0]}"' for row in pg.rows("SELECT attname FROM pg_attribute WHERE attnum > 1"
                       " AND attrelid = 'calls'::regclass"))  # fmt: skip
    for record in both:
        with pytest.raises(IntegrityError, match="id"):
            pg.run(f"INSERT INTO calls ({fields}) SELECT {fields} FROM calls WHERE id = :id", id=record.facts.id)  # noqa: S608
    with pytest.raises(IntegrityError, match="fk_corrections_call_id"):
        correct(pg, new_id(at(2026, 11, 5)))


@pytest.mark.anyio
async def test_what_came_before_its_month_was_made_moves_there(months_db: Database, pg: Operator) -> None:
    early, odd = call_at(at(2026, 11, 3)), call_at(at(2026, 11, 3), "odd")
    await append(months_db, [early, odd])
    for record in (early, odd):
        correct(pg, record.facts.id)
    before = pg.rows("SELECT * FROM calls ORDER BY seq")
    await months(months_db, at(2026, 11))
    assert in_each(pg, "202611") == in_each(pg, "other") == [1, 2, 4, 1]
    assert pg.rows("SELECT * FROM calls ORDER BY seq") == before
    assert await append(months_db, [early, call_at(at(2026, 11, 4))]) == 1
    last = await Reports(months_db).last_seq()
    assert last > max(row[0] for row in before)


@pytest.mark.anyio
async def test_whoever_reads_is_not_waited_for_long(months_db: Database, pg: Operator) -> None:
    await append(months_db, [call_at(at(2026, 11))])
    pg.run("BEGIN")
    pg.run("SELECT 1 FROM calls")
    with pytest.raises(Fault) as refusal:
        await months(months_db, at(2026, 11))
    assert refusal.value.kind is Kind.UNAVAILABLE
    assert "reading" in refusal.value.message
    pg.run("COMMIT")
    await months(months_db, at(2026, 11))
    assert in_each(pg, "202611") == [1, 2, 4, 0]


# --- dropped ----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_whole_months_are_dropped_and_the_rest_goes_row_by_row(months_db: Database, pg: Operator) -> None:
    await months(months_db, at(2026, 8))
    odd = call_at(at(2026, 8, 9), "odd")
    inside = [call_at(at(2026, number, day)) for number in (8, 9, 10) for day in (2, 20)]
    await append(months_db, [*inside, odd])
    correct(pg, inside[0].facts.id)
    reports = Reports(months_db)
    before = (await reports.usage(["team"], at(2026, 8), at(2026, 12), "month")).as_json()
    assert await prune(months_db, at(2026, 10, 10)) == Progress(calls=6, hours=6)
    assert await names(months_db) == ["202610", "202611"]
    assert [pg.count(table) for table in TABLES] == [1, 2, 4, 0]
    assert pg.one("SELECT id FROM calls") == inside[-1].facts.id
    assert (await reports.usage(["team"], at(2026, 8), at(2026, 12), "month")).as_json() == before
    async with months_db.read() as session:
        assert await kept_since(session) == at(2026, 10, 10)
    # What comes late for a month that is gone is taken, counted, and goes with the next time.
    assert await append(months_db, [call_at(at(2026, 8, 3))]) == 1
    assert in_each(pg, "other") == [1, 2, 4, 0]
    assert await prune(months_db, at(2026, 10, 10)) == Progress(calls=1, hours=0)


@pytest.mark.anyio
async def test_a_month_with_a_call_that_started_later_is_not_dropped(months_db: Database, pg: Operator) -> None:
    """The id says where a call lies; when it started decides whether it may go."""
    await months(months_db, at(2026, 8))
    await append(months_db, [call_at(at(2026, 8, 2)), call_at(at(2026, 9, 20), new_id(at(2026, 8, 3)))])
    assert (await prune(months_db, at(2026, 9, 10))).calls == 1
    assert in_each(pg, "202608") == [1, 2, 4, 0]
    assert (await prune(months_db, at(2026, 10, 1))).calls == 1
    assert "202608" in await names(months_db)
    await prune(months_db, at(2026, 10, 1))  # it is empty now
    assert await names(months_db) == ["202610", "202611"]


@pytest.mark.anyio
async def test_a_month_with_a_wrong_hour_stays_whole(months_db: Database, pg: Operator) -> None:
    await months(months_db, at(2026, 8))
    await append(months_db, [call_at(at(2026, 8, 2)), call_at(at(2026, 8, 3))])
    pg.run("UPDATE rollups_hourly SET calls = 9 WHERE hour_us = :hour", hour=at(2026, 8, 3))
    with pytest.raises(Fault, match="2026-08-03"):
        await prune(months_db, at(2026, 9))
    assert in_each(pg, "202608") == [2, 4, 8, 0]
    pg.run("UPDATE rollups_hourly SET calls = 1 WHERE hour_us = :hour", hour=at(2026, 8, 3))
    assert await prune(months_db, at(2026, 9)) == Progress(calls=2, hours=1)
    assert await names(months_db) == ["202609", "202610", "202611"]


@pytest.mark.anyio
async def test_a_view_from_before_the_horizon_keeps_its_calls(url: str, months_db: Database, pg: Operator) -> None:
    """A report that began earlier adds up detail which is in no view once its partition is gone."""
    await months(months_db, at(2026, 8))
    await append(months_db, [call_at(at(2026, 8, 2))])
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def pause(seconds: float) -> None:
        waiting.set()
        await ended.wait()

    async with opened(url) as other, asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        async with months_db.read() as view:
            assert await kept_since(view) == 0
            pruning = tasks.create_task(prune(other, at(2026, 9), pause))
            await waiting.wait()
            assert pg.one("SELECT kept_since_us FROM retention") == at(2026, 9)
            assert await Reports(months_db).call(pg.one("SELECT id FROM calls")) is not None
        ended.set()
        assert await pruning == Progress(calls=1, hours=1)
    assert pg.count("calls") == 0


@pytest.mark.anyio
async def test_a_partition_that_somebody_else_dropped_is_no_trouble(months_db: Database) -> None:
    await months(months_db, at(2026, 8))
    assert await drop(months_db, month(at(2026, 8))) == 0
    assert await drop(months_db, month(at(2026, 8))) == 0
    assert "202608" not in await names(months_db)


@pytest.mark.anyio
async def test_a_dump_brings_everything_back(postgres: PostgresServer, tmp_path: Path) -> None:
    """As `docs/operations.md` tells: into an empty database."""
    url, copy = postgres.new_database(), postgres.new_database()
    upgrade(url)
    async with opened(url) as db:
        await Months(db).make()
    records = await filled(url)
    dump = str(tmp_path / "tollkeeper.dump")
    postgres.tool("pg_dump", "--format=custom", f"--file={dump}", url.replace("+psycopg", ""))
    postgres.tool("pg_restore", "--exit-on-error", f"--dbname={copy.replace('+psycopg', '')}", dump)
    assert (current(copy), differences(copy)) == (head(), [])
    async with opened(url) as db, opened(copy) as restored:
        assert await names(restored) == await names(db)
        assert await append(restored, [*records, call_at(just_now())]) == 1
    with operator(copy) as sql:
        assert [sql.count(table) for table in TABLES] == [6, 12, 24, 5]
    for made in (url, copy):
        postgres.drop(made)
