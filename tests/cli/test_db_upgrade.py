"""`tollkeeper db upgrade` on a PostgreSQL ledger from before there were partitions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.doctor import books
from gateway.cli.doctor.finding import State
from gateway.storage.engine import begun, current, head
from gateway.storage.migrate import known_revisions
from tests.cli.terminal import invoke, run
from tests.postgres_server import PostgresServer
from tests.storage.test_migrate_online import PARTS, old_ledger, stop_before
from tests.storage.test_partitions import filled


@pytest.fixture
def before(postgres: PostgresServer) -> Iterator[str]:
    with old_ledger(postgres) as url:
        asyncio.run(filled(url))
        yield url


def test_how_long_it_takes_is_told_before_and_a_dry_run_changes_nothing(before: str, tmp_path: Path) -> None:
    """Known fault 86: how much and how long is known before it starts."""
    was = current(before)
    told = invoke(tmp_path, "db", "upgrade", "--dry-run", TOLLKEEPER_DATABASE_URL=before)
    assert told.exit_code == 0
    newer = sorted(known_revisions())[1:]
    assert told.stderr.endswith(f"{len(newer)} revisions to go, 5 calls, about 0 s\n")
    assert (current(before), begun(before)) == (was, False)
    done = run(tmp_path, "db", "upgrade", TOLLKEEPER_DATABASE_URL=before)
    assert done.returncode == 0
    estimate, *parts = done.stderr.splitlines()[len(newer) :]
    assert estimate == told.stderr.splitlines()[-1]
    done_then = [f"{place} of {len(newer)}: {revision}" for place, revision in enumerate(newer, 1)]
    assert parts == [done_then[0], *(f"  {part}" for part in PARTS), *done_then[1:]]
    assert current(before) == newer[-1] == head()


@pytest.mark.anyio
async def test_one_that_was_stopped_is_seen(before: str, tmp_path: Path) -> None:
    def told() -> str:
        return invoke(tmp_path, "db", "check", TOLLKEEPER_DATABASE_URL=before).stderr

    assert "has begun" not in told()
    await asyncio.to_thread(stop_before, before, PARTS[2])
    assert "an upgrade has begun and is not through" in told()
    found = await books.schema(before)
    assert found.state is State.FAILED
    assert "an upgrade has begun" in found.detail
    await asyncio.to_thread(run, tmp_path, "db", "upgrade", TOLLKEEPER_DATABASE_URL=before)
    assert (await books.schema(before)).state is State.OK
