"""A transport in memory: keeps what was written, and what its protocol asked of it.

As with a real one, `connection_lost` does not come out of `abort()`; the test says when.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from gateway.net.outbox import Outbox


def at_once() -> Outbox:
    """An outbox for tests without an event loop: nothing waits in it."""
    return Outbox(lambda flush: flush())


class MemoryLine(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        """Bytes that the other side has not taken yet."""
        self._reading = True
        self.aborted = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        assert not self.aborted, "written to a line that was cut"
        self.written += bytes(data)

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        for data in list_of_data:
            self.write(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert self._reading
        self._reading = False

    def resume_reading(self) -> None:
        assert not self._reading
        self._reading = True

    def is_reading(self) -> bool:
        return self._reading

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted
