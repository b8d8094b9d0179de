"""What `/readyz` and the gauges of `/metrics` say of this gateway."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app.health import Condition
from gateway.app.team import Team
from gateway.control.dependencies import Check
from gateway.jobs.ledger import LATE, LedgerLag
from gateway.storage.journal import JournalStats
from gateway.telemetry.board import Board
from gateway.telemetry.metrics import Known, Metrics
from tests.app.building import ADMIN, built, running
from tests.fakes.records import ATTEMPT, COMPLETED

LAG = LedgerLag(
    backlog_bytes=0, oldest_age_seconds=0.0, own_age_seconds=0.0, last_error=None, dead_letters=0,
    dead_journals=0, replay_error=None, shipped=7, corrupt=0, torn=2, newer=0,
)  # fmt: skip
JOURNAL = JournalStats(
    bytes_on_disk=80, max_bytes=1000, reserved_bytes=0, frames_written=1, open_calls=0, unwritten_calls=0, trouble=None
)


def condition(
    lag: LedgerLag = LAG,
    journal: JournalStats = JOURNAL,
    known: Known | None = None,
    providers: tuple[str, ...] = (),
    reading: str | None = None,
) -> Condition:
    one = Condition(
        lag=lambda: lag, reading=lambda: reading, journal=lambda: journal, bytes_on_disk=lambda: 80,
        log_lines_dropped=lambda: 3, providers=providers, known=lambda: known or Known(0, 0, 0),
        totals=lambda: one.storage(),
    )  # fmt: skip
    return one


@pytest.mark.anyio
async def test_all_is_well() -> None:
    health = condition(known=Known(1000, 1, 250), providers=("openai", "gpu")).health
    assert await health.database() == Check(True, "the database takes every call")
    assert await health.journal() == Check(True, "80 of 1000 bytes on disk, 0 not in the ledger")
    assert await health.providers() == Check(True, "openai, gpu")
    shares = "of 1000 calls since the start 0.1% have no known cost, 25.0% estimated usage"
    assert await health.figures() == Check(True, f"every call reaches the ledger; {shares}")
    assert (await condition().health.figures()).detail == "every call reaches the ledger; no calls since the start"


@pytest.mark.anyio
async def test_whatever_is_behind_or_missing_is_said() -> None:
    """Known fault 29: what is in no figure is told where somebody looks."""
    behind = replace(LAG, backlog_bytes=50, oldest_age_seconds=12.34, last_error="it is locked")
    assert await condition(behind).health.database() == Check(False, "the journal is taking over: it is locked")
    slow = replace(LAG, backlog_bytes=50, oldest_age_seconds=99.0, own_age_seconds=12.34)
    told = "the database is slow: the first call that is not in the ledger ended 12.3 s ago, 50 bytes wait"
    assert await condition(slow).health.database() == Check(False, told)
    replaying = replace(LAG, backlog_bytes=50, oldest_age_seconds=99.0, own_age_seconds=LATE)
    assert (await condition(replaying).health.database()).ok
    idle = condition(reading="it is away").health
    assert await idle.database() == Check(False, "the journal would take over: it is away")
    told = "80 of 1000 bytes on disk, 50 not in the ledger, the oldest call ended 12.3 s ago"
    assert await condition(behind).health.journal() == Check(True, told)
    full = replace(JOURNAL, trouble="the journal is full")
    assert await condition(journal=full).health.journal() == Check(False, "the journal is full")
    assert not (await condition().health.providers()).ok
    for gap, words in (
        ({"dead_letters": 2}, "2 calls were refused"),
        ({"corrupt": 3}, "3 stretches of journals are damaged and kept"),
        ({"dead_journals": 1, "replay_error": "its disk fails"}, "1 journals of dead processes are not replayed; its"),
        ({"newer": 4}, "4 frames can be read by a newer version only"),
    ):
        figures = await condition(replace(LAG, **gap)).health.figures()
        assert not figures.ok
        assert figures.detail.startswith(words)


def test_the_gauges_are_the_same_figures() -> None:
    stats = condition(replace(LAG, dead_letters=2, corrupt=1, dead_journals=1, newer=4, backlog_bytes=5)).storage()
    assert (stats.dead_letters, stats.journals_left, stats.newer_frames, stats.backlog_bytes) == (2, 1, 4, 5)
    assert (stats.journal_bytes, stats.journal_max_bytes, stats.log_lines_dropped) == (80, 1000, 3)
    assert (stats.corrupt_frames, stats.torn_frames) == (1, 2)


@pytest.mark.anyio
async def test_a_gateway_is_ready_and_the_journal_tells_its_size(tmp_path: Path) -> None:
    gateway = built(tmp_path)
    async with running(gateway) as client:
        checks = (await client.get("/readyz", headers=ADMIN)).json()["checks"]
        assert all(check["ok"] for check in checks.values())
        size = int(checks["journal"]["detail"].split()[0])
        assert size == gateway.condition.storage().journal_bytes
        assert checks["providers"]["detail"] == "sim"


@pytest.mark.anyio
async def test_a_database_that_breaks_is_seen_before_the_next_call_ends(tmp_path: Path) -> None:
    """Known fault 29: a gateway without traffic must not say that the database takes every call."""
    gateway = built(tmp_path)
    async with running(gateway) as client:
        with closing(sqlite3.connect(tmp_path / "tollkeeper.db", isolation_level=None)) as other:
            other.execute("ALTER TABLE revisions RENAME TO elsewhere")
            async with asyncio.timeout(10):
                while (await client.get("/readyz", headers=ADMIN)).json()["checks"]["database"]["ok"]:
                    await asyncio.sleep(0.05)
            answer = await client.get("/readyz", headers=ADMIN)
            assert answer.status_code == 200, "calls go on"
            assert answer.json()["checks"]["database"]["detail"].startswith("the journal would take over: the database")
            other.execute("ALTER TABLE elsewhere RENAME TO revisions")


@pytest.mark.anyio
async def test_without_a_provider_it_is_not_ready(tmp_path: Path) -> None:
    async with running(built(tmp_path, providers="{}")) as client:
        assert (await client.get("/readyz")).status_code == 503


@pytest.mark.anyio
async def test_another_worker_that_cannot_take_calls_is_told_of(tmp_path: Path) -> None:
    board = Board(2)
    gateway = built(tmp_path, team=Team(board, 0))
    async with running(gateway) as client:
        assert (await client.get("/readyz")).status_code == 200
        full = {**gateway.condition.checks(), "journal": Check(False, "no room")}
        Team(board, 1).show(gateway.metrics.told, lambda: full)
        answer = await client.get("/readyz", headers=ADMIN)
        assert answer.status_code == 503
        assert answer.json()["checks"]["journal"] == {"ok": False, "detail": "worker 1: no room"}


@pytest.mark.anyio
async def test_the_figures_are_those_of_all_workers(tmp_path: Path) -> None:
    board = Board(2)
    gateway = built(tmp_path, team=Team(board, 0))
    other = Metrics("1.2.3", lambda _: True)
    other.call_ended(replace(COMPLETED, attempts=(replace(ATTEMPT, cost_nano=None),)))
    behind = {**gateway.condition.checks(), "figures": Check(False, "2 journals are not replayed")}
    Team(board, 1).show(other.told, lambda: behind)
    gateway.metrics.call_ended(COMPLETED)
    async with running(gateway) as client:
        answer = await client.get("/readyz", headers=ADMIN)
        assert answer.status_code == 200, "a reason to look, not one to refuse calls"
        shares = "of 2 calls since the start 50.0% have no known cost, 0.0% estimated usage"
        figures = {"ok": False, "detail": f"worker 1: 2 journals are not replayed; {shares}"}
        assert answer.json()["checks"]["figures"] == figures
