"""Calls in the ledger, for the tests that read them."""

from dataclasses import replace
from pathlib import Path

from gateway.core.calls import Attempt, CallRecord, Charge, End
from gateway.core.usage import NOTHING_KNOWN, Basis
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger
from tests.fakes.clock import FakeClock
from tests.fakes.records import ATTEMPT, COMPLETED, FACTS

NOW_US = FakeClock().now_us()
HOUR_US = 3_600_000_000
CHARGE = Charge(0, "input", 200, "2", 400_000)
PRICED = replace(ATTEMPT, price_book="test 1", charges=(CHARGE,), upstream_request_id="req-1")
UNPRICED = replace(
    ATTEMPT, target="gpu-box/llama-3-8b", provider="gpu-box", cost_nano=None, usage_basis=Basis.ESTIMATED
)
FAILED = replace(
    ATTEMPT,
    end=End.FAILED,
    status=500,
    error="upstream_error: it broke",
    usage=NOTHING_KNOWN,
    usage_basis=Basis.NONE,
    cost_nano=None,
)


def call(number: int, hours_ago: float, *attempts: Attempt, team: str | None = "search", end: End) -> CallRecord:
    """A call of `team` that started some hours before the tests' now."""
    started_us = NOW_US - round(hours_ago * HOUR_US)
    call_id = f"0199c0de-0000-7000-8000-{number:012d}"
    attempts = tuple(
        replace(one, index=index, charges=tuple(replace(charge, attempt=index) for charge in one.charges))
        for index, one in enumerate(attempts)
    )
    facts = replace(FACTS, id=call_id, started_us=started_us, team=team, session=f"session-{number}")
    status = 200 if end is End.COMPLETED else 502
    return replace(COMPLETED, facts=facts, attempts=attempts, end=end, status=status, ended_us=started_us + 262_000)


CALLS = (
    call(1, 1, PRICED, end=End.COMPLETED),
    call(2, 2, FAILED, PRICED, team="ads", end=End.COMPLETED),
    call(3, 30, UNPRICED, end=End.COMPLETED),
    call(4, 31, FAILED, team=None, end=End.FAILED),
    call(5, 24 * 40, PRICED, end=End.COMPLETED),
)
"""Two today, two the day before, and one that is older than the default period."""


async def fill(database: Database, folder: Path) -> None:
    """Put `CALLS` into the ledger."""
    ledger = Ledger(database, DeadLetters(folder))
    assert len(await ledger.append("journal-1", CALLS, Mark(1, 100))) == len(CALLS)
