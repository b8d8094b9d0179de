"""What a budget begins with: exactly what the calls of its window have cost, by the subjects that will be charged."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.accounts import Account, places_of
from gateway.core.budgets import Budget, Budgets, Mode
from gateway.core.calls import Attempt, CallRecord
from gateway.core.escrow import charges_of
from gateway.core.scopes import Part, scope_of
from gateway.core.windows import Window
from gateway.storage.accounts import Accounts, Want
from gateway.storage.budget_seeds import begun, seed, shape_of
from gateway.storage.budgets import BudgetRepository
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.repricing import Period, Repricing
from gateway.storage.retention import Retention
from tests.databases import Operator, opened
from tests.storage.calls import HOUR_US, START_US, a_call, an_attempt, with_facts

NOW = START_US + 30 * 60_000_000
DAY_US = 24 * HOUR_US
SPENT = "SELECT subject, spent_nano FROM budget_accounts WHERE budget = 'b' ORDER BY subject"


async def ship(db: Database, folder: Path, records: Sequence[CallRecord], at: int = 1) -> None:
    assert len(await Ledger(db, DeadLetters(folder)).append("j", records, Mark(1, at))) == len(records)


async def spent(db: Database, sql: Operator, *scope: Part, window: Window = Window.DAY) -> dict[str, int]:
    """What a budget of this scope begins with."""
    await BudgetRepository(db, lambda: NOW).add(Budget("b", 1, window, scope=scope_of(scope)), "cli")
    return dict(sql.rows(SPENT))


def at(target: str, index: int = 0, cost: int | None = 1_600_000) -> Attempt:
    return replace(an_attempt(index, cost_nano=cost), target=target, provider=target.partition("/")[0])


@pytest.mark.anyio
async def test_a_budget_made_in_the_middle_of_its_window_begins_with_what_was_spent(
    db: Database, sql: Operator, tmp_path: Path
) -> None:
    """Of the window alone; an unpriced call counts with its priced part."""
    before, unpriced = a_call(1, at_us=START_US - DAY_US), a_call(2, attempts=[an_attempt(cost_nano=None)])
    await ship(db, tmp_path, [before, a_call(3), unpriced, a_call(4, attempts=[])])
    assert await spent(db, sql) == {"everything": 2_000_000}


@pytest.mark.anyio
async def test_values_are_counted_apart_and_fixed_ones_filter(db: Database, sql: Operator, tmp_path: Path) -> None:
    calls = [with_facts(a_call(number), key=key) for number, key in enumerate(["ci", "ci", "a,b", None])]
    await ship(db, tmp_path, [*calls, with_facts(a_call(9), team="other", key="ci")])
    scope = ("team", "platform"), ("key", "*")
    assert await spent(db, sql, *scope) == {"key=ci": 3_200_000, "key=a%2Cb": 1_600_000}


@pytest.mark.anyio
async def test_windows_that_begin_within_an_hour_count_from_there(db: Database, sql: Operator, tmp_path: Path) -> None:
    """Half past six in the evening, UTC: midnight in Kolkata. Hourly sums alone would be half an hour off."""
    midnight = START_US - 13 * HOUR_US - HOUR_US // 2
    calls = [a_call(1, at_us=midnight - 1), a_call(2, at_us=midnight), a_call(3, at_us=midnight + HOUR_US)]
    await ship(db, tmp_path, calls)
    budget = Budget("b", 1, Window.DAY, "Asia/Kolkata")
    await BudgetRepository(db, lambda: NOW).add(budget, "cli")
    assert sql.rows(SPENT) == [("everything", 3_200_000)]


@pytest.mark.anyio
async def test_targets_are_charged_what_their_attempts_cost(db: Database, sql: Operator, tmp_path: Path) -> None:
    twice = a_call(1, attempts=[at("openai/a", 0, 5), at("gpu/b", 1, 70)])
    await ship(db, tmp_path, [twice, a_call(2, attempts=[at("gpu/b", 0, 900)])])
    assert await spent(db, sql, ("provider", "*")) == {"provider=gpu": 970, "provider=openai": 5}


@pytest.mark.anyio
@pytest.mark.parametrize(("scope", "amounts"), [
    ([], {"everything": 207}),
    ([("session", "*")], {"session=session-1": 207}),
    ([("target", "*")], {"target=gpu/b": 202, "target=openai/a": 5}),
])  # fmt: skip
async def test_a_corrected_call_counts_as_it_was_corrected_last(
    db: Database, sql: Operator, tmp_path: Path, scope: list[Part], amounts: Mapping[str, int]
) -> None:
    twice = a_call(1, attempts=[at("openai/a", 0, 5), at("gpu/b", 1, None)])
    await ship(db, tmp_path, [twice])
    for found in ((99, "a book"), (207, "a newer one")):
        async for _ in Repricing(db).apply(Period(0, NOW), partial(_costs, found), "cli", "test"):
            pass
    assert await spent(db, sql, *scope) == amounts


def _costs(found: tuple[int, str], _: Sequence[Attempt]) -> tuple[int, str]:
    return found


TAGS = [{"env": "prod"}, {"env": "dev"}, {"env": "pr\0d"}, {"env": 'a"b\\,c'}, {"app": "x"}, {'e"v': "1"}, {"env": "é"}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("part", "subjects"),
    [
        ("env=*", {"tag:env=prod", "tag:env=dev", "tag:env=pr%00d", 'tag:env=a"b\\%2Cc', "tag:env=é"}),
        ("env=prod", {"everything"}),
        ('e"v=*', {'tag:e"v=1'}),
        ("none=*", set()),
    ],
)
async def test_tags_are_read_out_of_the_labels_of_calls(
    db: Database, sql: Operator, tmp_path: Path, part: str, subjects: set[str]
) -> None:
    await ship(db, tmp_path, [with_facts(a_call(number), labels=tags) for number, tags in enumerate(TAGS)])
    found = await spent(db, sql, ("tag", part))
    assert set(found) == subjects
    assert set(found.values()) <= {1_600_000}


@pytest.mark.anyio
async def test_what_is_kept_in_reserve_stays_so_for_a_hard_budget(db: Database, sql: Operator, tmp_path: Path) -> None:
    cut = replace(an_attempt(), hold_nano=10_000_000, reserve_nano=8_400_000)
    await ship(db, tmp_path, [a_call(1, attempts=[cut])])
    repository = BudgetRepository(db, lambda: NOW)
    for name, mode, scope in (("a", Mode.HARD, []), ("b", Mode.SOFT, []), ("c", Mode.HARD, [("provider", "*")])):
        await repository.add(Budget(name, 1, Window.DAY, mode=mode, scope=scope_of(scope)), "cli")
    rows = sql.rows("SELECT spent_nano, reserve_nano FROM budget_accounts ORDER BY budget")
    assert rows == [(1_600_000, 8_400_000), (1_600_000, 0), (1_600_000, 8_400_000)]


@pytest.mark.anyio
async def test_calls_whose_detail_was_deleted_count_by_their_sums(db: Database, sql: Operator, tmp_path: Path) -> None:
    await ship(db, tmp_path, [a_call(1), a_call(2, at_us=START_US + HOUR_US)])
    async for _ in Retention(db, lambda: NOW).prune(START_US + HOUR_US, "cli"):
        pass
    assert await spent(db, sql, ("team", "platform"), window=Window.LIFETIME) == {"everything": 3_200_000}


@pytest.mark.anyio
async def test_what_was_leased_stays_leased_and_what_was_counted_is_counted_anew(
    db: Database, sql: Operator, tmp_path: Path
) -> None:
    """A name that was removed and comes again, while a process has a slice of it still."""
    await ship(db, tmp_path, [a_call(1)])
    day = START_US - 8 * HOUR_US
    sql.run(
        "INSERT INTO budget_accounts VALUES "
        "('b', 'key=old', :day, 7, 7, 0, 1, 1), ('b', 'everything', :day, 9, 9, 0, 1, 1)",
        day=day,
    )
    account = Account("b", "everything", day)
    await Accounts(db, "process").lease([Want(account, 5, 5, 100, 0)], NOW)
    assert await spent(db, sql) == {"everything": 1_600_000}
    anew = sql.rows("SELECT reserve_nano, leased_nano, corrected_nano, beyond_nano FROM budget_accounts")
    assert anew == [(0, 5, 0, 0)]


@pytest.mark.anyio
async def test_a_budget_has_begun_as_long_as_its_shape_is_the_same(db: Database) -> None:
    budget = Budget("b", 1, Window.DAY, scope=scope_of([("team", "x")]))
    async with db.write() as session:
        assert not await begun(session, budget)
        await seed(session, budget, 0, NOW)
        assert await begun(session, replace(budget, limit_nano=2, mode=Mode.SOFT))
        for other in (
            replace(budget, window=Window.WEEK),
            replace(budget, zone="Europe/Berlin"),
            replace(budget, scope=scope_of([])),
        ):
            assert shape_of(other) != shape_of(budget)
            assert not await begun(session, other)


@pytest.mark.anyio
async def test_thousands_of_subjects_begin_together(db: Database, sql: Operator, tmp_path: Path) -> None:
    await ship(db, tmp_path, [with_facts(a_call(number), end_user=f"user-{number}") for number in range(1200)])
    assert len(await spent(db, sql, ("end_user", "*"))) == 1200


texts = st.sampled_from([None, "a", "b", "a,b", "%", "é", "x" * 300, "\u200b"])
parts = st.lists(
    st.sampled_from([
        ("key", "*"), ("key", "a"), ("team", "*"), ("team", "b"), ("model", "*"), ("session", "*"), ("end_user", "a,b"),
        ("target", "*"), ("provider", "gpu"), ("tag", "t=*"), ("tag", "t=a"), ("tag", "u=*"),
    ]),
    max_size=3,
    unique_by=lambda part: part[1].partition("=")[0] if part[0] == "tag" else part[0],
)  # fmt: skip


@st.composite
def some_calls(draw: st.DrawFn) -> list[CallRecord]:
    made = []
    for number in range(draw(st.integers(1, 6))):
        tried = [
            at(draw(st.sampled_from(["openai/a", "gpu/b"])), index, draw(st.none() | st.integers(0, 1000)))
            for index in range(draw(st.integers(0, 2)))
        ]
        labels = {name: tag for name in "tu" if (tag := draw(texts)) is not None}
        call = a_call(number, at_us=START_US + draw(st.integers(-9, 1)) * HOUR_US, attempts=tried)
        facts = {name: draw(texts) for name in ("key", "team", "model", "session", "end_user")}
        made.append(with_facts(call, labels=labels, **facts))
    return made


# The one database of all examples is emptied by each.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(some_calls(), parts)
def test_it_is_what_the_calls_would_have_been_charged(
    database_url: str, sql: Operator, tmp_path: Path, records: list[CallRecord], parts: list[Part]
) -> None:
    """Had the budget been there before them: each account is the same to the nano-dollar."""
    for table in ("charges", "attempts", "calls", "rollups_hourly", "budget_accounts", "budgets"):
        sql.run(f"DELETE FROM {table}")  # noqa: S608 (names of this line)

    async def work() -> dict[str, int]:
        async with opened(database_url) as db:
            await ship(db, tmp_path, records)
            return await spent(db, sql, *parts)

    found = asyncio.run(work())
    budget = Budget("b", 1, Window.DAY, scope=scope_of(parts))
    assert {subject: amount for subject, amount in found.items() if amount} == charged(budget, records)


def charged(budget: Budget, records: Sequence[CallRecord]) -> dict[str, int]:
    """What the ledger would have added to the budget's accounts of today."""
    index = Budgets([budget], {"UTC": UTC})
    today = index.span(budget, NOW).start_us
    bound = []
    for record in records:
        seen = [
            [one.account for one in index.binding(record.facts, a.target, a.provider).bounds] for a in record.attempts
        ]
        accounts = tuple({account: None for some in seen for account in some})
        tried = zip(record.attempts, seen, strict=True)
        held = tuple(replace(attempt, held_in=places_of(some, accounts)) for attempt, some in tried)
        bound.append(replace(record, accounts=accounts, attempts=held))
    sums = {account: one.spent for account, one in charges_of(bound).items() if one.spent}
    return {account.subject: amount for account, amount in sums.items() if account.window_start_us == today}
