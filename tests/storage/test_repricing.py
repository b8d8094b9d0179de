"""A second look at old calls: corrections beside them, and every sum with them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.core.calls import Attempt
from gateway.core.money import Nano
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.reports import Reports
from gateway.storage.repricing import Period, Repricing, SecondLook
from gateway.storage.tables import calls, corrections, rollups_hourly
from tests.databases import new_database, opened
from tests.storage.calls import HOUR_US, START_US, a_call, an_attempt, call_id, with_facts

ALL = Period(START_US - HOUR_US, START_US + 2 * HOUR_US)
TWICE = 3_200_000


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(new_database(tmp_path)) as db:
        dear, unknown = an_attempt(), an_attempt(cost_nano=None)
        elsewhere = replace(dear, target="gpu/a", provider="gpu")
        records = [
            a_call(0, attempts=[dear]),
            a_call(1, attempts=[unknown], at_us=START_US + 1),
            a_call(2, attempts=[unknown], at_us=START_US + 2),
            with_facts(a_call(3, attempts=[elsewhere], at_us=START_US + HOUR_US), team=None, key=None),
            a_call(4, attempts=[], at_us=START_US + 3),
        ]
        await Ledger(db, DeadLetters(tmp_path)).append("j", records, Mark(1, 1))
        yield db


def doubled(attempts: Sequence[Attempt]) -> tuple[Nano | None, str | None]:
    return TWICE, "book 2"


async def applied(db: Database, period: Period = ALL) -> list[SecondLook]:
    pages = Repricing(db, lambda: 99).apply(period, doubled, "cli:me", "a reason")
    return [look async for page in pages for look in page]


async def looked(db: Database, period: Period = ALL) -> list[SecondLook]:
    return [look async for page in Repricing(db).look(period, doubled) for look in page]


@pytest.mark.anyio
async def test_a_look_changes_nothing(db: Database) -> None:
    found = await looked(db)
    assert [(look.call_id, look.before_nano, look.after_nano, look.differs) for look in found] == [
        (call_id(0), 1_600_000, TWICE, True),
        (call_id(1), None, TWICE, True),
        (call_id(2), None, TWICE, True),
        (call_id(3), 1_600_000, TWICE, True),
    ]
    async with db.read() as session:
        assert await session.all(select(corrections)) == []
    assert (await Reports(db).usage([], ALL.since_us, ALL.until_us)).totals.cost_nano == 2 * 1_600_000


@pytest.mark.anyio
async def test_a_correction_keeps_both_figures(db: Database) -> None:
    await applied(db)
    call = await Reports(db).call(call_id(1))
    assert call is not None
    assert (call.cost_nano, call.cost_at_least_nano) == (TWICE, None)
    assert call.attempts[0].cost_nano is None
    (correction,) = call.corrections
    assert (correction.delta_nano, correction.cost_nano, correction.made_us) == (TWICE, TWICE, 99)
    assert (correction.actor, correction.reason, correction.price_book) == ("cli:me", "a reason", "book 2")
    shown = call.as_json(alone=True)
    assert shown["cost_usd"] == "0.003200000"
    assert shown["corrections"] == [
        {
            "made_at": "1970-01-01T00:00:00.000099Z",
            "actor": "cli:me",
            "reason": "a reason",
            "delta_usd": "0.003200000",
            "cost_usd": "0.003200000",
            "price_book": "book 2",
        }
    ]
    async with db.read() as session:
        assert await session.scalar(select(calls.c.cost_nano).where(calls.c.id == call_id(0))) == 1_600_000


@pytest.mark.anyio
async def test_all_sums_follow(db: Database) -> None:
    """Known fault 31: rollups, parts of an hour, lists and single calls say the same."""
    await applied(db)
    reports = Reports(db)
    for period in [(ALL.since_us, ALL.until_us), (START_US + 1, START_US + HOUR_US + 1), (START_US, START_US + 3)]:
        listed = [call for call in (await reports.calls()).items if period[0] <= call.facts.started_us < period[1]]
        for group_by in ([], ["team"], ["target", "key"]):
            report = await reports.usage(group_by, *period)
            assert report.totals.cost_nano == sum(call.cost_nano or 0 for call in listed)
            assert (report.totals.unpriced_calls, report.totals.cost_at_least_nano) == (0, None)
            assert sum(row.sums.cost_nano or 0 for row in report.rows) == report.totals.cost_nano
    async with db.read() as session:
        ledger = sum(row.cost_nano or 0 for row in await session.all(select(calls)))
        delta = sum(row.delta_nano for row in await session.all(select(corrections)))
        hourly = sum(row.cost_nano or 0 for row in await session.all(select(rollups_hourly)))
    assert ledger + delta == hourly == 4 * TWICE
    (followed,) = [call for call in await reports.calls_after(0) if call.facts.id == call_id(0)]
    assert followed.cost_nano == TWICE


@pytest.mark.anyio
async def test_some_of_the_unpriced_calls_of_an_hour(db: Database) -> None:
    """The priced part of those that stay unknown stays."""
    await applied(db, Period(START_US + 1, START_US + 2))
    report = await Reports(db).usage([], ALL.since_us, ALL.until_us)
    assert (report.totals.unpriced_calls, report.totals.cost_at_least_nano) == (1, 400_000)
    assert report.totals.cost_nano == 2 * 1_600_000 + TWICE


@pytest.mark.anyio
async def test_it_can_be_repeated_safely(db: Database) -> None:
    assert sum(look.differs for look in await applied(db)) == 4
    assert sum(look.differs for look in await applied(db)) == 0
    assert sum(look.differs for look in await looked(db)) == 0
    async with db.read() as session:
        assert len(await session.all(select(corrections))) == 4
    pages = Repricing(db).apply(ALL, lambda _: (7, "book 3"), "cli", "again")
    assert [look.before_nano async for page in pages for look in page] == [TWICE] * 4
    report = await Reports(db).usage([], ALL.since_us, ALL.until_us)
    assert (report.totals.cost_nano, report.totals.unpriced_calls) == (4 * 7, 0)
    call = await Reports(db).call(call_id(0))
    assert call is not None
    assert [correction.delta_nano for correction in call.corrections] == [TWICE - 1_600_000, 7 - TWICE]


@pytest.mark.anyio
async def test_what_cannot_be_told_takes_no_known_figure_away(db: Database) -> None:
    pages = Repricing(db).apply(ALL, lambda _: (None, None), "cli", "again")
    assert not any([look.differs async for page in pages for look in page])
    call = await Reports(db).call(call_id(0))
    assert call is not None
    assert (call.cost_nano, call.corrections) == (1_600_000, ())


@pytest.mark.anyio
async def test_of_one_target_alone(db: Database) -> None:
    assert [look.call_id for look in await looked(db, replace(ALL, target="gpu/a"))] == [call_id(3)]


@pytest.mark.anyio
async def test_many_calls_of_one_moment_are_seen_once_each(db: Database, tmp_path: Path) -> None:
    records = [a_call(number, at_us=START_US + 5) for number in range(100, 1100)]
    await Ledger(db, DeadLetters(tmp_path)).append("j2", records, Mark(1, 1))
    seen = [look.call_id for look in await looked(db)]
    assert len(seen) == len(set(seen)) == 1004
    await applied(db)
    totals = (await Reports(db).usage([], ALL.since_us, ALL.until_us)).totals
    assert totals.cost_nano == 1004 * TWICE
