"""Drives `Pairs`: one call through the gateway, one straight to the upstream, in turn."""

import asyncio
from time import perf_counter

from benchmarks.load import Door, Pairs
from benchmarks.load.line import Line, connect, request
from benchmarks.load.tally import Tally
from benchmarks.shape import question


class _Asker:
    """One door."""

    def __init__(self, door: Door, body: bytes, *, stream: bool) -> None:
        self.tally = Tally()
        self._door = door
        self._stream = stream
        self._request = request(door, body)
        self._line: Line | None = None
        self._answer: asyncio.Future[None] | None = None

    async def ask(self) -> bool:
        """When the answer is here and counted; whether there will be another."""
        if self._line is None:
            self._line = await connect(self._door, self.tally, self._answered, stream=self._stream)
        self._answer = asyncio.get_running_loop().create_future()
        self._line.ask(self._request)
        await self._answer
        return not self._line.lost

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    def _answered(self, line: Line) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


async def drive(job: Pairs) -> list[Tally]:
    """At least one pair, and more until the time is up or a line is lost, which is counted where it happens."""
    body = question(stream=job.stream, model=job.model, prompt=job.prompt, image=job.image)
    ours = _Asker(job.door, body, stream=job.stream)
    beside = _Asker(job.beside, body, stream=job.stream)
    begun = perf_counter()
    async with asyncio.timeout(job.limit):
        going = True
        while going:
            for asker in (beside, ours):
                await asyncio.sleep(job.rest / 2)
                going = await asker.ask() and going
            going = going and perf_counter() - begun < job.seconds
    for asker in (ours, beside):
        asker.tally.seconds = perf_counter() - begun
        asker.close()
    return [ours.tally, beside.tally]
