"""`tollkeeper serve` by a clock that can be set: the real gateway, composed as the command does it."""

import asyncio
import os
import sys
import time
from pathlib import Path
from socket import socket

from gateway.app import build
from gateway.cli.frame import make_data_folder, read_settings
from gateway.server.listener import address_of, listen
from gateway.server.server import Server
from gateway.settings import Settings
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import upgrade

PROGRAM = (sys.executable, "-m", "tests.e2e.shifted")


class ShiftedClock:
    """`ports.Clock`: this machine's, ahead by as many seconds as a file says; behind, where they are less than none."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, file: Path) -> None:
        self._file = file

    def now_us(self) -> int:
        return wall_clock_us() + int(self._file.read_text(encoding="ascii")) * 1_000_000

    def shift(self, seconds: int) -> None:
        """Set it, for every process that reads this file; whoever reads meanwhile reads the old figure or the new."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds), encoding="ascii")
        new.rename(self._file)


async def _run(settings: Settings, listener: socket, clock: ShiftedClock) -> None:
    gateway = build(settings, clock=clock)
    server = Server(gateway.asgi)
    await gateway.start()
    try:
        await server.run_on(listener, lambda: print(f"{address_of(listener)} with its providers", flush=True))
    finally:
        await gateway.stop()


def _serve(config: Path, clock: ShiftedClock) -> None:
    settings = read_settings(config)
    make_data_folder(settings)
    upgrade(settings.database.url)
    with listen("127.0.0.1", 0) as listener:
        asyncio.run(_run(settings, listener, clock))


if __name__ == "__main__":
    _serve(Path(sys.argv[sys.argv.index("--config") + 1]), ShiftedClock(Path(os.environ["CLOCK"])))
