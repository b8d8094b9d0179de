"""Log lines on their way out, off the event loop.

A pipe that nobody reads blocks its writer; a gateway must not stand still because its log does. So what is to be logged
waits in a bounded queue for a thread that makes lines of it and writes many at once; what does not fit is counted and
given up. One after the other in one go, lines take half the time that each would take amid its call.
"""

import threading
from collections import deque
from collections.abc import Callable
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
        self._render = render
        self._max_lines = max_lines
        self._waiting: deque[T] = deque()
        self._some = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        self._thread.start()

    def write(self, item: T) -> None:
        """Hand over what one line is made of. Never waits for the stream, never raises."""
        if len(self._waiting) >= self._max_lines:
            self.dropped += 1
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
                self.dropped += 1
        try:
            self._stream.write(b"".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            # A reader that left, or a closed stream: there is nowhere left to say so but the counter.
            self.dropped += len(lines)
