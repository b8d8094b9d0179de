"""Drives a `Loop`: by callbacks alone, so that a call costs its two system calls and little more."""

import asyncio
from collections import deque
from itertools import cycle
from time import perf_counter

from benchmarks.load import Loop
from benchmarks.load.line import Line, connect, request, varied_requests
from benchmarks.load.tally import Tally
from benchmarks.shape import question

_TICK = 0.001
"""Seconds between looks at whether a call is due."""


class Driver:
    """Every call that was begun is waited for and counted over the whole time, so that a slow server does not lose
    what it owes."""

    def __init__(self, job: Loop) -> None:
        self._job = job
        door = job.door
        plain = [request(door, question(stream=job.stream))]
        self._requests = cycle(varied_requests(door, stream=job.stream) if job.varied else plain)
        self._tally = Tally()
        self._loop = asyncio.get_running_loop()
        self._resting: deque[Line] = deque()
        self._out = job.connections
        """Lines that are not done."""
        self._home: asyncio.Future[None] = self._loop.create_future()
        self._asked = 0
        self._begun = 0.0
        self._until = float("inf")

    async def run(self) -> Tally:
        job = self._job
        lines = [await connect(job.door, self._tally, self._next, stream=job.stream) for _ in range(job.connections)]
        self._begun = perf_counter()
        if job.seconds is not None:
            self._until = self._begun + job.seconds
        async with asyncio.timeout(job.limit):
            self._resting.extend(lines)
            self._tick()
            await self._home
        self._tally.seconds = perf_counter() - self._begun
        for line in lines:
            line.close()
        return self._tally

    def _tick(self) -> None:
        """Those that rest are sent out as calls fall due; without a pace that is at once, and they never rest again."""
        now = perf_counter()
        while self._resting and (self._is_over(now) or self._is_due(now)):
            self._next(self._resting.popleft())
        if self._out and self._job.pace is not None:
            self._loop.call_later(_TICK, self._tick)

    def _next(self, line: Line) -> None:
        now = perf_counter()
        if line.lost or self._is_over(now):
            self._out -= 1
            if not self._out and not self._home.done():
                self._home.set_result(None)
        elif self._is_due(now):
            self._asked += 1
            line.ask(next(self._requests))
        else:
            self._resting.append(line)

    def _is_over(self, now: float) -> bool:
        return now >= self._until or self._asked == self._job.calls

    def _is_due(self, now: float) -> bool:
        pace = self._job.pace
        return pace is None or self._asked < (now - self._begun) * pace
