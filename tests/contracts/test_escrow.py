"""What every escrow holds to: the one in memory that tests use, and the leases over SQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.accounts import Account
from gateway.core.budgets import Bound, Budget, Mode
from gateway.core.escrow import Obstacle
from gateway.core.windows import LIFETIME, Window
from gateway.jobs.leases import Leases
from gateway.ports import Escrow
from gateway.storage.accounts import Accounts
from tests.databases import KINDS, fresh, opened
from tests.fakes.clock import FakeClock
from tests.fakes.escrow import MemoryEscrow
from tests.jobs.test_leases import unchanged

pytestmark = pytest.mark.anyio


def bound(name: str, limit: int, mode: Mode = Mode.HARD) -> Bound:
    return Bound(Budget(name, limit, Window.LIFETIME, mode=mode), Account(name, "everything", 0), LIFETIME)


WIDE, NARROW = bound("wide", 1000), bound("narrow", 100)
BOTH = [WIDE.account, NARROW.account]


@pytest.fixture(params=["memory", *KINDS])
async def escrow(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Escrow]:
    if request.param == "memory":
        yield MemoryEscrow()
        return
    with fresh(request.param, tmp_path, lambda: request.getfixturevalue("postgres")) as url:
        async with opened(url) as db:
            yield Leases(Accounts(db, "one"), FakeClock(), unchanged, patience=0.0)


async def test_nothing_is_at_hand_that_was_never_asked_for(escrow: Escrow) -> None:
    assert not escrow.take(BOTH, 1)
    assert escrow.take([], 1)


async def test_what_was_asked_for_once_is_at_hand(escrow: Escrow) -> None:
    assert await escrow.hold([WIDE, NARROW], 40) is None
    escrow.settle(BOTH, 40, 0)
    assert escrow.take(BOTH, 40)


async def test_all_or_none(escrow: Escrow) -> None:
    lack = await escrow.hold([WIDE, NARROW], 101)
    assert lack is not None
    assert (lack.bound, lack.obstacle, lack.left) == (NARROW, Obstacle.SPENT, 100)
    assert escrow.remaining([WIDE]) == 1000


async def test_what_is_charged_is_gone_and_the_rest_comes_back(escrow: Escrow) -> None:
    assert await escrow.hold([NARROW], 60) is None
    assert escrow.remaining([WIDE, NARROW]) == 40
    escrow.settle([NARROW.account], 60, 25)
    assert escrow.remaining([NARROW]) == 75
    lack = await escrow.hold([NARROW], 76)
    assert lack is not None
    assert (lack.obstacle, lack.left) == (Obstacle.SPENT, 75)
    assert await escrow.hold([NARROW], 75) is None


async def test_what_is_only_held_is_no_money_spent(escrow: Escrow) -> None:
    assert await escrow.hold([NARROW], 100) is None
    lack = await escrow.hold([NARROW], 1)
    assert lack is not None
    assert (lack.obstacle, lack.left) == (Obstacle.HELD, 100)


async def test_only_hard_budgets_have_anything_left(escrow: Escrow) -> None:
    assert escrow.remaining([bound("soft", 5, Mode.SOFT)]) is None
