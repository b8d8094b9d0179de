"""A small program of several workers, for the tests: each says its place and process to whoever connects."""

import asyncio
import logging
import os
import signal
import sys

from gateway.server.listener import listen
from gateway.server.workers import Line, Workers


async def serve(place: int, line: Line, way: str) -> int:
    stopped = asyncio.Event()

    def stop(at_once: bool) -> None:
        server.close()
        if at_once or way != "busy":
            stopped.set()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{place} {os.getpid()}\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, sock=LISTENER)
    line.attend(stop)
    line.ready()
    if way == "frail" and place == 1:
        return 5
    await stopped.wait()
    print(f"worker {place} ends well", flush=True)
    return 0


def work(place: int, line: Line) -> int:
    way = sys.argv[1]
    if way == "cannot":
        print("it cannot start", file=sys.stderr)
        return 3
    if way == "crashes" and place == 1:
        raise RuntimeError("a crash of a worker")
    if way == "stuck":
        signal.pause()
    return asyncio.run(serve(place, line, way))


LISTENER = listen("127.0.0.1", 0)
logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
told = f"port {LISTENER.getsockname()[1]}"
sys.exit(Workers(3, work, LISTENER, lambda: print(told, flush=True)).run())
