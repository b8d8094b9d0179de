"""Several processes that serve from one listener: starts them, replaces one that dies, ends them together.

Owns the parent: its signals, and a line to each worker. Must not know what the workers serve.

The workers are forked: what was imported is read once and its memory shared, and one that died is replaced in
milliseconds. So the parent must have neither threads nor an event loop, and nothing open that two processes must not
share. All of them accept from the same listener: a connection that waits for a worker which dies is served by another,
which is why it is not one listener each (SO_REUSEPORT), whose queue dies with its worker.
"""

import asyncio
import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final, TypeAlias

logger = logging.getLogger(__name__)

SETTLED: Final = 1.0
"""Seconds that a worker must have served for its death to be an accident; after a shorter life it is a symptom."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds before a worker that dies again and again is replaced; the first time it is at once."""
FAREWELL: Final = 44.0
"""Seconds that workers have to end; the grace of calls and that of jobs fit into it."""
CRASHED: Final = 70
"""The exit code of a worker that ended by an exception."""

_READY = b"r"
_STOP = b"s"
_HURRY = b"h"


class Line:
    """A worker's end of the line to its parent."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def ready(self) -> None:
        """Tell the parent that calls are taken."""
        with contextlib.suppress(OSError):  # a parent that is gone is heard of in `attend`
            self._end.send(_READY)

    def attend(self, stop: Callable[[bool], None]) -> None:
        """Call `stop` in the running event loop when the parent or SIGTERM says so; its argument: whether at once.

        A parent that is gone has said so, too: nobody would replace a worker any more, or end it.
        """
        loop = asyncio.get_running_loop()

        def hear() -> None:
            try:
                said = self._end.recv(16)
            except ConnectionError:  # the parent died before it had read what was said to it
                said = b""
            if not said:
                loop.remove_reader(self._end.fileno())
            stop(_HURRY in said)

        loop.add_reader(self._end.fileno(), hear)
        loop.add_signal_handler(signal.SIGTERM, stop, False)


Work: TypeAlias = Callable[[int, Line], int]
"""What a worker does, given its place (0, 1, …) and its line; its exit code. A replacement has the same place."""


@dataclass(slots=True)
class _Worker:
    pid: int
    line: socket.socket
    """The parent's end."""
    ready_at: float | None = None
    """Monotonic seconds; null until it takes calls."""


@dataclass(slots=True)
class _Place:
    """Where one worker after the other serves."""

    number: int
    worker: _Worker | None = None
    quick_deaths: int = 0
    """How many workers in a row died before they had settled."""
    due: float | None = None
    """When the next one starts, monotonic seconds; null while one runs."""


class Workers:
    """`run` is the life of the parent."""

    def __init__(self, count: int, work: Work, listener: socket.socket, started: Callable[[], None]) -> None:
        """`started` is called in the parent as soon as the first worker takes calls."""
        self._places = [_Place(number) for number in range(count)]
        self._work = work
        self._listener = listener
        self._started = started
        self._poll = selectors.PollSelector()  # not epoll, which parent and child would share
        self._wake, self._waker = socket.socketpair()
        self._stopping_since: float | None = None
        self._interrupts = 0
        self._told = False
        self._code = 0

    def run(self) -> int:
        """Serve until told to stop by SIGTERM or SIGINT; the exit code.

        The first worker goes before the others: what keeps it from starting would keep all, and is told once. The
        second SIGINT hurries the workers, the third kills them.
        """
        with self._signals():
            self._poll.register(self._wake, selectors.EVENT_READ)
            self._places[0].due = time.monotonic()
            while self._stopping_since is None or any(place.worker for place in self._places):
                self._start_those_due()
                for key, _ in self._poll.select(self._patience()):
                    if key.data is None:
                        self._signalled(self._wake.recv(64))
                    else:
                        self._heard(key.data)
                self._kill_those_late()
        self._poll.close()
        return self._code

    # one worker

    def _start_those_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.due is not None and place.due <= now:
                place.due = None
                self._fork(place)

    def _fork(self, place: _Place) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_worker(place, theirs, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        place.worker = _Worker(pid, ours)
        self._poll.register(ours, selectors.EVENT_READ, place)

    def _become_worker(self, place: _Place, end: socket.socket, before: set[signal.Signals | int]) -> None:
        """Ends this process: nothing of what the parent was about to do happens in a child."""
        code = CRASHED
        try:
            # A Ctrl-C in the terminal goes to all of them; the parent says what comes of it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._poll.close()
            for one in (self._wake, self._waker, *(other.worker.line for other in self._places if other.worker)):
                one.close()
            code = self._work(place.number, Line(end))
        except BaseException:  # noqa: BLE001 - whatever it was, this process ends here
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):  # nobody reads them any more
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _heard(self, place: _Place) -> None:
        worker = place.worker
        assert worker is not None
        try:
            said = worker.line.recv(16)
        except ConnectionError:
            said = b""
        if not said:
            self._poll.unregister(worker.line)
            worker.line.close()
            place.worker = None
            self._ended(place, worker, os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1]))
            return
        worker.ready_at = time.monotonic()
        if not self._told:
            self._told = True
            self._started()
            for other in self._places[1:]:
                other.due = worker.ready_at

    def _ended(self, place: _Place, worker: _Worker, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        if self._stopping_since is not None:
            if code:
                self._code = 1
                logger.error("worker %d (process %d) %s instead of ending well", place.number, worker.pid, how)
            return
        if not self._told:
            # It has said itself why it cannot start; the others could not either.
            self._code = code if code > 0 else 1
            self._stop()
            return
        now = time.monotonic()
        settled = worker.ready_at is not None and now - worker.ready_at >= SETTLED
        place.quick_deaths = 0 if settled else place.quick_deaths + 1
        pause = pause_after(place.quick_deaths)
        place.due = now + pause
        level = logging.ERROR if code else logging.INFO
        if pause:
            then = f"it is the {place.quick_deaths}. in a row that did not last; another one starts in {pause:g} s"
        else:
            then = "another one takes its place"
        logger.log(level, "worker %d (process %d) %s; %s", place.number, worker.pid, how, then)

    # all of them

    def _signalled(self, signals: bytes) -> None:
        for number in signals:
            self._interrupts += number == signal.SIGINT
            if self._stopping_since is None:
                self._stop()
            elif number == signal.SIGINT and self._interrupts == 2:
                self._say(_HURRY)
            elif number == signal.SIGINT and self._interrupts > 2:
                self._kill()

    def _stop(self) -> None:
        self._stopping_since = time.monotonic()
        self._listener.close()  # else clients would queue where nobody comes any more
        for place in self._places:
            place.due = None
        self._say(_STOP)

    def _say(self, word: bytes) -> None:
        for place in self._places:
            if place.worker is not None:
                with contextlib.suppress(OSError):  # it has just died, which its line tells
                    place.worker.line.send(word)

    def _kill_those_late(self) -> None:
        if self._stopping_since is not None and time.monotonic() > self._stopping_since + FAREWELL:
            self._kill()

    def _kill(self) -> None:
        for place in self._places:
            if place.worker is not None:
                os.kill(place.worker.pid, signal.SIGKILL)

    def _patience(self) -> float | None:
        """Seconds until there is something to do without having been told."""
        due = [place.due for place in self._places if place.due is not None]
        if self._stopping_since is not None:
            due.append(self._stopping_since + FAREWELL + 0.1)
        return max(0.0, min(due) - time.monotonic()) if due else None

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals wake the poll up; in a worker they are what it makes of them."""
        for end in (self._wake, self._waker):
            end.setblocking(False)
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, _heeded) for kind in kinds}
        descriptor = signal.set_wakeup_fd(self._waker.fileno())
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for kind, handler in before.items():
                signal.signal(kind, handler)
            self._wake.close()
            self._waker.close()


def pause_after(quick_deaths: int) -> float:
    """Seconds to wait after so many workers in a row that did not last."""
    if quick_deaths < 2:
        return 0.0
    return min(FIRST_PAUSE * 2.0 ** min(quick_deaths - 2, 10), LONGEST_PAUSE)


def _heeded(_signal: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor has it already."""
