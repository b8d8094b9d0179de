"""Sends what the outbox holds: claims what is due, tries it, and says when the next try is.

Every delivery is sent by itself, and a channel has so many at a time at most: a receiver that hangs holds up nobody
but itself. How a channel is reached is not known here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from gateway.core.deliveries import Outcome, Progress, pause
from gateway.core.errors import Fault
from gateway.jobs.scheduler import wait
from gateway.ports import Channel, Clock
from gateway.storage.deliveries import Claim, Outbox

T = TypeVar("T")

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.5
"""Seconds between looks into the outbox."""
GIVE_UP_EVERY: Final = 60.0
"""Seconds between looks for what has waited too long."""
AT_ONCE: Final = 4
"""Deliveries of one channel at a time, in this process."""
CLAIMED_FOR_US: Final = 90_000_000
"""How long nobody else sends what was claimed: well beyond the time limit of any channel."""
TIME_LIMIT: Final = 40.0
"""Seconds after which a channel that breaks its word is left."""
GRACE: Final = 5.0
"""Seconds that what is on its way has at the end."""


class DeliveryJob:
    """The sender of one process. `run` is the job; it may be started again after a crash."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Iterable[Channel],
        clock: Clock,
        chance: Callable[[], float],
        owner: str,
        *,
        grace: float = GRACE,
    ) -> None:
        """`chance`: from 0 to 1, another each time. `owner`: this process, unlike any other."""
        self._outbox = outbox
        self._clock = clock
        self._chance = chance
        self._owner = owner
        self._grace = grace
        self._sending: dict[Channel, set[asyncio.Task[None]]] = {channel: set() for channel in channels}
        self._by_name = {channel.name: channel for channel in self._sending}
        self._give_up_at = clock.monotonic()
        self._trouble = False

    async def run(self, stopping: asyncio.Event) -> None:
        try:
            while not stopping.is_set():
                try:
                    await self.look()
                except Fault as fault:
                    if not self._trouble:
                        logger.warning("deliveries cannot be looked for: %s", fault.message)
                    self._trouble = True
                else:
                    self._trouble = False
                await wait(stopping, LOOK_EVERY)
        finally:
            await self._finish()

    async def look(self) -> int:
        """Begin to send what is due, as far as there is room; how many these are. Raises `Fault` (unavailable)."""
        now = self._clock.monotonic()
        if now >= self._give_up_at:
            self._give_up_at = now + GIVE_UP_EVERY
            count = await self._outbox.give_up()
            if count:
                logger.warning("%d deliveries were given up: not delivered within three days", count)
        room = {channel: AT_ONCE - len(tasks) for channel, tasks in self._sending.items() if len(tasks) < AT_ONCE}
        claims = await self._outbox.claim(self._owner, room, self._clock.now_us() + CLAIMED_FOR_US)
        for claim in claims:
            channel = self._by_name[claim.delivery.channel]
            task = asyncio.create_task(self._deliver(claim, channel))
            self._sending[channel].add(task)
            task.add_done_callback(self._sending[channel].discard)
        return len(claims)

    async def settled(self) -> None:
        """Returns when nothing is on its way."""
        while tasks := self._all():
            await asyncio.wait(tasks)

    async def _deliver(self, claim: Claim, channel: Channel) -> None:
        began_us = self._clock.now_us()
        try:
            outcome = await _bounded(channel, claim)
        except asyncio.CancelledError:
            await self._record(self._outbox.release(claim), claim)
            raise
        next_us = None if outcome.delivered else self._next(claim, outcome)
        progress = await self._record(self._outbox.ended(claim, outcome, began_us, next_us, channel.digest), claim)
        if outcome.gone:
            logger.warning("the channel %s is disabled: its receiver %s", channel.name, outcome.error)
        elif progress is Progress.GIVEN_UP:
            logger.warning("the delivery %s to %s is given up: %s", claim.delivery.id, channel.name, outcome.error)

    def _next(self, claim: Claim, outcome: Outcome) -> int | None:
        """When to try again; null: never."""
        seconds = pause(claim.delivery.tries + 1, outcome.retry_after, self._chance())
        at = self._clock.now_us() + round(seconds * 1e6)
        return at if at < claim.delivery.until_us else None

    async def _record(self, saying: Awaitable[T], claim: Claim) -> T | None:
        try:
            return await saying
        except Fault as fault:
            # The claim runs out; then it is sent again, under the same id.
            logger.warning("what became of the delivery %s cannot be kept: %s", claim.delivery.id, fault.message)
            return None

    async def _finish(self) -> None:
        """Let what is on its way arrive, and leave the rest to the next sender."""
        tasks = self._all()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _all(self) -> set[asyncio.Task[None]]:
        return set().union(*self._sending.values())


async def _bounded(channel: Channel, claim: Claim) -> Outcome:
    try:
        async with asyncio.timeout(TIME_LIMIT):
            return await channel.send(claim.delivery.message)
    except TimeoutError:
        return Outcome(False, error=f"not sent within {TIME_LIMIT:g} seconds")
    except Exception as error:
        logger.exception("the channel %s failed", channel.name)
        return Outcome(False, error=f"{type(error).__name__}: {error}")
