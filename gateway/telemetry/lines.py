"""Finished log lines on their way out, off the event loop.

A pipe that nobody reads blocks its writer; a gateway must not stand still because its log does. So lines wait in a
bounded buffer for a thread that writes many at once; what does not fit is counted and given up. Several processes may
write into one pipe: what is written at once is then small enough that the system does not mix it with theirs.
"""

import os
import select
import stat
import threading
from collections.abc import Iterator
from typing import BinaryIO

MAX_BYTES = 16 * 1024 * 1024
_GATHER_SECONDS = 0.05
_FAREWELL_SECONDS = 2.0


class LineWriter:
    """Writes lines to a binary stream, in order, from one background thread."""

    def __init__(self, stream: BinaryIO, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0
        """Lines given up: the buffer was full or the stream refused them."""
        self._stream = stream
        self._max_bytes = max_bytes
        self._is_pipe = _is_pipe(stream)
        # One growing buffer: keeping the lines as objects costs twice the time of making them.
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Hand over one line with its newline. Never waits for the stream, never raises."""
        with self._lock:
            if len(self._buffer) + len(line) > self._max_bytes:
                self.dropped += 1
                return
            self._buffer.extend(line)
        if not self._some.is_set():
            self._some.set()

    def stop(self) -> None:
        """Write what is left and end the thread; gives up after two seconds if nobody reads the stream."""
        self._stopping.set()
        self._some.set()
        self._thread.join(_FAREWELL_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._some.wait()
            self._stopping.wait(_GATHER_SECONDS)
            self._some.clear()
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        with self._lock:
            batch, self._buffer = self._buffer, bytearray()
        try:
            for part in _parts(batch, select.PIPE_BUF) if self._is_pipe else (batch,):
                self._stream.write(part)
                self._stream.flush()
        except (OSError, ValueError):
            # A reader that left, or a closed stream: there is nowhere left to say so but the counter.
            with self._lock:
                self.dropped += batch.count(b"\n")


def _is_pipe(stream: BinaryIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # in memory, or closed
        return False


def _parts(lines: bytearray, most: int) -> Iterator[memoryview]:
    """Whole lines, as many as fit into so many bytes; a longer one alone."""
    view, start = memoryview(lines), 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + most) + 1
        if not end:
            end = lines.find(b"\n", start) + 1 or len(lines)
        yield view[start:end]
        start = end
