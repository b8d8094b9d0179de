"""A line to a server of this machine that takes its time: what a busy database, or a far one, looks like from here."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

PATIENCE = 15.0
"""Seconds that the line may take to open and to close on a busy machine."""
_PIECE = 64 * 1024


class SlowLine:
    """Passes bytes on as they come, those to the server `delay` seconds late; nothing is lost or changed."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        """Where clients connect, once it is open."""
        self.delay = 0.0

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cuts off whoever is still connected."""
        if self._listener is not None:
            self._listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a stream's callback runs in a task"
        self._connections.add(task)
        try:
            to_read, to_write = await asyncio.open_connection("127.0.0.1", self._server_port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(reader, to_write, late=True))
                    both.create_task(self._pass_on(to_read, writer, late=False))
            finally:
                to_write.close()
        except* OSError:
            pass  # one side is gone, which is no fault of the line's
        finally:
            writer.close()
            self._connections.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, late: bool) -> None:
        while piece := await reader.read(_PIECE):
            if late:
                await asyncio.sleep(self.delay)
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


@contextmanager
def slow_line(server_port: int) -> Iterator[SlowLine]:
    """A line that is open, in a thread of its own, for the length of a block."""
    loop, line = asyncio.new_event_loop(), SlowLine(server_port)
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(line.open(), loop).result(PATIENCE)
    try:
        yield line
    finally:
        asyncio.run_coroutine_threadsafe(line.close(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
