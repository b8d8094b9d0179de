"""The one timer of all connections."""

import asyncio
import re
from math import inf

import pytest

from gateway.server.watch import Watch
from tests.server.talk import Clock, until


class Due:
    def __init__(self, due: float = inf, *, fails: bool = False) -> None:
        self.due = due
        self.fails = fails
        self.looks: list[float] = []

    def look(self, now: float) -> None:
        self.looks.append(now)
        self.due = inf
        if self.fails:
            raise RuntimeError("ours")


@pytest.mark.anyio
async def test_only_what_is_due_is_looked_at() -> None:
    clock = Clock()
    watch: Watch[Due] = Watch(tick=3600, clock=clock)
    early, late = Due(clock.now + 1), Due(clock.now + 2)
    watch.add(early)
    watch.add(late)
    assert (early.looks, late.looks) == ([], [])
    clock.now += 1
    watch.tick()
    assert (early.looks, late.looks) == ([clock.now], [])
    late.due = clock.now
    early.due = clock.now + 1
    watch.tick()
    assert (len(early.looks), len(late.looks)) == (1, 1)


@pytest.mark.anyio
async def test_time_and_date_are_told_as_soon_as_there_is_anybody() -> None:
    clock = Clock()
    watch: Watch[Due] = Watch(tick=3600, clock=clock)
    watch.add(Due())
    assert watch.now == clock.now
    assert re.fullmatch(rb"date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", watch.date)


@pytest.mark.anyio
async def test_it_ticks_while_there_is_anybody_and_then_again() -> None:
    watch: Watch[Due] = Watch(tick=0.001)
    for _ in range(2):
        watched = Due(0.0)
        watch.add(watched)
        await until(lambda watched=watched: len(watched.looks) == 1)  # type: ignore[misc]
        watched.due = 0.0
        await until(lambda watched=watched: len(watched.looks) == 2)  # type: ignore[misc]
        watch.remove(watched)
        stopped = watch.now
        await until(lambda stopped=stopped: watch.now == stopped)  # type: ignore[misc]
        await asyncio.sleep(0.005)
        assert len(watched.looks) == 2


@pytest.mark.anyio
async def test_one_that_fails_does_not_stop_the_time_of_the_others() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    watch: Watch[Due] = Watch(tick=0.001)
    failing, other = Due(fails=True), Due()
    watch.add(failing)
    watch.add(other)
    failing.due = 0.0
    await until(lambda: failing.looks != [])
    other.due = 0.0
    await until(lambda: other.looks != [])
    assert [type(failure) for failure in failures] == [RuntimeError]
    watch.remove(failing)
    watch.remove(other)
