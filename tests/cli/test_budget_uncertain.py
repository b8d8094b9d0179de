"""What dead processes had leased: listed, told by the doctor, written off by whoever knows that they never return."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.doctor.books import leased
from gateway.core.accounts import Account
from gateway.core.escrow import Standing
from gateway.storage.accounts import Accounts, Want, standing_of
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database
from tests.cli.terminal import invoke
from tests.databases import new_database

ALL = Account("all", "everything", 0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    new_database(tmp_path)
    return tmp_path


def with_db(data: Path, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        db = Database(f"sqlite+aiosqlite:///{data}/tollkeeper.db")
        await db.connect()
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())


async def lease_some(db: Database) -> None:
    now = wall_clock_us()
    for owner, ends in (("gone", now - 3_600_000_000), ("alive", now + 30_000_000)):
        await Accounts(db, owner).lease([Want(ALL, 60, 60, 1000, 0)], ends)


async def stands(db: Database) -> Standing:
    async with db.read() as session:
        return await standing_of(session, ALL)


def test_nothing_is_uncertain_at_first(data: Path) -> None:
    assert invoke(data, "budget", "uncertain").stdout == "nothing is uncertain\n"


def test_only_the_dead_are_listed_and_written_off(data: Path) -> None:
    with_db(data, lease_some)
    (lease,) = json.loads(invoke(data, "budget", "uncertain", "--json").stdout)
    assert (lease["process"], lease["budget"], lease["leased_usd"]) == ("gone", "all", "0.000000060")
    assert "gone" in invoke(data, "budget", "uncertain").stdout
    done = invoke(data, "budget", "uncertain", "--write-off", "gone")
    assert (done.exit_code, "counted as spent" in done.stdout) == (0, True)
    assert with_db(data, stands) == Standing(spent=60, leased=60)
    again = invoke(data, "budget", "uncertain", "--write-off", "gone")
    assert (again.exit_code, "nothing of gone is uncertain" in again.stderr) == (1, True)


def test_who_lives_cannot_be_written_off(data: Path) -> None:
    with_db(data, lease_some)
    assert invoke(data, "budget", "uncertain", "--write-off", "alive").exit_code == 1
    assert with_db(data, stands) == Standing(leased=120)


def test_the_doctor_tells() -> None:
    assert "nothing" in leased(set(), 0).detail
    assert "gone had $0.000000060" in leased({"gone"}, 60).detail
