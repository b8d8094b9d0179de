"""The past as rules see it: every call once, in the minute of its end, as its row first said."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.alerts.facts import DAY_US, MINUTE_US, Minute, PriceSeen, call_seen
from gateway.core.calls import CallRecord, Charge
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.minutes import LONGEST_US, Minutes
from tests.databases import Operator, opened
from tests.storage.calls import START_US, a_call, an_attempt, with_facts

pytestmark = pytest.mark.anyio
UNTIL_US = START_US + DAY_US


def lasting(number: int, at_us: int, us: int) -> CallRecord:
    """A call that starts then and takes so long."""
    return replace(a_call(number, at_us=at_us), ended_us=at_us + us)


async def minutes_of(url: str, records: Sequence[CallRecord], since_us: int = START_US, **asked: bool) -> list[Minute]:
    async with opened(url) as db:
        await append(db, records)
        return [minute async for minute in Minutes(db).between(since_us, UNTIL_US, **asked)]


async def append(db: Database, records: Sequence[CallRecord]) -> None:
    await Ledger(db, DeadLetters(Path("never written"))).append("j", records, Mark(1, len(records)))


async def test_each_call_is_seen_as_a_live_rule_sees_it(database_url: str) -> None:
    records = [lasting(number, START_US + number * 20_000_000, 100_000) for number in range(30)]
    minutes = await minutes_of(database_url, records)

    assert [call for minute in minutes for call in minute.calls] == [call_seen(record) for record in records]
    assert [minute.start_us for minute in minutes] == [START_US + n * MINUTE_US for n in range(10)]
    assert not any(minute.prices for minute in minutes)


async def test_a_call_counts_in_the_minute_of_its_end(database_url: str) -> None:
    long, short = lasting(1, START_US, 5 * MINUTE_US), lasting(2, START_US + MINUTE_US, 1)
    minutes = await minutes_of(database_url, [long, short])

    assert [(m.start_us - START_US) // MINUTE_US for m in minutes] == [1, 5]
    assert minutes[1].calls[0].at_us == long.ended_us


async def test_what_takes_longer_than_an_hour_is_late_and_not_lost(database_url: str) -> None:
    endless = lasting(1, START_US, 3 * LONGEST_US)
    others = [lasting(2 + n, START_US + n * LONGEST_US, 1) for n in range(1, 5)]
    minutes = await minutes_of(database_url, [endless, *others])

    starts = [minute.start_us for minute in minutes]
    assert starts == sorted(set(starts))
    assert sum(len(minute.calls) for minute in minutes) == 5


async def test_what_ended_in_the_period_is_in_it_and_nothing_else(database_url: str) -> None:
    records = [
        lasting(1, START_US - 2 * MINUTE_US, MINUTE_US),
        lasting(2, START_US - MINUTE_US, 2 * MINUTE_US),
        lasting(3, UNTIL_US - MINUTE_US, 2 * MINUTE_US),
        lasting(4, UNTIL_US, 1),
    ]
    minutes = await minutes_of(database_url, records)

    assert [call.at_us for minute in minutes for call in minute.calls] == [records[1].ended_us]


async def test_a_later_correction_is_not_in_it(database_url: str, sql: Operator) -> None:
    """What was not known then would have told nobody."""
    record = replace(a_call(1), attempts=(an_attempt(cost_nano=None),))
    async with opened(database_url) as db:
        await append(db, [record])
        sql.run(
            "INSERT INTO corrections (call_id, made_us, actor, reason, delta_nano, cost_nano) "
            "VALUES (:call, 1, 'a', 'r', 5, 5)",
            call=record.facts.id,
        )
        minutes = [minute async for minute in Minutes(db).between(START_US, UNTIL_US)]

    assert minutes[0].calls[0].cost_nano is None


async def test_tags_are_told_apart(database_url: str) -> None:
    record = with_facts(a_call(1), labels={"env": "prod"})
    (minute,) = await minutes_of(database_url, [record])

    assert minute.calls[0].seen["tag:env"] == "prod"


async def test_prices_come_with_their_first_call_of_a_day(database_url: str) -> None:
    dearer = replace(an_attempt(), charges=(Charge(0, "input", 200, "3", 600_000),))
    records = [
        a_call(1),
        a_call(2, at_us=START_US + MINUTE_US),
        a_call(3, at_us=START_US + 2 * MINUTE_US, attempts=[dearer]),
    ]
    minutes = await minutes_of(database_url, records, prices=True)

    def price(bucket: str, usd: str) -> PriceSeen:
        return PriceSeen("openai/gpt-4o-mini", bucket, usd)

    assert [minute.prices for minute in minutes if minute.prices] == [
        (price("input", "2"), price("output", "12")),
        (price("input", "3"),),
    ]


async def test_an_empty_ledger_has_no_minutes(database_url: str) -> None:
    assert await minutes_of(database_url, []) == []
    async with opened(database_url) as db:
        assert await Minutes(db).kept_since() == 0
