"""Partitions put over a ledger that is in use: nobody waits, nothing is lost, and whoever was stopped goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.old_ledger import make_empty
from gateway.core.errors import Fault
from gateway.proxy.ids import new_id
from gateway.storage.backends import backend_of
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, begun, current, differences, head, upgrade
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.partitions import Months, first_id, month
from gateway.storage.parts import parts_of
from gateway.storage.reports import Reports
from tests.databases import Operator, opened, operator
from tests.postgres_server import PostgresServer
from tests.storage.test_partitions import TABLES, append, at, call_at, correct, filled, in_each, just_now, names, prune

MIGRATIONS = Path(__file__).parents[2] / "migrations"
REVISION: Any = SimpleNamespace(**run_path(str(MIGRATIONS / "versions" / "20261126_1830_months.py")))
PARTS = [*(part.name for part in parts_of(REVISION, "postgresql")), "the rest, in a moment"]


def make_old(url: str) -> None:
    make_empty(url)
    with operator(url) as sql:  # so that the ledger of this release can write there as that one did
        sql.run("ALTER TABLE calls ADD limit_lowered_to bigint, ADD downgraded_from text")


@contextmanager
def old_ledger(server: PostgresServer) -> Iterator[str]:
    """The URL of a database of the revision before there were partitions."""
    url = server.new_database()
    make_old(url)
    yield url
    server.drop(url)


@pytest.fixture
def before(postgres: PostgresServer) -> Iterator[str]:
    with old_ledger(postgres) as url:
        yield url


@pytest.fixture
def pg(before: str) -> Iterator[Operator]:
    with operator(before) as connection:
        yield connection


@pytest.fixture
async def old_db(before: str) -> AsyncIterator[Database]:
    async with opened(before) as db:
        yield db


class Stopped(Exception):
    pass


def stop_before(url: str, part: str) -> None:
    """An upgrade that comes as far as to this part."""

    def tell(name: str) -> None:
        if name == part:
            raise Stopped

    with pytest.raises(Stopped):
        upgrade(url, tell_part=tell)


def first_partition(sql: Operator) -> str:
    """What follows `calls_`."""
    name: str = sql.one("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'calls_until%'")
    return name[6:]


def all_rows(sql: Operator) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(sql.rows(f"SELECT * FROM {table}"), key=str) for table in TABLES}  # noqa: S608


@pytest.mark.anyio
async def test_an_old_ledger_is_converted_with_all_that_is_in_it(before: str, pg: Operator) -> None:
    records = await filled(before)
    was = all_rows(pg)
    upgrade(before)
    assert (current(before), differences(before), begun(before)) == (head(), [], False)
    assert all_rows(pg) == was
    name = first_partition(pg)
    assert (in_each(pg, name), in_each(pg, "other")) == ([3, 6, 12, 3], [2, 4, 8, 2])
    async with opened(before) as db:
        assert (await Months(db).make())[0] == month(just_now(), later=2).name
        assert await append(db, [*records, call_at(just_now())]) == 1
        assert (await Reports(db).usage([], just_now(3000), just_now() + 1)).totals.calls == 6
        assert in_each(pg, name)[:3] == [4, 8, 16]
        await prune(db, month(just_now(), later=2).until_us)
        assert name not in await names(db)
        # The numbers go on where they were, though the table that had them first is gone.
        assert await append(db, [call_at(just_now())]) == 1
        assert await Reports(db).last_seq() > max(row[0] for row in was["calls"])


@pytest.mark.anyio
async def test_an_empty_ledger_becomes_what_fits_no_month(before: str, pg: Operator) -> None:
    told: list[str] = []
    upgrade(before, tell_part=told.append)
    assert (told, differences(before)) == (PARTS, [])
    assert [name for (name,) in pg.rows("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")] == [
        f"{table}_other" for table in TABLES
    ]
    async with opened(before) as db:
        assert await append(db, [call_at(just_now())]) == 1


def test_a_ledger_that_was_empty_when_it_began_is_converted_with_its_first_call(before: str, pg: Operator) -> None:
    def tell(part: str) -> None:
        if part == PARTS[-1]:
            asyncio.run(filled(before))

    upgrade(before, tell_part=tell)
    assert in_each(pg, first_partition(pg)) == [3, 6, 12, 3]
    assert (differences(before), begun(before)) == ([], False)


@pytest.mark.anyio
async def test_a_ledger_in_a_schema_of_its_own_is_converted_there(before: str, pg: Operator) -> None:
    pg.run("CREATE SCHEMA books")
    url = f"{before}?options=-csearch_path%3Dbooks"
    make_old(url)
    records = await filled(url)
    stop_before(url, PARTS[2])
    assert (begun(url), begun(before)) == (True, False)
    async with opened(url) as db:
        assert await append(db, [*records, call_at(at(2100, 2)), call_at(just_now())]) == 2
    upgrade(url)
    assert (differences(url), current(before), pg.count("calls")) == ([], "20261123_0630", 0)
    with operator(url) as sql:
        assert (in_each(sql, first_partition(sql)), in_each(sql, "other")) == ([4, 8, 16, 3], [3, 6, 12, 2])


# --- beside those who write -------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("part", PARTS[1:-1])
async def test_what_takes_long_holds_up_nobody(before: str, old_db: Database, pg: Operator, part: str) -> None:
    await filled(before)
    stop_before(before, part)
    (act,) = (one.act for one in parts_of(REVISION, "postgresql") if one.name == part)
    with backend_of(before).transaction() as connection:
        act(connection)
        # It has read everything and is not through: so it stays for as long as a large table takes.
        table = part.rpartition(" ")[2]
        lock = "FROM pg_locks WHERE relation = to_regclass(:table) AND mode = 'ShareUpdateExclusiveLock' AND granted"
        assert pg.one(f"SELECT count(*) {lock}", table=table) == 1
        async with asyncio.timeout(30):
            assert await append(old_db, [call_at(just_now()), call_at(at(2101, 1))]) == 2
            assert (await Reports(old_db).usage([], just_now(3000), at(2102, 1))).totals.calls == 7
        correct(pg, pg.one("SELECT max(id) FROM calls"))
    upgrade(before)
    assert (differences(before), pg.count("calls"), pg.count("corrections")) == ([], 7, 6)


def test_every_long_part_is_one_that_is_not_alone() -> None:
    parts = parts_of(REVISION, "postgresql")
    assert [part.name for part in parts if part.alone] == PARTS[:1]
    assert {part.name.rpartition(" ")[2] for part in parts if not part.alone} == set(TABLES)


@pytest.mark.anyio
async def test_the_swap_reads_no_row_again(before: str, pg: Operator) -> None:
    """It has everybody wait, so it must not: the server says so itself where it has to look at rows."""
    await filled(before)
    pg.run(f"ALTER DATABASE {before.rpartition('/')[2]} SET client_min_messages = debug1")
    stop_before(before, PARTS[-1])
    notices: list[str] = []
    with backend_of(before).transaction() as connection:
        driver: Any = connection.connection.driver_connection
        driver.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        connection.exec_driver_sql("LOCK TABLE calls, attempts, charges, corrections IN ACCESS EXCLUSIVE MODE")
        for statement in REVISION.statements(REVISION.stated_bound(connection)):
            connection.exec_driver_sql(statement)
        name = first_partition(Operator(connection))
    implied = 'partition constraint for table "{}_{}" is implied by existing constraints'
    assert {implied.format(table, name) for table in TABLES} <= set(notices)


@pytest.mark.anyio
async def test_calls_are_written_while_it_is_converted(before: str, pg: Operator) -> None:
    await filled(before)
    done, written = asyncio.Event(), 0

    async def call_on() -> None:
        nonlocal written
        async with opened(before) as db:
            while not done.is_set() or written < 40:
                written += await append(db, [call_at(just_now()) for _ in range(10)])

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(call_on())
        await asyncio.to_thread(upgrade, before)
        done.set()
    assert pg.count("calls") == pg.one("SELECT sum(calls) FROM rollups_hourly") == written + 5
    assert differences(before) == []


# --- stopped and repeated ---------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_stopped_before_each_part_it_goes_on_and_keeps_its_bound(before: str, pg: Operator) -> None:
    records = await filled(before)
    bounds = set()
    for part in PARTS:
        stop_before(before, part)
        async with opened(before) as db:
            fresh = [call_at(just_now()), call_at(at(2101, 1))]
            assert await append(db, [*records, *fresh]) == 2
            records += fresh
            assert (await Reports(db).usage([], just_now(3000), at(2102, 1))).totals.calls == len(records)
        with backend_of(before).transaction() as connection:
            bounds.add(REVISION.stated_bound(connection))
        assert begun(before) == (part != PARTS[0])
    upgrade(before)
    assert bounds == {None, first_id(at(*divmod_month(2)))}
    assert (current(before), differences(before), begun(before)) == (head(), [], False)
    assert pg.count("calls") == len(records) == 5 + 2 * len(PARTS)
    assert (pg.count("calls_other"), pg.count("charges_other")) == (2 + len(PARTS), 4 * (2 + len(PARTS)))


@pytest.mark.anyio
async def test_an_upgrade_that_nobody_ends_refuses_no_call(before: str, pg: Operator, tmp_path: Path) -> None:
    """Clocks that are ahead, odd ids, and the time that goes on: all are in the books, once, and with their sums."""
    stop_before(before, PARTS[1])
    records = await filled(before)
    stop_before(before, PARTS[1])
    letters = DeadLetters(tmp_path)
    late = [call_at(at(2100, 2)), call_at(just_now(), "zzz"), call_at(at(2100, 3)), call_at(just_now(), "")]
    async with opened(before) as db:
        ledger = Ledger(db, letters)
        assert len(await ledger.append("j", late, Mark(1, 1))) == 4
        assert len(await ledger.append("j", [*records, *late, call_at(just_now())], Mark(1, 2))) == 1
        for record in late:
            correct(pg, record.facts.id)
            call = await Reports(db).call(record.facts.id)
            assert call is not None
            assert (len(call.attempts), len(call.corrections)) == (2, 1)
        assert (await Reports(db).usage([], 0, at(2101, 1))).totals.calls == 10
    assert letters.count == 0
    assert in_each(pg, "other") == [5, 10, 20, 5]
    assert pg.one("SELECT count(*) FROM ONLY calls") == 5
    upgrade(before)
    assert in_each(pg, "other") == [5, 10, 20, 5]
    assert in_each(pg, first_partition(pg)) == [5, 10, 20, 4]
    assert (differences(before), pg.one("SELECT sum(calls) FROM rollups_hourly")) == ([], 10)


@pytest.mark.anyio
async def test_a_swap_that_is_killed_leaves_nothing_and_is_repeated(before: str, pg: Operator) -> None:
    await filled(before)
    with operator(before) as sql:
        sql.run("BEGIN")
        sql.run("SELECT * FROM alembic_version FOR UPDATE")  # so that it comes to its last step, and no further
        conversion = asyncio.create_task(asyncio.to_thread(upgrade, before))
        blocked = "FROM pg_stat_activity WHERE query LIKE 'UPDATE alembic_version%' AND wait_event_type = 'Lock'"
        async with asyncio.timeout(30):
            while not pg.one(f"SELECT count(*) {blocked}"):
                await asyncio.sleep(0.01)
        pg.run(f"SELECT pg_terminate_backend(pid) {blocked}")
        with pytest.raises(Fault):
            await conversion
        sql.run("COMMIT")
    assert pg.one("SELECT count(*) FROM pg_class WHERE relispartition") == 0
    async with opened(before) as db:
        assert await append(db, [call_at(just_now())]) == 1
    upgrade(before)
    assert (current(before), differences(before), pg.count("calls")) == (head(), [], 6)


@pytest.mark.anyio
async def test_several_convert_it_at_once(before: str, pg: Operator) -> None:
    await filled(before)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [before] * 4))
    assert (current(before), differences(before), pg.count("calls")) == (head(), [], 5)


# --- the bound --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_bound_is_a_month_ahead_and_past_a_ledger_whose_clock_was(before: str, pg: Operator) -> None:
    await filled(before)
    usual = first_id(at(*divmod_month(2)))
    with backend_of(before).transaction() as connection:
        assert REVISION.bound(connection) == usual
    columns = 'id, started_us, path, labels, stream, "end", cache, attempts, usage_basis'
    ahead = "lpad(to_hex((:ms + n) >> 16), 8, '0') || '-' || lpad(to_hex((:ms + n) & 65535), 4, '0')"
    values = f"{ahead} || '-7000-8000-000000000000', 1, 'p', '{{}}', false, 'completed', 'off', 0, 'none', 0, 0, 0"
    pg.run(
        f"INSERT INTO calls ({columns}, avoided_nano, reserve_nano, held_nano)"  # noqa: S608 (texts of this test)
        f" SELECT {values} FROM generate_series(1, {REVISION.FEW}) AS n",
        ms=at(2028, 5, 20) // 1000,
    )
    pg.run("UPDATE calls SET id = 'zzz' WHERE id = (SELECT max(id) FROM calls WHERE id < '02')")
    with backend_of(before).transaction() as connection:
        assert REVISION.bound(connection) == first_id(at(2100, 3))  # the call of 2100 is one of ours


def divmod_month(later: int) -> tuple[int, int]:
    name = month(just_now(), later).name
    return int(name[:4]), int(name[4:])


def test_a_bound_is_the_begin_of_the_month_after_the_next() -> None:
    for moment, expected in (
        (at(2026, 11, 26), at(2027, 1)),
        (at(2026, 12), at(2027, 2)),
        (at(2026, 10, 31, 23), at(2026, 12)),
    ):
        assert REVISION.after(moment // 1000) == first_id(expected)
        assert new_id(expected - 1) < first_id(expected) <= new_id(expected)
