"""Hundreds of processes that die between a frame and the commit of its row, or while they replay others that died.

A real gateway under load is killed in `tests/e2e`; here a life costs so little that death comes at every moment.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.storage.engine import Database
from tests.databases import Operator
from tests.jobs.test_ledger import shipping, until, writing

KILLS = {"sqlite": 120, "postgresql": 40}
COST_NANO = 1_600_000


@pytest.mark.anyio
async def test_hundreds_of_killed_shippers_lose_nothing_and_repeat_nothing(
    database_url: str, db: Database, sql: Operator, tmp_path: Path
) -> None:
    """Known faults 29, 52, 55, 59: what was said to be written is in the ledger once, and all sums say so."""
    folder = tmp_path / "journal"
    folder.mkdir()
    kills = KILLS[sql.dialect]
    program = [sys.executable, "-m", "tests.jobs.shippers", str(folder), database_url, str(kills)]
    told = (await asyncio.to_thread(subprocess.run, program, check=True, timeout=120, capture_output=True)).stdout
    shipped_by_the_dead = sql.count("calls")
    async with writing(folder) as journal, shipping(journal, folder, db) as job:
        await until(lambda: [path for path in folder.iterdir() if path.is_dir()] == [journal.directory])
        stats = job.stats()
    assert (stats.corrupt, stats.dead_letters, stats.replay_error) == (0, 0, None)

    said = [line.split() for line in told.decode().splitlines()]
    opened, closed = ({call for what, call in said if what == which} for which in "oc")
    rows = sql.rows('SELECT id, "end", cost_nano FROM calls')
    ends = {id: (end, cost) for id, end, cost in rows}
    assert len(ends) == len(rows)
    assert {ends[call] for call in closed} == {("completed", COST_NANO)}
    assert opened <= ends.keys()
    # Of each process one frame may have been written of which nothing was told any more.
    assert len(ends.keys() - opened) <= kills + 2
    assert sum(ends[call][0] == "completed" for call in opened - closed) <= kills + 2
    assert {ends[call][0] for call in opened - closed} <= {"completed", "interrupted"}
    assert len(closed) // 4 < shipped_by_the_dead < len(rows), "they died too early or too late to tell anything"
    count, cost = len(rows), sum(cost for _, _, cost in rows)
    assert sql.count("attempts") == count
    assert sql.rows("SELECT sum(calls), sum(attempts), sum(cost_nano) FROM rollups_hourly") == [(count, count, cost)]
    assert sql.one("SELECT sum(amount_nano) FROM charges") == cost
