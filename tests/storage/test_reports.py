"""Reports: every figure equals the sum of its calls, and the JSON is the contract's to the letter."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.calls import CallRecord, End
from gateway.core.errors import Fault, Kind
from gateway.core.rollups import ERRORS, Rollup
from gateway.core.usage import BUCKETS, Basis
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.reports import CallFilter, Interval, Reports, UsageReport
from tests.databases import Operator, opened
from tests.storage.calls import HOUR_US, START_US, a_call, an_attempt, call_id, several_calls, with_facts

DAY_US = 24 * HOUR_US


async def append(db: Database, records: Sequence[CallRecord]) -> None:
    await Ledger(db, DeadLetters(Path("never written"))).append("j", records, Mark(1, 1))


# --- sums -----------------------------------------------------------------------------------------------------------


def known(values: Sequence[int | None]) -> int | None:
    """The naive sum: of what is known, null if nothing is."""
    told = [value for value in values if value is not None]
    return sum(told) if told else None


def assert_sums_are_of(sums: Rollup, records: Sequence[CallRecord]) -> None:
    assert sums.calls == len(records)
    assert sums.attempts == sum(len(record.attempts) for record in records)
    assert sums.errors == sum(record.end in ERRORS for record in records)
    assert sums.usage.as_dict() == {b: known([getattr(record.usage, b) for record in records]) for b in BUCKETS}
    assert sums.cost_nano == known([record.cost_nano for record in records])
    assert sums.cost_at_least_nano == known([record.cost_at_least_nano for record in records])
    assert sums.unpriced_calls == sum(record.cost_nano is None for record in records)
    assert sums.estimated_calls == sum(record.usage_basis is Basis.ESTIMATED for record in records)
    assert sums.ttft_ms.count == sum(record.timings.ttft_ms is not None for record in records)
    assert sums.duration_ms.count == sum(record.timings.duration_ms is not None for record in records)


GROUPS: dict[str, Callable[[CallRecord], str | None]] = {
    "key": lambda record: record.facts.key,
    "team": lambda record: record.facts.team,
    "model": lambda record: record.facts.model,
    "target": lambda record: record.target,
    "provider": lambda record: record.provider,
    "path": lambda record: record.facts.path,
    "end": lambda record: str(record.end),
}
moments = st.integers(START_US - 3 * HOUR_US, START_US + 3 * HOUR_US) | st.sampled_from(
    [START_US + hours * HOUR_US for hours in range(-3, 4)]
)


# The one database of all examples is emptied by each.
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    several_calls(),
    st.tuples(moments, moments).map(sorted),
    st.lists(st.sampled_from(sorted(GROUPS)), unique=True, max_size=3),
    st.sampled_from([None, "hour", "day", "month"]),
)
def test_every_sum_equals_the_sum_of_its_calls(
    database_url: str,
    sql: Operator,
    records: list[CallRecord],
    period: list[int],
    group_by: list[str],
    interval: Interval | None,
) -> None:
    """Known faults 31, 83: totals equal the sum of the ledger, for any period and grouping."""
    since_us, until_us = period
    for table in ("charges", "attempts", "calls", "rollups_hourly"):
        sql.run(f"DELETE FROM {table}")  # noqa: S608 (names of this line)
    report = asyncio.run(_report_of(database_url, records, since_us, until_us, group_by, interval))
    wanted = [record for record in records if since_us <= record.facts.started_us < until_us]
    assert_sums_are_of(report.totals, wanted)
    for row in report.rows:
        of_row = [
            record
            for record in wanted
            if all(GROUPS[name](record) == value for name, value in row.group.items())
            and (row.start_us is None or row.start_us == _start(record, interval))
        ]
        assert_sums_are_of(row.sums, of_row)
    assert sum(row.sums.calls for row in report.rows) == len(wanted)


async def _report_of(
    url: str,
    records: Sequence[CallRecord],
    since_us: int,
    until_us: int,
    group_by: Sequence[str],
    interval: Interval | None,
) -> UsageReport:
    async with opened(url) as db:
        # In two batches, so that sums of one hour meet in the database.
        await append(db, records[::2])
        await append(db, records[1::2])
        return await Reports(db).usage(group_by, since_us, until_us, interval)


def _start(record: CallRecord, interval: Interval | None) -> int | None:
    """Independent of the calendar code: `START_US` is eight o'clock on the last day of a month of 31 days."""
    started_us = record.facts.started_us
    midnight = START_US - 8 * HOUR_US
    starts = {
        "hour": started_us - started_us % HOUR_US,
        "day": midnight,
        "month": midnight - 30 * DAY_US,
    }
    return None if interval is None else starts[interval]


@pytest.mark.anyio
async def test_whole_hours_are_read_from_the_rollups(db: Database, sql: Operator) -> None:
    """Known fault 82: the server sums, over more than it would ever read row by row."""
    await append(db, [a_call(1)])
    sql.run("UPDATE rollups_hourly SET calls = 1000")
    reports = Reports(db)
    assert (await reports.usage([], START_US, START_US + HOUR_US)).totals.calls == 1000
    assert (await reports.usage([], START_US - 5, START_US + HOUR_US + 5)).totals.calls == 1000
    # Nothing is cut off by ending at "now": what the hour has so far is all of it.
    assert (await reports.usage([], START_US, START_US + 10)).totals.calls == 1000


@pytest.mark.anyio
async def test_sums_can_be_narrowed(db: Database) -> None:
    keyless = with_facts(a_call(3, at_us=START_US + 5), key=None, key_id=None, team=None)
    await append(db, [a_call(1), with_facts(a_call(2), team="search"), keyless])
    reports = Reports(db)
    # One period is summed from rollups, the other from calls.
    for until_us in (START_US + HOUR_US, START_US + 6):
        for where, calls in (({"team": "search"}, 1), ({"team": ""}, 1), ({"key": "ci"}, 2), ({"team": "x"}, 0)):
            report = await reports.usage(["team"], START_US, until_us, where=where)
            assert report.totals.calls == calls, (where, until_us)
    assert (await reports.usage(["team"], START_US, START_US + 6, where={"team": ""})).rows[0].group == {"team": None}


@pytest.mark.anyio
async def test_what_cannot_be_summed_is_refused(db: Database) -> None:
    reports = Reports(db)
    wrong: list[tuple[str, dict[str, object]]] = [
        ("group_by", {"group_by": ["colour"]}),
        ("colour", {"where": {"colour": "red"}}),
        ("interval", {"interval": "fortnight"}),
        ("until", {"until_us": START_US - 1}),
    ]
    for param, change in wrong:
        arguments = {"group_by": [], "since_us": START_US, "until_us": START_US + 1, **change}
        with pytest.raises(Fault) as refusal:
            await reports.usage(**arguments)  # type: ignore[arg-type]  # wrong on purpose
        assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, param)


# --- calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_calls_come_newest_first_page_by_page(db: Database) -> None:
    # Many of one moment, and not in the order of their ids.
    records = [a_call(number, at_us=START_US + number % 3) for number in range(10)]
    await append(db, records)
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = await Reports(db).calls(limit=3, cursor=cursor)
        seen += [call.facts.id for call in page.items]
        cursor, pages = page.next, pages + 1
    assert pages == 4
    assert sorted(seen) == [call_id(number) for number in range(10)]
    assert seen == [call_id(number) for number in (8, 5, 2, 7, 4, 1, 9, 6, 3, 0)]


@pytest.mark.anyio
async def test_calls_can_be_filtered_by_everything(db: Database) -> None:
    other = a_call(2, at_us=START_US + 9, attempts=[replace(an_attempt(), target="gpu/llama", provider="gpu")])
    facts = {"key": "web", "team": "search", "model": "llama", "session": "s", "path": "/v1/embeddings"}
    await append(db, [a_call(1), replace(with_facts(other, **facts), end=End.FAILED, status=502)])
    more = {"target": "gpu/llama", "provider": "gpu", "end": "failed", "status": 502, "since_us": START_US + 9}
    for field, value in {**facts, **more}.items():
        page = await Reports(db).calls(CallFilter(**{field: value}))  # type: ignore[arg-type]  # field by field
        assert [call.facts.id for call in page.items] == [call_id(2)], field
    page = await Reports(db).calls(CallFilter(until_us=START_US + 9, team="platform"))
    assert [call.facts.id for call in page.items] == [call_id(1)]


@pytest.mark.anyio
@pytest.mark.parametrize("cursor", ["", "1", "1.2.3", "x.y", "1;DROP TABLE calls"])
async def test_a_foreign_cursor_is_refused(db: Database, cursor: str) -> None:
    """Known fault 76: what a client sends is bound or checked, never part of a statement."""
    with pytest.raises(Fault) as refusal:
        await Reports(db).calls(cursor=cursor)
    assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, "cursor")


@pytest.mark.anyio
async def test_following_sees_every_call_once_in_order(db: Database) -> None:
    reports = Reports(db)
    assert await reports.last_seq() == 0
    await append(db, [a_call(1)])
    seq = await reports.last_seq()
    assert await reports.calls_after(seq) == []
    await append(db, [a_call(number) for number in (4, 2, 3)])
    fresh = await reports.calls_after(seq, limit=2)
    fresh += await reports.calls_after(fresh[-1].seq)
    assert sorted(call.facts.id for call in fresh) == [call_id(number) for number in (2, 3, 4)]
    assert await reports.calls_after(seq, CallFilter(team="nobody")) == []
    assert await reports.last_seq() == fresh[-1].seq


@pytest.mark.anyio
async def test_a_call_that_is_not_there_is_none(db: Database) -> None:
    assert await Reports(db).call("nobody") is None
