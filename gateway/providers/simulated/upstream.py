"""The upstream itself: plays prepared scripts at their pace. Must not know what is in them."""

import asyncio
import hashlib
from collections.abc import Mapping
from random import Random

from gateway.core.errors import UpstreamFault
from gateway.core.routing import Retries
from gateway.ports import Clock, Headers, UpstreamRequest
from gateway.providers.simulated.behaviour import Simulation
from gateway.providers.simulated.script import Script, write_listing, write_script

LABEL = ("x-tollkeeper-simulated", "true")


class SimulatedAnswer:
    """`ports.UpstreamAnswer` over prepared steps; nothing is waited for before it is read."""

    connect_ms: float | None = None

    def __init__(self, script: Script, call: str, idle_timeout: float) -> None:
        kind = "text/event-stream; charset=utf-8" if script.stream else "application/json"
        self.status = script.status
        self.headers: Headers = [("content-type", kind), ("x-request-id", f"req-sim-{call}"), LABEL, *script.extra]
        if not script.stream:
            self.headers.append(("content-length", str(script.length)))
        self._steps = iter(script.steps)
        self._breaks = script.breaks
        self._idle_timeout = idle_timeout
        self._pause: asyncio.Future[None] | None = None
        self._closed = False

    async def read(self) -> bytes:
        """The next bytes at their time. Raises `UpstreamFault` if the line breaks, stalls or was let go."""
        if self._closed:
            raise UpstreamFault("the simulated answer was let go", uncertain=True)
        step = next(self._steps, None)
        if step is None:
            if self._breaks:
                raise UpstreamFault("the simulated line broke", uncertain=True)
            return b""
        await self._wait(step[0])
        return step[1]

    async def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        # Not asyncio.sleep: `close` must be able to end the wait from outside.
        loop = asyncio.get_running_loop()
        self._pause = loop.create_future()
        timer = loop.call_later(min(seconds, self._idle_timeout), _wake, self._pause)
        try:
            await self._pause
        finally:
            timer.cancel()
            self._pause = None
        if seconds > self._idle_timeout:
            raise UpstreamFault("the simulated provider stalled", uncertain=True, timeout=True)

    def close(self) -> None:
        """Let go; a read that waits ends with `UpstreamFault`. Safe to repeat."""
        self._closed = True
        if self._pause is not None and not self._pause.done():
            self._pause.set_exception(UpstreamFault("the simulated answer was let go", uncertain=True))


def _wake(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)


class SimulatedUpstream:
    """`ports.Upstream` for the providers of kind `simulated`, by the provider's name."""

    def __init__(self, simulations: Mapping[str, Simulation], clock: Clock) -> None:
        self._simulations = simulations
        self._clock = clock
        self._calls = dict.fromkeys(simulations, 0)

    async def ask(self, request: UpstreamRequest, retries: Retries) -> SimulatedAnswer:
        """Answer at the simulation's pace. Raises `UpstreamFault` if that is slower than the call may last."""
        name = request.target.provider.name
        simulation = self._simulations[name]
        self._calls[name] += 1
        body = b"".join(request.body)
        draw = hashlib.sha256(b"%d %d " % (simulation.seed, self._calls[name]) + body).digest()
        now = self._clock.now_us() // 1_000_000
        call = draw.hex()[:24]
        chance = Random(draw)  # noqa: S311 - repeatable, not secret
        script = write_script(simulation, chance, request.path, body, call, now)
        limit = retries.first_byte_timeout if script.stream else retries.timeout
        await asyncio.sleep(min(script.head_after, limit))
        if script.head_after > limit:
            raise UpstreamFault(f"the simulated provider gave no answer in {limit:g} s", uncertain=True, timeout=True)
        return SimulatedAnswer(script, call, retries.idle_timeout)

    def listing(self, provider: str) -> bytes:
        """The body of a provider's `GET /models`."""
        return write_listing(self._simulations[provider])
