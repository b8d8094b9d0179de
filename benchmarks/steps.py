"""Where the time of a call goes: the real steps, keys, prices, journal and observers in one process, timed one by one.

Only the upstream is a stand-in that has its answer ready; sockets and HTTP are not in these figures. A process of its
own (`python -m benchmarks.steps SECONDS`), because the gateway in it writes its log to stderr; prints JSON.
"""

import asyncio
import gc
import json
import sys
from collections.abc import MutableMapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

import uvloop

from benchmarks.processes import KEY, environment
from benchmarks.shape import ALIASES, events, question, whole_answer
from benchmarks.stage import settings_text
from gateway.app import Gateway, build
from gateway.core.routing import Retries, Target
from gateway.ports import Headers, UpstreamRequest
from gateway.proxy.admit import Admit
from gateway.proxy.authenticate import Authenticate, KeyPolicy
from gateway.proxy.call import Arrival, OpenAttempt, Ticket
from gateway.proxy.endpoints import DataPlane
from gateway.proxy.forward import Forward
from gateway.proxy.hold import Hold, Terms
from gateway.proxy.ids import new_id
from gateway.proxy.pace import Pace
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.relay import Relay
from gateway.proxy.route import Route
from gateway.settings import load
from gateway.storage.engine import upgrade
from gateway.wire.openai import Endpoint

STEPS = ("authenticate", "hold", "admit", "route", "forward", "relay and settle")
TOGETHER = "all of it (as the server hands it over)"
MOST = 4000
"""Calls of a kind: what is timed here is written to the ledger before the process ends."""
_PAUSE = 100
"""Calls after which the jobs behind the gateway get a turn, outside the timed stretches."""


class _Ready:
    """An answer that is here already, one event for each read."""

    status = 200
    connect_ms: float | None = None

    def __init__(self, kind: str, pieces: list[bytes]) -> None:
        self.headers: Headers = [("content-type", kind), ("x-request-id", "req-1")]
        self._pieces = iter(pieces)

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        pass


class _StandIn:
    """`ports.Upstream` without a network."""

    _whole = (whole_answer(),)
    _events = tuple(events())

    async def ask(self, request: UpstreamRequest, retries: Retries) -> _Ready:
        if request.stream:
            return _Ready("text/event-stream", list(self._events))
        return _Ready("application/json", list(self._whole))


class _TimedHold(Hold):
    """`forward` writes the opening frame through it; that time is the hold's."""

    spent = 0

    def attempt(self, ticket: Ticket, target: Target) -> OpenAttempt:
        begun = perf_counter_ns()
        try:
            return super().attempt(ticket, target)
        finally:
            self.spent += perf_counter_ns() - begun


class _Bench:
    """The steps of a started gateway, taken one by one or together."""

    def __init__(self, gateway: Gateway) -> None:
        server = gateway.settings.server
        self.clock = gateway.clock
        self.authenticate = Authenticate(gateway.keys, KeyPolicy(True, bound_to_loopback=True))
        self.admit = Admit(gateway.clock, server.max_body)
        self.route = Route(gateway.providers, gateway.aliases, gateway.prices, gateway.directory, refuse_unpriced=False)
        self.hold = _TimedHold(
            gateway.journal,
            gateway.prices,
            gateway.clock,
            gateway.leases,
            lambda: gateway.budgets.budgets,
            self.route,
            Terms(),
        )
        self.forward = Forward(_StandIn(), self.hold, gateway.settle, Retries())
        pace = Pace(gateway.rates, lambda: gateway.limits.store.limits, gateway.clock)
        self.relay = Relay(gateway.settle, gateway.clock, server.buffer_answers, gateway.leases, pace)
        pipeline = Pipeline(
            self.authenticate, self.admit, pace, self.route, self.hold, self.forward, self.relay, gateway.settle, _raise
        )
        self.plane = DataPlane(pipeline, self.authenticate, self.route, gateway.clock, _not_rejected, frozenset())

    async def steps(self, body: bytes) -> list[int]:
        """One call; nanoseconds of each step in the order of `STEPS`."""
        arrival = self._arrival(body)
        self.hold.spent = 0
        t0 = perf_counter_ns()
        admitted = self.authenticate(arrival.headers, arrival.peer)
        t1 = perf_counter_ns()
        ticket = self.hold.call(arrival, admitted)
        t2 = perf_counter_ns()
        call = await self.admit(admitted, arrival, ticket)
        t3 = perf_counter_ns()
        plan = await self.route(call.asked.model)
        t4 = perf_counter_ns()
        answered = await self.forward(call, plan, ticket)
        t5 = perf_counter_ns()
        reply = await self.relay(answered, call, ticket)
        while reply.rest is not None and await reply.rest.next():
            pass
        t6 = perf_counter_ns()
        opened = self.hold.spent
        return [t1 - t0, t2 - t1 + opened, t3 - t2, t4 - t3, t5 - t4 - opened, t6 - t5]

    async def together(self, body: bytes) -> int:
        """One call as the server hands it over, all of it; nanoseconds."""
        fields = [(name.encode(), text.encode()) for name, text in _fields(body)]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": fields}
        begun = perf_counter_ns()
        await self.plane({**scope, "client": ("127.0.0.1", 1)}, lambda: _receive(body), _send)
        return perf_counter_ns() - begun

    def _arrival(self, body: bytes) -> Arrival:
        async def read_body(limit: int) -> bytes:
            return body

        fields = _fields(body)
        now_us = self.clock.now_us()
        return Arrival(
            id=new_id(now_us),
            started_us=now_us,
            begun=self.clock.monotonic(),
            endpoint=Endpoint.CHAT,
            headers=dict(fields),
            fields=fields,
            peer="127.0.0.1",
            read_body=read_body,
        )


def _fields(body: bytes) -> Headers:
    return [
        ("host", "127.0.0.1:4000"),
        ("authorization", f"Bearer {KEY}"),
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
    ]


async def _receive(body: bytes) -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


async def _send(message: MutableMapping[str, Any]) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise AssertionError(message)


def _raise(error: BaseException) -> None:
    raise error


def _not_rejected(reason: str, peer: str | None) -> None:
    raise AssertionError(reason)


async def _time(bench: _Bench, *, stream: bool, seconds: float) -> dict[str, float]:
    """Median microseconds of each step, and of a whole call through the data plane, over at most `MOST` calls."""
    body = question(stream=stream, model=ALIASES[0])  # nobody listens, so no list of models names any other
    for _ in range(_PAUSE):  # warm the code
        await bench.steps(body)
    steps: list[list[int]] = []
    together: list[int] = []
    until = perf_counter_ns() + seconds * 1e9
    while not steps or (perf_counter_ns() < until and len(steps) < MOST):
        for _ in range(_PAUSE):
            steps.append(await bench.steps(body))
            together.append(await bench.together(body))
        await asyncio.sleep(0)
    medians = {name: median(column) / 1000 for name, column in zip(STEPS, zip(*steps, strict=True), strict=True)}
    return {**medians, TOGETHER: median(together) / 1000}


async def _profile(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    config = folder / "tollkeeper.yaml"
    config.write_text(settings_text(folder, 1), encoding="utf-8")
    settings = load(config, environment())
    await asyncio.to_thread(upgrade, settings.database.url)
    gateway = build(settings, environment())
    await gateway.start()
    gc.collect()
    gc.freeze()  # as `serve` does
    try:
        bench = _Bench(gateway)
        return {
            name: await _time(bench, stream=stream, seconds=seconds / 2)
            for name, stream in (("plain", False), ("streamed", True))
        }
    finally:
        await gateway.stop()


if __name__ == "__main__":
    with TemporaryDirectory(prefix="tollkeeper-bench-") as place:
        print(json.dumps(uvloop.run(_profile(Path(place), float(sys.argv[1])))))
