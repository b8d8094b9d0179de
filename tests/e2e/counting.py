"""An honest upstream in a process of its own, which notes down every call that it is asked for, and its clients.

A call's number is its `user`; what it uses follows from its number, so that everybody knows what it must have cost. The
upstream bills a call as soon as it has been asked, whoever is left to hear the answer.
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.e2e.upstream import DONE, END, EVENTS, PATIENCE, chunk, completion, event, whole

_HOUSE = Path(__file__).parents[2]
_PIECE = 0.002
"""Seconds between the events of a stream."""
_CALLS_EACH = 50
"""Calls on one connection, on average: it belongs to one worker, and all are to have their share."""


def usage_of(number: int) -> dict[str, Any]:
    prompt, answer = 100 + number % 97, 10 + number % 13
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def cost_nano_of(number: int) -> int:
    """At 2 USD per million in, 10 out."""
    usage = usage_of(number)
    cost: int = usage["prompt_tokens"] * 2000 + usage["completion_tokens"] * 10_000
    return cost


# --- the upstream ---------------------------------------------------------------------------------------------------


async def _serve(notes: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # the gateway was killed, or has no more to ask
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                body = json.loads(await reader.readexactly(int(length[1]))) if length else {}
                if "user" not in body:
                    writer.write(whole(b'{"object":"list","data":[]}'))
                    continue
                os.write(notes, f"{body['user']}\n".encode())
                await _answer(int(body["user"]), bool(body.get("stream")), writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _answer(number: int, stream: bool, writer: asyncio.StreamWriter) -> None:
    if not stream:
        writer.write(whole(completion(usage=usage_of(number))))
        return
    writer.write(EVENTS)
    for piece in (event("four "), event("pennies", finish="stop"), event(usage=usage_of(number)), DONE):
        writer.write(chunk(piece))
        await writer.drain()
        await asyncio.sleep(_PIECE)
    writer.write(END)


@dataclass(frozen=True)
class Counting:
    """The upstream while it runs."""

    url: str
    notes: Path

    def asked(self) -> list[int]:
        """The number of every call that it was asked for, in order."""
        return [int(line) for line in self.notes.read_text(encoding="ascii").split()]


@contextmanager
def counting(folder: Path) -> Iterator[Counting]:
    notes = folder / "asked"
    notes.touch()
    command = [sys.executable, "-m", "tests.e2e.counting", str(notes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_HOUSE) as program:
        assert program.stdout is not None
        try:
            yield Counting(f"http://127.0.0.1:{int(program.stdout.readline())}", notes)
        finally:
            program.kill()


# --- its clients ----------------------------------------------------------------------------------------------------


TAGS = ",".join(f"label{number}={'x' * 250}" for number in range(12))
"""Some three kilobytes in every frame: a segment of three mebibytes is full within a second."""


@dataclass
class Clients:
    """Clients that call one after the other, each on a connection of its own, and now and then on another."""

    port: int
    model: str
    tags: str
    """Sent with every call; long ones make a journal grow fast."""
    answered: dict[int, str | None] = field(default_factory=dict)
    """Calls whose answer came whole, with the cost that its head stated if it was no stream."""
    cut: set[int] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)
    """Calls that got another status than 200."""
    _numbers: "count[int]" = field(default_factory=count)

    async def call_until(self, stopping: asyncio.Event, clients: int) -> None:
        """Call and call again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._calls(stopping))

    async def _calls(self, stopping: asyncio.Event) -> None:
        line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not stopping.is_set():
            number = next(self._numbers)
            try:
                async with asyncio.timeout(PATIENCE):
                    if line is None:
                        line = await asyncio.open_connection("127.0.0.1", self.port)
                    await self._call(number, *line)
                if number % _CALLS_EACH == 0:
                    line[1].close()
                    line = None
            except (ConnectionError, asyncio.IncompleteReadError):
                self.cut.add(number)
                if line is not None:
                    line[1].close()
                line = None
        if line is not None:
            line[1].close()

    async def _call(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = number % 3 == 0
        question = {"model": self.model, "user": str(number), "messages": [{"role": "user", "content": "the toll?"}]}
        body = json.dumps(question | {"stream": stream}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-tollkeeper-tags: {self.tags}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", said)
        if length is not None:
            await reader.readexactly(int(length[1]))
        else:
            await reader.readuntil(b"\r\n0\r\n\r\n")
        if (status := int(said.split(" ")[1])) != 200:
            self.refused[number] = status
            return
        cost = re.search(r"x-tollkeeper-cost-usd: (\S+)", said)
        self.answered[number] = cost and cost[1]


@contextmanager
def calling(clients: Clients, number: int) -> Iterator[None]:
    """So many of them call beside the block, in another thread, and are heard to the end after it."""
    stopping, loops = asyncio.Event(), SimpleQueue[asyncio.AbstractEventLoop]()

    async def call() -> None:
        loops.put(asyncio.get_running_loop())
        await clients.call_until(stopping, number)

    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(asyncio.run, call())
        loop = loops.get(timeout=PATIENCE)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(stopping.set)
            running.result(2 * PATIENCE)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)))
