"""Clients that call at the same time, each again and again, until the budget is spent.

Their calls are of random sizes, a third of them streams. Whoever is refused for good tries the smallest call once more,
so that a budget is spent to its last cents. They may leave in the middle of an answer.
"""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_STATUS = re.compile(rb"HTTP/1.1 (\d+)")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_SMALLEST = 16
_LARGEST = 400
"""Tokens that a call asks for."""
_AGAIN = 0.05
"""Seconds after which a client tries again that was told to."""
_SPENT = "insufficient_quota"
"""That a budget is spent; others say so in words of their own."""
_OURS = frozenset({_SPENT, "rate_limit_exceeded"})
_LONGEST = 10.0
"""Seconds that a client waits for an answer: whoever should have given it may have been killed."""


@dataclass
class Spent:
    """What the clients saw."""

    answers: Counter[str] = field(default_factory=Counter)
    """By what they were: `whole`, `left`, `broken`, or the code of a refusal."""

    @property
    def whole(self) -> int:
        return self.answers["whole"]


@dataclass(frozen=True)
class Crowd:
    """So many clients of gateways at these ports."""

    ports: Sequence[int]
    clients: int
    model: str
    key: str | None = None
    cut: float = 0.0
    """The share of calls whose client leaves in the middle."""
    seed: int = 0

    async def spend(self) -> Spent:
        """Returns when every client was refused for good."""
        spent = Spent()
        async with asyncio.TaskGroup() as all_of_them:
            for number in range(self.clients):
                all_of_them.create_task(self._client(number, spent))
        return spent

    async def _client(self, number: int, spent: Spent) -> None:
        dice = random.Random(f"{self.seed}/{number}")  # noqa: S311
        limit = _LARGEST
        while True:
            said = await self._connection(number, dice, limit, spent)
            if said != _SPENT:
                await asyncio.sleep(_AGAIN * dice.random())
            elif limit == _SMALLEST:
                return
            else:
                limit = _SMALLEST

    async def _connection(self, number: int, dice: random.Random, limit: int, spent: Spent) -> str:
        """Calls on one connection, until something else than a whole answer comes; what it was."""
        port = self.ports[number % len(self.ports)]
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return "broken"
        try:
            said = "whole"
            while said == "whole":
                said = await self._call(dice, limit, reader, writer)
                spent.answers[said] += 1
            return said
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _call(
        self, dice: random.Random, limit: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        leaves = dice.random() < self.cut
        try:
            writer.write(self._request(dice, limit))
            if leaves and dice.random() < 0.5:
                await asyncio.sleep(0.01 * dice.random())
                return "left"
            async with asyncio.timeout(_LONGEST):
                return await _answer(reader, leaves)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return "broken"

    def _request(self, dice: random.Random, limit: int) -> bytes:
        content = "toll " * dice.randint(1, 60)
        asked = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": dice.randint(_SMALLEST, limit),
            "stream": dice.random() < 1 / 3,
            "seed": dice.getrandbits(30),
        }
        body = json.dumps(asked).encode()
        key = "" if self.key is None else f"authorization: Bearer {self.key}\r\n"
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n{key}content-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _answer(reader: asyncio.StreamReader, leaves: bool) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    status = _STATUS.match(head)
    if status is None or leaves:
        return "left" if leaves else "broken"
    length = _LENGTH.search(head)
    if length is None:
        body = await reader.readuntil(b"\r\n0\r\n\r\n")
        return "whole" if b"[DONE]" in body else "broken"
    body = await reader.readexactly(int(length[1]))
    if status[1] == b"200":
        return "whole"
    error = json.loads(body).get("error", {})
    code = str(error.get("code") or status[1].decode())
    if code not in _OURS and "budget" in str(error.get("message")).lower():
        return _SPENT
    return code
