"""An in-memory `Upstream`: answers from a script, piece by piece, and remembers what it was asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.errors import UpstreamFault
from gateway.core.routing import Retries
from gateway.ports import Headers, UpstreamRequest
from tests.fakes.clock import FakeClock

JSON: Headers = [("content-type", "application/json")]
EVENTS: Headers = [("content-type", "text/event-stream")]

HANG = "hang"
"""A piece that never comes."""


@dataclass(slots=True)
class ScriptedAnswer:
    """Pieces in order: bytes, a fault to raise, seconds that pass on `clock`, or `HANG`. Then comes the end."""

    status: int = 200
    headers: Headers = field(default_factory=lambda: JSON)
    pieces: Sequence[bytes | UpstreamFault | str | float] = ()
    clock: FakeClock | None = None
    connect_ms: float | None = 1.0
    closed: bool = False
    read_to_end: bool = False
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody waits for a piece that never comes."""

    async def read(self) -> bytes:
        if not self.pieces:
            self.read_to_end = True
            return b""
        piece, *rest = self.pieces
        if isinstance(piece, str):
            self.waiting.set()
            await asyncio.Event().wait()
        self.pieces = rest
        if isinstance(piece, UpstreamFault):
            raise piece
        if isinstance(piece, float):
            assert self.clock is not None
            self.clock.forward(piece)
            return await self.read()
        assert isinstance(piece, bytes)
        return piece

    def close(self) -> None:
        self.closed = True


class ScriptedUpstream:
    """Gives its answers in order; an answer may be a fault of the line instead."""

    def __init__(self, *answers: ScriptedAnswer | UpstreamFault | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[UpstreamRequest] = []

    async def ask(self, request: UpstreamRequest, retries: Retries) -> ScriptedAnswer:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
