"""A channel that keeps what it is told and answers as it is told to."""

import asyncio
import hashlib
from collections.abc import Callable

from gateway.core.deliveries import Message, Outcome

TAKEN = Outcome(True, 200)


class FakeChannel:
    """`ports.Channel` under the test's hand."""

    kind = "webhook"

    def __init__(self, name: str, leads_to: str = "https://ops.example", answer: Outcome = TAKEN) -> None:
        self.name = name
        self.address = leads_to
        self.digest = hashlib.sha256(leads_to.encode()).hexdigest()
        self.answer = answer
        self.messages: list[Message] = []
        self.open = asyncio.Event()
        """While it is not set, the channel hangs."""
        self.open.set()
        self.during: Callable[[], None] = lambda: None

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]

    async def send(self, message: Message) -> Outcome:
        self.messages.append(message)
        self.during()
        await self.open.wait()
        return self.answer
