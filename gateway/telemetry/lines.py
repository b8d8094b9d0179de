"""Log lines on their way out, off the event loop.

A pipe that nobody reads blocks its writer; a gateway must not stand still because its log does. So what is to be logged
waits in a bounded queue for a thread that makes lines of it and writes many at once; what does not fit is counted and
given up. One after the other in one go, lines take half the time that each would take amid its call. Several processes
may write into one pipe: what is written at once is then small enough that the system does not mix it with theirs.
"""

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Generic, TypeVar

MAX_LINES = 10_000
_GATHER_SECONDS = 0.05
_FAREWELL_SECONDS = 2.0

T = TypeVar("T")


class LineWriter(Generic[T]):
    """Writes lines to a binary stream, in order, from one background thread."""

    def __init__(self, stream: BinaryIO, render: Callable[[T], bytes], max_lines: int = MAX_LINES) -> None:
        """`render` makes a line, with its newline, of what was handed over."""
        self.dropped = 0
        """Lines given up: the queue was full, they could not be made, or the stream refused them."""
        self._stream = stream
        self._is_pipe = _is_pipe(stream)
        self._render = render
        self._max_lines = max_lines
        self._waiting: deque[T] = deque()
        self._counting = threading.Lock()
        self._some = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        self._thread.start()

    def write(self, item: T) -> None:
        """Hand over what one line is made of. Never waits for the stream, never raises."""
        if len(self._waiting) >= self._max_lines:
            self._drop(1)
            return
        self._waiting.append(item)
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
        waiting, lines = self._waiting, []
        while waiting:
            item = waiting.popleft()
            try:
                lines.append(self._render(item))
            except Exception:  # noqa: BLE001  one line is not worth all those after it; the counter tells
                self._drop(1)
        try:
            for part in _parts(lines, select.PIPE_BUF) if self._is_pipe else (b"".join(lines),):
                self._stream.write(part)
                self._stream.flush()
        except (OSError, ValueError):
            # A reader that left, or a closed stream: there is nowhere left to say so but the counter.
            self._drop(len(lines))

    def _drop(self, lines: int) -> None:
        with self._counting:  # whoever logs gives up here, and the thread too
            self.dropped += lines


def _is_pipe(stream: BinaryIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # in memory, or closed
        return False


def _parts(lines: Sequence[bytes], most: int) -> Iterator[bytes]:
    """Whole lines, as many as fit into so many bytes; a longer one alone."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > most:
            yield b"".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    yield b"".join(part)
