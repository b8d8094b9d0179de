"""The outbox: one sender at a time, every try kept, channels that want no more, and what people may ask for."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.core.deliveries import GIVEN_UP_AFTER_US, Message, Outcome, Progress
from gateway.core.errors import Fault, Kind
from gateway.storage.audit import AuditLog
from gateway.storage.deliveries import Claim, Outbox, put
from gateway.storage.engine import Database
from tests.fakes.channel import TAKEN, FakeChannel
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

LEASE = 90_000_000
FAILED = Outcome(False, 500, "answered 500")
GONE = Outcome(False, 410, "answered 410", gone=True)
OPS = FakeChannel("ops")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outbox(db: Database, clock: FakeClock) -> Outbox:
    return Outbox(db, clock.now_us)


async def fill(db: Database, clock: FakeClock, *ids: str, channel: str = "ops") -> None:
    async with db.write() as session:
        for id in ids:
            await put(session, Message(id, '{"data":{}}'), None, channel, "test", clock.now_us())


async def claimed(outbox: Outbox, clock: FakeClock, owner: str = "a", channel: FakeChannel = OPS) -> list[Claim]:
    return await outbox.claim(owner, {channel: 9}, clock.now_us() + LEASE)


def ids(claims: Sequence[Claim]) -> list[str]:
    return [claim.delivery.id for claim in claims]


async def test_what_is_due_is_claimed_by_one_and_by_nobody_else_until_the_claim_runs_out(
    db: Database, outbox: Outbox, clock: FakeClock
) -> None:
    await fill(db, clock, "m1", "m2", "m3")
    assert ids(await outbox.claim("a", {OPS: 2}, clock.now_us() + LEASE)) == ["m1", "m2"]
    assert ids(await claimed(outbox, clock, "b")) == ["m3"]
    assert await claimed(outbox, clock, "c") == []
    clock.forward(91)
    assert ids(await claimed(outbox, clock, "c")) == ["m1", "m2", "m3"]


async def test_only_what_is_for_these_channels_is_claimed(db: Database, outbox: Outbox, clock: FakeClock) -> None:
    await fill(db, clock, "m1")
    await fill(db, clock, "m2", channel="unknown here")
    assert await outbox.claim("a", {}, clock.now_us() + LEASE) == []
    assert ids(await claimed(outbox, clock)) == ["m1"]


async def test_what_came_of_each_try_is_kept(db: Database, outbox: Outbox, clock: FakeClock) -> None:
    await fill(db, clock, "m1")
    (first,) = await claimed(outbox, clock)
    began = clock.now_us()
    clock.forward(2)
    next_us = clock.now_us() + 5_000_000
    assert await outbox.ended(first, FAILED, began, next_us, OPS.digest) is Progress.WAITING
    assert await claimed(outbox, clock) == []
    waiting = await outbox.get("m1")
    assert (waiting.progress, waiting.tries, waiting.next_us, waiting.status, waiting.error, waiting.ended_us) == (
        Progress.WAITING, 1, next_us, 500, "answered 500", None,
    )  # fmt: skip
    clock.forward(5)
    (second,) = await claimed(outbox, clock)
    assert second.delivery.message == first.delivery.message
    assert await outbox.ended(second, TAKEN, clock.now_us(), None, OPS.digest) is Progress.DELIVERED
    delivered = await outbox.get("m1")
    assert (delivered.progress, delivered.tries, delivered.next_us, delivered.status, delivered.error) == (
        Progress.DELIVERED, 2, None, 200, None,
    )  # fmt: skip
    assert delivered.ended_us == clock.now_us()
    tries = (await outbox.tries(["m1", "m2"]))["m1"]
    assert [(one.number, one.duration_us, one.status, one.error, one.next_us) for one in tries] == [
        (1, 2_000_000, 500, "answered 500", next_us),
        (2, 0, 200, None, None),
    ]


async def test_who_lost_a_claim_does_not_speak_for_it_any_more(db: Database, outbox: Outbox, clock: FakeClock) -> None:
    await fill(db, clock, "m1")
    (lost,) = await claimed(outbox, clock)
    clock.forward(91)
    (mine,) = await claimed(outbox, clock, "b")
    assert await outbox.ended(lost, FAILED, 0, None, OPS.digest) is None
    await outbox.release(lost)
    assert await claimed(outbox, clock, "c") == []
    assert await outbox.ended(mine, TAKEN, clock.now_us(), None, OPS.digest) is Progress.DELIVERED
    assert len((await outbox.tries(["m1"]))["m1"]) == 1


async def test_a_claim_that_is_given_back_is_free_at_once(db: Database, outbox: Outbox, clock: FakeClock) -> None:
    await fill(db, clock, "m1")
    (claim,) = await claimed(outbox, clock)
    await outbox.release(claim)
    assert ids(await claimed(outbox, clock, "b")) == ["m1"]


async def test_a_receiver_that_wants_no_more_gets_no_more(db: Database, outbox: Outbox, clock: FakeClock) -> None:
    await fill(db, clock, "m1", "m2")
    first, second = await claimed(outbox, clock)
    await outbox.ended(first, GONE, clock.now_us(), clock.now_us(), OPS.digest)
    await outbox.release(second)
    assert await claimed(outbox, clock) == []
    (disabled,) = (await outbox.disabled([OPS, FakeChannel("other")])).values()
    assert (disabled.channel, disabled.since_us, disabled.reason) == ("ops", clock.now_us(), "answered 410")


async def test_a_channel_that_leads_elsewhere_since_is_not_disabled(
    db: Database, outbox: Outbox, clock: FakeClock
) -> None:
    await fill(db, clock, "m1")
    (claim,) = await claimed(outbox, clock)
    await outbox.ended(claim, GONE, clock.now_us(), clock.now_us(), OPS.digest)
    elsewhere = FakeChannel("ops", "https://elsewhere.example")
    assert await outbox.disabled([elsewhere]) == {}
    assert ids(await claimed(outbox, clock, channel=elsewhere)) == ["m1"]


async def test_a_test_that_arrives_enables_a_channel_and_one_that_fails_is_tried_no_more(
    db: Database, outbox: Outbox, clock: FakeClock
) -> None:
    await fill(db, clock, "m1")
    (claim,) = await claimed(outbox, clock)
    await outbox.ended(claim, GONE, clock.now_us(), clock.now_us(), OPS.digest)
    for id, outcome, progress in (("t1", FAILED, Progress.GIVEN_UP), ("t2", TAKEN, Progress.DELIVERED)):
        assert ids(await claimed(outbox, clock)) == []
        test = await outbox.begin_test("a", Message(id, "{}"), "ops", clock.now_us() + LEASE)
        assert await claimed(outbox, clock, "b") == []
        assert await outbox.ended(test, outcome, clock.now_us(), None, OPS.digest) is progress
    assert await outbox.disabled([OPS]) == {}
    assert ids(await claimed(outbox, clock)) == ["m1"]


async def test_what_has_waited_three_days_is_given_up(db: Database, outbox: Outbox, clock: FakeClock) -> None:
    await fill(db, clock, "m1", channel="nobody's")
    await fill(db, clock, "m2")
    (claim,) = await claimed(outbox, clock)
    await outbox.ended(claim, FAILED, clock.now_us(), clock.now_us() + GIVEN_UP_AFTER_US + 1, OPS.digest)
    await outbox.begin_test("dead", Message("t1", "{}"), "ops", clock.now_us() + LEASE)
    assert await outbox.give_up() == 0
    clock.forward(91)
    assert await outbox.give_up() == 1  # a test whose sender died
    clock.forward(3 * 86_400)
    assert await outbox.give_up() == 2
    assert await outbox.give_up() == 0
    ended = [await outbox.get(id) for id in ("m1", "m2", "t1")]
    assert [one.progress for one in ended] == [Progress.GIVEN_UP] * 3
    assert ended[0].error == "not delivered within three days"
    assert ended[1].error == "answered 500"


async def test_a_delivery_can_be_asked_for_again_under_the_same_id(
    db: Database, outbox: Outbox, clock: FakeClock
) -> None:
    await fill(db, clock, "m1")
    (claim,) = await claimed(outbox, clock)
    with pytest.raises(Fault) as raised:
        await outbox.redeliver("m1", "admin")
    assert raised.value.kind is Kind.CONFLICT
    await outbox.ended(claim, TAKEN, clock.now_us(), None, OPS.digest)
    clock.forward(10 * 86_400)
    again = await outbox.redeliver("m1", "admin")
    assert again == replace(
        claim.delivery,
        next_us=clock.now_us(), until_us=clock.now_us() + GIVEN_UP_AFTER_US, status=200,
    )  # fmt: skip
    (second,) = await claimed(outbox, clock)
    assert second.delivery.message == claim.delivery.message
    await outbox.ended(second, FAILED, clock.now_us(), None, OPS.digest)
    assert [one.number for one in (await outbox.tries(["m1"]))["m1"]] == [1, 2]
    entry = (await AuditLog(db).page()).items[0]
    assert (entry.actor, entry.action, entry.subject) == ("admin", "delivery.redeliver", "m1")


async def test_a_delivery_that_there_is_not_is_not_found(outbox: Outbox) -> None:
    for attempt in (outbox.get("m0"), outbox.redeliver("m0", "admin")):
        with pytest.raises(Fault) as raised:
            await attempt
        assert raised.value.kind is Kind.NOT_FOUND


async def test_the_same_message_is_put_in_once(db: Database, outbox: Outbox, clock: FakeClock) -> None:
    await fill(db, clock, "m1", "m1", "m2")
    page = await outbox.page(1)
    rest = await outbox.page(5, page.next)
    assert [one.id for one in (*page.items, *rest.items)] == ["m2", "m1"]
