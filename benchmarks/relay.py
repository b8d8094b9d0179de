"""The least that anything in between can add: bytes passed on as they come, and nothing else.

A process of its own (`python -m benchmarks.relay PORT`): prints its port, ends with its parent's pipe. On the gateway's
core it tells how much of an added time is the machine's: waking a core that rests, two more ways through the kernel.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import uvloop

from benchmarks.machine import on_core
from benchmarks.processes import end, start_module


class _End(asyncio.Protocol):
    """One of the two ends of a connection."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _Near(_End):
    """The client's; what comes before the far end is there waits for it."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early += data
        else:
            super().data_received(data)

    async def _connect(self) -> None:
        _, far = await asyncio.get_running_loop().create_connection(_End, "127.0.0.1", self._port)
        self.other, far.other = far, self
        far.transport.write(self._early)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Near(port), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextlib.contextmanager
def relay(port: int, core: int | None) -> Iterator[int]:
    """Its port, while the block runs."""
    with on_core(core):
        program = start_module("benchmarks.relay", str(port))
    try:
        assert program.stdout is not None
        yield int(program.stdout.readline())
    finally:
        end(program)


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
