"""Which idle connection is used, and when one is closed."""

from typing import Any

import pytest

from gateway.providers.http1 import Connection
from gateway.providers.pool import Key, Pool
from tests.providers.asking import LOOPS
from tests.providers.memory_line import MemoryLine, at_once
from tests.raw_server import until

pytestmark = pytest.mark.anyio
A: Key = ("a", 80, False)
B: Key = ("a", 80, True)


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def connected(pool: Pool) -> Connection:
    connection = Connection(pool.lost, at_once())
    connection.connection_made(MemoryLine())
    pool.opened(connection)
    return connection


async def test_the_last_one_used_is_used_first_and_by_one_alone() -> None:
    pool = Pool()
    first, second = connected(pool), connected(pool)
    pool.give_back(A, first, 5)
    pool.give_back(A, second, 5)
    assert [pool.take(A), pool.take(A), pool.take(A)] == [second, first, None]
    assert pool.lines == {first, second}
    pool.close()


async def test_origins_share_nothing() -> None:
    pool = Pool()
    pool.give_back(A, connected(pool), 5)
    assert pool.take(B) is None
    pool.close()


async def test_what_cannot_be_used_again_is_closed() -> None:
    pool = Pool()
    spoilt, too_late, busy = connected(pool), connected(pool), connected(pool)
    spoilt.reusable = False
    busy.send(b"", b"")
    pool.give_back(A, spoilt, 5)
    pool.give_back(A, too_late, 0)
    pool.give_back(A, busy, 5)
    assert pool.take(A) is None
    assert [spoilt.open, too_late.open, busy.open] == [False] * 3


async def test_one_that_closed_while_idle_is_passed_over() -> None:
    pool = Pool()
    good, gone = connected(pool), connected(pool)
    pool.give_back(A, good, 5)
    pool.give_back(A, gone, 5)
    gone.abort()
    gone.connection_lost(None)
    assert pool.lines == {good}
    assert pool.take(A) is good
    pool.close()


async def test_everyone_has_a_time_of_their_own() -> None:
    """Those below the one that is used again and again are closed too."""
    pool = Pool()
    short, long = connected(pool), connected(pool)
    pool.give_back(A, long, 5)
    pool.give_back(A, short, 0.05)
    await until(lambda: not short.open, "the short one is closed")
    assert pool.take(A) is long

    pool.give_back(A, connected(pool), 0.05)
    pool.give_back(B, long, 0.1)
    await until(lambda: not long.open, "and the long one after it")
    assert pool.take(A) is pool.take(B) is None


async def test_one_whose_time_is_over_is_not_used_though_nobody_closed_it_yet() -> None:
    pool = Pool()
    late = connected(pool)
    pool.give_back(A, late, 5)
    late.keep_until = 0.0
    assert pool.take(A) is None
    assert not late.open
    pool.close()


async def test_one_that_ended_before_it_was_known_is_not_kept() -> None:
    pool = Pool()
    connection = Connection(pool.lost, at_once())
    line = MemoryLine()
    connection.connection_made(line)
    line.close()
    connection.connection_lost(None)
    pool.opened(connection)
    assert pool.lines == set()


async def test_closing_closes_everything_and_may_be_repeated() -> None:
    pool = Pool()
    idle, busy = connected(pool), connected(pool)
    busy.send(b"", b"")
    pool.give_back(A, idle, 5)
    pool.close()
    pool.close()
    assert not idle.open
    assert not busy.open
    assert pool.take(A) is None
