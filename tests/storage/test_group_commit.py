"""Waiting for the disk together."""

import asyncio
import threading

import pytest

from gateway.storage.group_commit import GroupCommit


class Disk:
    """Counts its syncs, each of which waits until it is let through."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.fails = False
        self.open = threading.Event()

    def sync(self) -> None:
        self.begun += 1
        self.open.wait(timeout=10)
        self.ended += 1
        if self.fails:
            raise OSError("disk gone")


async def until_begun(disk: Disk, number: int) -> None:
    async with asyncio.timeout(10):
        while disk.begun < number:
            await asyncio.sleep(0.001)


@pytest.mark.anyio
async def test_those_who_wait_share_one_sync() -> None:
    disk = Disk()
    group = GroupCommit(disk.sync)
    first = asyncio.create_task(group.synced())
    await until_begun(disk, 1)
    others = [asyncio.create_task(group.synced()) for _ in range(100)]
    disk.open.set()
    await asyncio.gather(first, *others)
    assert disk.begun == 2, "one under way, and one that began after all the others had come"
    group.close()


@pytest.mark.anyio
async def test_a_sync_under_way_is_not_enough() -> None:
    disk = Disk()
    group = GroupCommit(disk.sync)
    first = asyncio.create_task(group.synced())
    await until_begun(disk, 1)
    second = asyncio.create_task(group.synced())
    disk.open.set()
    await first
    await second
    assert disk.ended == 2
    group.close()


@pytest.mark.anyio
async def test_a_failure_is_told_to_all_who_waited_and_to_nobody_later() -> None:
    disk = Disk()
    group = GroupCommit(disk.sync)
    disk.fails = True
    disk.open.set()
    results = await asyncio.gather(*(group.synced() for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["disk gone"] * 3
    disk.fails = False
    await group.synced()
    group.close()


@pytest.mark.anyio
async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    disk = Disk()
    group = GroupCommit(disk.sync)
    impatient, patient = (asyncio.create_task(group.synced()) for _ in range(2))
    await until_begun(disk, 1)
    impatient.cancel()
    disk.open.set()
    await patient
    assert impatient.cancelled() or impatient.cancelling()
    assert disk.ended == 1
    group.close()
