"""Time limits on one timer."""

import asyncio
import time

import pytest

from gateway.providers.deadlines import TICK, Deadlines


class Clocked:
    """Counts how often it was looked at, and goes on for so many looks."""

    def __init__(self, looks: int = 1) -> None:
        self.left = looks
        self.looks: list[float] = []
        self.over = asyncio.Event()

    def look(self, now: float) -> float | None:
        self.looks.append(now)
        self.left -= 1
        if self.left == 0:
            self.over.set()
            return None
        return now


@pytest.mark.anyio
async def test_what_is_due_is_looked_at_until_it_is_over() -> None:
    deadlines, once, thrice = Deadlines(), Clocked(), Clocked(looks=3)
    begun = time.monotonic()
    deadlines.watch(once, begun)
    deadlines.watch(thrice, begun)
    await asyncio.wait_for(thrice.over.wait(), 5)
    assert (len(once.looks), len(thrice.looks)) == (1, 3)
    assert thrice.looks[-1] - begun >= 2 * TICK


@pytest.mark.anyio
async def test_what_is_forgotten_or_not_due_is_left_alone() -> None:
    deadlines, forgotten, later, now = Deadlines(), Clocked(), Clocked(), Clocked()
    for watched, due in ((forgotten, 0.0), (later, time.monotonic() + 3600), (now, 0.0)):
        deadlines.watch(watched, due)
    deadlines.forget(forgotten)
    await asyncio.wait_for(now.over.wait(), 5)
    assert (forgotten.looks, later.looks) == ([], [])
