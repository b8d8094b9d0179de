"""Runs the jobs: starts them, restarts one that crashes, stops them cleanly. Knows no job by name."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from gateway.core.errors import Fault

logger = logging.getLogger(__name__)

Job: TypeAlias = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then finishes what it has begun and returns."""


@dataclass(slots=True)
class JobStats:
    """How a job is doing."""

    running: bool = False
    crashes: int = 0
    last_error: str | None = None
    trouble: str | None = None
    """The state that keeps it from its work at this moment, such as a database that is away."""


class Scheduler:
    """All jobs of one process.

    `grace`: seconds that jobs have to finish at `stop` before they are cancelled.
    """

    def __init__(self, *, grace: float = 10.0, first_delay: float = 0.5, longest_delay: float = 30.0) -> None:
        self._grace = grace
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._jobs: dict[str, Job] = {}
        self._stats: dict[str, JobStats] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def add(self, name: str, job: Job) -> None:
        """A job that runs all the time. To be called before `start`."""
        self._jobs[name] = job
        self._stats[name] = JobStats()

    def every(self, name: str, seconds: float, action: Callable[[], Awaitable[object]]) -> None:
        """A job that does one thing again and again, at once and then every so many seconds.

        A `Fault` (the database is away) is a state, told when it begins and when it ends, and no crash.
        """

        async def repeat(stopping: asyncio.Event) -> None:
            stats = self._stats[name]
            while not stopping.is_set():
                try:
                    await action()
                except Fault as fault:
                    if stats.trouble is None:
                        logger.warning("the job %s cannot do its work: %s", name, fault.message)
                    stats.trouble = fault.message
                else:
                    if stats.trouble is not None:
                        logger.info("the job %s works again", name)
                    stats.trouble = None
                await wait(stopping, seconds)

        self.add(name, repeat)

    async def start(self) -> None:
        """Start every job; returns at once."""
        self._stopping.clear()
        self._tasks = [asyncio.create_task(self._keep(name, job), name=name) for name, job in self._jobs.items()]

    async def stop(self) -> None:
        """Ask every job to finish, and cancel those that have not after the grace. Safe to repeat."""
        self._stopping.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=self._grace)
        for task in late:
            logger.warning("the job %s did not finish in %g s and is cancelled", task.get_name(), self._grace)
            task.cancel()
        if late:
            await asyncio.wait(late)
        self._tasks = []

    def stats(self) -> dict[str, JobStats]:
        """Every job by name."""
        return dict(self._stats)

    async def _keep(self, name: str, job: Job) -> None:
        """Run one job, again after each crash, waiting longer each time. Once at least: it may have an end to do."""
        stats = self._stats[name]
        delay = self._first_delay
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            stats.running = True
            try:
                await job(self._stopping)
                return
            except Exception as error:
                stats.crashes += 1
                stats.last_error = f"{type(error).__name__}: {error}"
                logger.exception("the job %s crashed and is started again", name)
            finally:
                stats.running = False
            if self._stopping.is_set():
                return
            if loop.time() - began > self._longest_delay:
                delay = self._first_delay
            await wait(self._stopping, delay)
            delay = min(delay * 2, self._longest_delay)


async def wait(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but not beyond the moment of stopping."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
