"""Detail goes, sums stay; calls go on meanwhile, and whatever stops it is made good by the next time."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.core.calls import CallRecord
from gateway.core.errors import Fault, Kind
from gateway.storage.audit import AuditLog
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.reports import Reports
from gateway.storage.retention import AT_ONCE, Progress, Retention, kept_since
from tests.databases import Operator, opened
from tests.storage.calls import HOUR_US, START_US, a_call, an_attempt, call_id

END_US = START_US + 5 * HOUR_US


async def append(db: Database, records: Sequence[CallRecord]) -> None:
    await Ledger(db, DeadLetters(Path("never written"))).append("j", records, Mark(1, 1))


def records(hours: int = 5, each: int = 3) -> list[CallRecord]:
    return [
        a_call(hour * each + n, at_us=START_US + hour * HOUR_US + n, attempts=[an_attempt(0), an_attempt(1)])
        for hour in range(hours)
        for n in range(each)
    ]


async def prune(db: Database, before_us: int) -> list[Progress]:
    return [progress async for progress in Retention(db, lambda: 99).prune(before_us, "cli:me")]


@pytest.mark.anyio
async def test_old_detail_goes_and_every_total_of_whole_hours_stays(db: Database, sql: Operator) -> None:
    """Known fault 57: the log table need not grow for ever, and nothing is forgotten that was summed."""
    await append(db, records())
    fields = "call_id, made_us, actor, reason, delta_nano, cost_nano"
    sql.run(f"INSERT INTO corrections ({fields}) VALUES (:id, 1, 'a', 'r', -3199999, 1)", id=call_id(0))  # noqa: S608
    sql.run("UPDATE rollups_hourly SET cost_nano = cost_nano - 3199999 WHERE hour_us = :hour", hour=START_US)
    reports = Reports(db)
    before = [await reports.usage(["team"], START_US, END_US, interval) for interval in ("hour", "day", None)]
    told = await prune(db, START_US + 2 * HOUR_US + 5)
    assert told[-1] == Progress(calls=6, hours=2)
    assert [sql.count(table) for table in ("calls", "attempts", "charges", "corrections")] == [9, 18, 36, 0]
    assert sql.one("SELECT min(started_us) FROM calls") == START_US + 2 * HOUR_US
    after = [await reports.usage(["team"], START_US, END_US, interval) for interval in ("hour", "day", None)]
    assert [report.as_json() for report in after] == [report.as_json() for report in before]
    async with db.read() as session:
        assert await kept_since(session) == START_US + 2 * HOUR_US
    (entry,) = (await AuditLog(db).page()).items
    assert (entry.at_us, entry.actor, entry.action) == (99, "cli:me", "calls.prune")
    assert entry.details == {"before": "2026-10-31T10:00:00Z"}


@pytest.mark.anyio
async def test_a_look_counts_and_changes_nothing(db: Database, sql: Operator) -> None:
    await append(db, records())
    prospect = await Retention(db).prospect(START_US + HOUR_US + 5)
    assert (prospect.before_us, prospect.calls, prospect.oldest_us) == (START_US + HOUR_US, 3, START_US)
    assert (await Retention(db).prospect(START_US)).oldest_us is None
    assert (sql.count("calls"), sql.count("retention")) == (15, 0)


@pytest.mark.anyio
async def test_a_part_of_an_hour_without_detail_counts_as_the_hour(db: Database) -> None:
    """A report never adds up what is left of an hour's calls."""
    await append(db, records())
    await prune(db, START_US + 2 * HOUR_US)
    reports = Reports(db)
    cut = await reports.usage([], START_US + 5, START_US + HOUR_US + 1)
    assert (cut.totals.calls, cut.whole_hours_before_us) == (6, START_US + 2 * HOUR_US)
    assert cut.as_json()["whole_hours_before"] == "2026-10-31T10:00:00Z"
    later = await reports.usage([], START_US + 2 * HOUR_US + 1, END_US)
    assert (later.totals.calls, later.whole_hours_before_us) == (8, None)
    assert "whole_hours_before" not in later.as_json()
    assert (await reports.usage([], START_US + 1, START_US + 1)).totals.calls == 0
    assert (await reports.usage([], START_US, START_US + HOUR_US)).whole_hours_before_us is None


@pytest.mark.anyio
async def test_it_may_stop_anywhere_and_be_repeated(db: Database, sql: Operator) -> None:
    await append(db, records(hours=2, each=AT_ONCE + 10))
    first = Retention(db).prune(START_US + 2 * HOUR_US, "cli:me")
    async for progress in first:
        if progress.calls:
            break
    await first.aclose()  # type: ignore[attr-defined]  # a generator
    assert sql.count("calls") == AT_ONCE + 20
    # Half of an hour is gone: whoever asks gets the whole.
    report = await Reports(db).usage([], START_US + 1, START_US + HOUR_US)
    assert report.totals.calls == AT_ONCE + 10
    assert (await prune(db, START_US + 2 * HOUR_US))[-1].calls == AT_ONCE + 20
    assert sql.count("calls") == 0
    assert sql.one("SELECT sum(calls) FROM rollups_hourly") == 2 * (AT_ONCE + 10)
    assert (await prune(db, START_US + 2 * HOUR_US))[-1] == Progress(0, 0)


@pytest.mark.anyio
async def test_an_hour_whose_sums_are_wrong_keeps_its_calls(db: Database, sql: Operator) -> None:
    """Known fault 31: nothing is thrown away that could still say what is right."""
    await append(db, records())
    sql.run("UPDATE rollups_hourly SET calls = 4 WHERE hour_us = :hour", hour=START_US + HOUR_US)
    with pytest.raises(Fault) as refusal:
        await prune(db, END_US)
    assert refusal.value.kind is Kind.CONFLICT
    assert "2026-10-31T09:00:00Z" in refusal.value.message
    assert "rebuild-rollups" in str(refusal.value.hint)
    assert sql.count("calls") == 12


@pytest.mark.anyio
async def test_a_call_that_comes_late_counts_and_goes_the_next_time(db: Database, sql: Operator) -> None:
    await append(db, records())
    await prune(db, START_US + HOUR_US)
    await append(db, [a_call(99, at_us=START_US + 7)])
    assert (await Reports(db).usage([], START_US, END_US)).totals.calls == 16
    assert (await prune(db, START_US + HOUR_US))[-1] == Progress(1, 0)
    assert (await Reports(db).usage([], START_US, END_US)).totals.calls == 16


@pytest.mark.anyio
async def test_the_horizon_never_goes_back(db: Database, sql: Operator) -> None:
    await append(db, records())
    await prune(db, START_US + 3 * HOUR_US)
    await prune(db, START_US + HOUR_US)
    assert sql.rows("SELECT noun, kept_since_us FROM retention") == [("calls", START_US + 3 * HOUR_US)]


@pytest.mark.anyio
async def test_why_a_call_is_not_there_is_told(db: Database) -> None:
    await append(db, records())
    await prune(db, START_US + HOUR_US)
    reports = Reports(db)
    old, young = (f"{(START_US + hours * HOUR_US) // 1000:012x}" for hours in (0, 2))
    deleted = await reports.absent(f"{old[:8]}-{old[8:]}-7000-8000-000000000000")
    assert deleted.kind is Kind.NOT_FOUND
    assert "deleted" in deleted.message
    assert "2026-10-31T09:00:00Z" in deleted.message
    for other in (f"{young[:8]}-{young[8:]}-7000-8000-000000000000", "nonsense", "0" * 36):
        assert "deleted" not in (await reports.absent(other)).message


@pytest.mark.anyio
async def test_calls_go_on_meanwhile(database_url: str, sql: Operator) -> None:
    stop = asyncio.Event()
    written = 0

    async def call_on() -> None:
        nonlocal written
        async with opened(database_url) as db:
            while not stop.is_set():
                await append(db, [a_call(50_000 + written + n, at_us=END_US) for n in range(10)])
                written += 10

    async with opened(database_url) as db:
        await append(db, records(hours=2, each=2 * AT_ONCE))
        async with asyncio.timeout(30), asyncio.TaskGroup() as both:
            both.create_task(call_on())
            await prune(db, END_US)
            stop.set()
    assert written > 0
    assert sql.count("calls") == written
    assert sql.one("SELECT sum(calls) FROM rollups_hourly") == written + 4 * AT_ONCE
