"""The scheduler: jobs run, crash without taking others along, and stop cleanly."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.core.errors import Fault, Kind
from gateway.jobs.scheduler import Scheduler, wait


async def until(true: Callable[[], bool]) -> None:
    """Poll, with a limit."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.anyio
async def test_a_job_is_asked_to_stop_and_may_finish() -> None:
    done: list[str] = []

    async def job(stopping: asyncio.Event) -> None:
        done.append("begun")
        await stopping.wait()
        await asyncio.sleep(0.02)
        done.append("finished")

    scheduler = Scheduler()
    scheduler.add("one", job)
    await scheduler.start()
    await until(lambda: bool(done))
    assert scheduler.stats()["one"].running
    await scheduler.stop()
    assert done == ["begun", "finished"]
    assert not scheduler.stats()["one"].running
    assert scheduler.stats()["one"].crashes == 0


@pytest.mark.anyio
async def test_a_job_that_does_not_finish_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn(stopping: asyncio.Event) -> None:
        await asyncio.Event().wait()

    scheduler = Scheduler(grace=0.05)
    scheduler.add("stubborn", stubborn)
    await scheduler.start()
    async with asyncio.timeout(5):
        await scheduler.stop()
    assert "stubborn did not finish" in caplog.text


@pytest.mark.anyio
async def test_a_job_that_crashes_is_counted_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """Known fault 29: what fails is said aloud, not at debug level."""
    tries = 0

    async def shaky(stopping: asyncio.Event) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ValueError("no luck")
        await stopping.wait()

    scheduler = Scheduler(first_delay=0.01)
    scheduler.add("shaky", shaky)
    await scheduler.start()
    await until(lambda: tries == 3)
    stats = scheduler.stats()["shaky"]
    await scheduler.stop()
    assert (stats.crashes, stats.last_error) == (2, "ValueError: no luck")
    assert caplog.text.count("shaky crashed") == 2


@pytest.mark.anyio
async def test_a_crash_leaves_the_other_jobs_alone() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        ticks += 1

    async def broken(stopping: asyncio.Event) -> None:
        raise ValueError

    scheduler = Scheduler(first_delay=0.01)
    scheduler.add("broken", broken)
    scheduler.every("tick", 0.01, tick)
    await scheduler.start()
    await until(lambda: ticks > 3 and scheduler.stats()["broken"].crashes > 1)
    await scheduler.stop()
    assert scheduler.stats()["tick"].crashes == 0


@pytest.mark.anyio
async def test_a_stated_failure_is_no_crash_and_tried_again_at_the_usual_pace(caplog: pytest.LogCaptureFixture) -> None:
    """A database that is away must not delay a revocation once it is back."""
    caplog.set_level("INFO")
    tries = 0

    async def action() -> None:
        nonlocal tries
        tries += 1
        if tries < 6:
            raise Fault(Kind.UNAVAILABLE, "the database is away")

    scheduler = Scheduler(first_delay=60)
    scheduler.every("keys", 0.005, action)
    await scheduler.start()
    await until(lambda: scheduler.stats()["keys"].trouble == "the database is away")
    await until(lambda: tries > 6)
    assert scheduler.stats()["keys"].trouble is None
    await scheduler.stop()
    assert scheduler.stats()["keys"].crashes == 0
    assert caplog.text.count("the job keys cannot do its work: the database is away") == 1
    assert caplog.text.count("the job keys works again") == 1


@pytest.mark.anyio
async def test_crashes_wait_longer_each_time() -> None:
    loop = asyncio.get_running_loop()
    began: list[float] = []

    async def broken(stopping: asyncio.Event) -> None:
        began.append(loop.time())
        raise ValueError

    scheduler = Scheduler(first_delay=0.02, longest_delay=0.08)
    scheduler.add("broken", broken)
    await scheduler.start()
    await until(lambda: len(began) >= 4)
    await scheduler.stop()
    pauses = [after - before for before, after in zip(began[:3], began[1:4], strict=True)]
    # A timer may wake by its resolution early, never more.
    assert [pause > expected - 0.005 for pause, expected in zip(pauses, (0.02, 0.04, 0.08), strict=True)] == [True] * 3


@pytest.mark.anyio
async def test_stopping_ends_a_pause_at_once() -> None:
    scheduler = Scheduler()
    scheduler.every("rare", 3600, _nothing)
    await scheduler.start()
    async with asyncio.timeout(1):
        await scheduler.stop()
        await scheduler.stop()


async def _nothing() -> None:
    return


@pytest.mark.anyio
async def test_waiting_ends_with_its_time_or_its_event() -> None:
    stopping = asyncio.Event()
    await wait(stopping, 0.01)
    stopping.set()
    async with asyncio.timeout(1):
        await wait(stopping, 3600)
