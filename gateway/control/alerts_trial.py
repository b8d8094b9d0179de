"""How a channel is tried by hand: one message at once, kept in the history beside all others. For the API and the
command line."""

import json
import uuid
from collections.abc import Callable
from typing import Final

from gateway.core.alerts.event import event_of, link_to, trial_of
from gateway.core.deliveries import Message
from gateway.ports import Channel
from gateway.storage.deliveries import Delivery, Outbox

CLAIMED_FOR_US: Final = 90_000_000


async def try_channel(
    channel: Channel, outbox: Outbox, base: str | None, now_us: Callable[[], int], owner: str
) -> Delivery:
    """Send a test, disabled channel or not; one that arrives enables it again. The delivery as it ended.

    `base`: what links begin with. Raises `Fault` (unavailable): the database is away.
    """
    event = event_of(trial_of(channel.name, now_us()), link_to(base))
    message = Message(f"msg-{uuid.uuid4().hex[:20]}", json.dumps(event))
    claim = await outbox.begin_test(owner, message, channel.name, now_us() + CLAIMED_FOR_US)
    began_us = now_us()
    outcome = await channel.send(message)
    await outbox.ended(claim, outcome, began_us, None, channel.digest)
    return await outbox.get(message.id)
