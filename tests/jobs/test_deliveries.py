"""The sender: what is due leaves once, failures come back later and later, and who hangs holds up nobody else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.alerts.event import Alert
from gateway.core.deliveries import Outcome, Progress
from gateway.jobs.deliveries import AT_ONCE, CLAIMED_FOR_US, DeliveryJob
from gateway.storage.alerts import AlertRepository
from gateway.storage.deliveries import Outbox
from gateway.storage.engine import Database
from tests.databases import new_database, opened
from tests.fakes.channel import TAKEN, FakeChannel
from tests.fakes.clock import FakeClock
from tests.raw_server import PATIENCE, until

pytestmark = pytest.mark.anyio

FAILED = Outcome(False, 503, "answered 503")


class Stage:
    """Alerts, their outbox, and senders of it under one clock."""

    def __init__(self, db: Database) -> None:
        self.clock = FakeClock()
        self.outbox = Outbox(db, self.clock.now_us)
        self.alerts = AlertRepository(db, now_us=self.clock.now_us)

    def sender(self, *channels: FakeChannel, owner: str = "a", chance: float = 0.0) -> DeliveryJob:
        return DeliveryJob(self.outbox, channels, self.clock, lambda: chance, owner)

    async def raise_alerts(self, count: int, *channels: str) -> None:
        for number in range(count):
            await self.alerts.raise_alert(Alert("r", "price.unknown", f"m{number}", "w", self.clock.now_us()), channels)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with opened(new_database(tmp_path)) as db:
        yield Stage(db)


async def rounds(sender: DeliveryJob) -> None:
    """Until nothing more is due."""
    while await sender.look():
        await sender.settled()


async def test_every_alert_reaches_every_channel_once(stage: Stage) -> None:
    ops, team = FakeChannel("ops"), FakeChannel("team")
    await stage.raise_alerts(AT_ONCE + 3, "ops", "team")
    await rounds(stage.sender(ops, team))
    assert len(set(ops.ids)) == len(ops.ids) == AT_ONCE + 3
    assert len(set(team.ids)) == len(team.ids) == AT_ONCE + 3
    assert {one.progress for one in (await stage.outbox.page()).items} == {Progress.DELIVERED}


async def test_of_several_processes_one_sends(database_url: str) -> None:
    ops = FakeChannel("ops")
    async with opened(database_url) as ours, opened(database_url) as other:
        stage = Stage(ours)
        await stage.raise_alerts(12, "ops")
        theirs = DeliveryJob(Outbox(other, stage.clock.now_us), [ops], stage.clock, lambda: 0.0, "b")
        await asyncio.gather(rounds(stage.sender(ops)), rounds(theirs))
    assert max(Counter(ops.ids).values()) == 1
    assert len(ops.ids) == 12


async def test_failures_come_back_later_and_later_under_the_same_id_and_end_after_three_days(stage: Stage) -> None:
    ops = FakeChannel("ops", answer=FAILED)
    await stage.raise_alerts(1, "ops")
    sender, began, pauses = stage.sender(ops), stage.clock.now_us(), []
    while True:
        await rounds(sender)
        (delivery,) = (await stage.outbox.page()).items
        if delivery.next_us is None:
            break
        pauses.append(round((delivery.next_us - stage.clock.now_us()) / 1e6))
        stage.clock.forward(pauses[-1])
    assert pauses[:12] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800]
    assert set(pauses[11:]) == {1800}
    assert (delivery.progress, delivery.error) == (Progress.GIVEN_UP, "answered 503")
    assert 3 * 86_400 - 3600 <= (stage.clock.now_us() - began) / 1e6 <= 3 * 86_400
    assert set(ops.ids) == {delivery.id}
    assert len((await stage.outbox.tries([delivery.id]))[delivery.id]) == len(ops.ids)


async def test_a_retry_after_replaces_the_next_pause(stage: Stage) -> None:
    ops = FakeChannel("ops", answer=Outcome(False, 429, "answered 429", retry_after=77.0))
    await stage.raise_alerts(1, "ops")
    sender = stage.sender(ops)
    await rounds(sender)
    stage.clock.forward(76)
    assert await sender.look() == 0
    stage.clock.forward(1)
    assert await sender.look() == 1
    await sender.settled()


async def test_who_hangs_holds_up_nobody_else(stage: Stage) -> None:
    hanging, ops = FakeChannel("hanging"), FakeChannel("ops")
    hanging.open.clear()
    await stage.raise_alerts(AT_ONCE + 2, "hanging", "ops")
    sender = stage.sender(hanging, ops)
    async with asyncio.timeout(PATIENCE):
        while len(ops.ids) < AT_ONCE + 2:
            await sender.look()
            await asyncio.sleep(0.005)
    assert len(hanging.ids) == AT_ONCE
    hanging.open.set()
    await sender.settled()
    await rounds(sender)
    assert len(hanging.ids) == AT_ONCE + 2


async def test_a_channel_whose_receiver_is_gone_is_left_alone_until_a_change(stage: Stage) -> None:
    ops = FakeChannel("ops", answer=Outcome(False, 410, "answered 410", gone=True))
    await stage.raise_alerts(1, "ops")
    sender = stage.sender(ops)
    await rounds(sender)
    stage.clock.forward(3600)
    assert await sender.look() == 0
    elsewhere = FakeChannel("ops", "https://elsewhere.example")
    await rounds(stage.sender(elsewhere))
    assert elsewhere.ids == ops.ids


async def test_a_channel_that_breaks_its_word_is_a_failure(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    ops = FakeChannel("ops")
    ops.during = broken
    await stage.raise_alerts(1, "ops")
    await rounds(stage.sender(ops))
    (delivery,) = (await stage.outbox.page()).items
    assert (delivery.progress, delivery.error) == (Progress.WAITING, "RuntimeError: broken")
    assert "the channel ops failed" in caplog.text


def broken() -> None:
    raise RuntimeError("broken")


async def test_what_nobody_could_send_is_given_up(stage: Stage) -> None:
    await stage.raise_alerts(1, "removed")
    sender = stage.sender(FakeChannel("ops"))
    await sender.look()
    stage.clock.forward(3 * 86_400 + 1)
    await sender.look()
    (delivery,) = (await stage.outbox.page()).items
    assert delivery.progress is Progress.GIVEN_UP


async def test_it_runs_until_it_is_stopped_and_lets_what_is_on_its_way_arrive(stage: Stage) -> None:
    ops = FakeChannel("ops")
    ops.open.clear()
    await stage.raise_alerts(1, "ops")
    stopping = asyncio.Event()
    running = asyncio.create_task(stage.sender(ops).run(stopping))
    await until(lambda: bool(ops.ids), "the job found it")
    stopping.set()
    ops.open.set()
    await asyncio.wait_for(running, 5)
    (delivery,) = (await stage.outbox.page()).items
    assert delivery.progress is Progress.DELIVERED


async def test_what_does_not_arrive_in_time_is_left_to_the_next_sender_at_once(stage: Stage) -> None:
    hanging, ops = FakeChannel("ops"), FakeChannel("ops")
    hanging.open.clear()
    await stage.raise_alerts(1, "ops")
    stopping = asyncio.Event()
    job = DeliveryJob(stage.outbox, [hanging], stage.clock, lambda: 0.0, "a", grace=0.01)
    running = asyncio.create_task(job.run(stopping))
    await until(lambda: bool(hanging.ids), "the job found it")
    stopping.set()
    await asyncio.wait_for(running, 5)
    await rounds(stage.sender(ops, owner="b"))
    assert ops.ids == hanging.ids


async def test_a_sender_that_was_killed_is_followed_by_another_once_its_claim_has_run_out(stage: Stage) -> None:
    """Known fault 50: what waits to be told is not in anybody's memory."""
    killed, ops = FakeChannel("ops"), FakeChannel("ops")
    await stage.raise_alerts(1, "ops")
    (claim,) = await stage.outbox.claim("killed", {killed: 1}, stage.clock.now_us() + CLAIMED_FOR_US)
    sender = stage.sender(ops, owner="b")
    assert await sender.look() == 0
    stage.clock.forward(CLAIMED_FOR_US / 1e6)
    await rounds(sender)
    assert ops.ids == [claim.delivery.id]


async def test_a_database_that_is_away_is_a_state_and_no_crash(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stopping = asyncio.Event()
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    job = DeliveryJob(Outbox(nowhere), [FakeChannel("ops", answer=TAKEN)], stage.clock, lambda: 0.0, "a")
    running = asyncio.create_task(job.run(stopping))
    await until(lambda: "deliveries cannot be looked for" in caplog.text, "it says so")
    stopping.set()
    await asyncio.wait_for(running, 5)
