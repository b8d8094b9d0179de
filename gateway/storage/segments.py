"""The segment files of one journal: preallocated, numbered, written from front to back, bounded together.

Owns the promise that room set aside stays there: a disk or a bound that is full shows when a segment is made, never
when a promised frame is written. Knows nothing of what a frame says.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from gateway.core.errors import Fault, Kind
from gateway.storage.frames import FRAME_MAX

MIN_BOUND = 1024 * 1024
"""Bytes; a journal with less room could not turn its segments over."""

_SUFFIX = ".seg"
_BLOCK = 64 * 1024
"""Bytes; what a dead process has left over is given back by as many."""
_AGAIN_S = 0.1
"""How long a full disk or bound is believed to be full, before it is looked at again."""


class Segment:
    """One file, open for writing at its end."""

    __slots__ = ("fd", "number", "offset", "path", "size")

    def __init__(self, directory: Path, number: int, size: int) -> None:
        """Makes the file with all its blocks. Raises `OSError`, and then leaves nothing behind."""
        self.path = directory / f"{number:08d}{_SUFFIX}"
        self.number = number
        self.size = size
        self.offset = 0
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _preallocate(self.fd, size)
        except OSError:
            self.discard()
            raise

    def write(self, data: bytes) -> None:
        """Append, into the operating system at once. After an `OSError` the segment still ends where it did."""
        written = os.pwrite(self.fd, data, self.offset)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes went into {self.path.name}")
        self.offset += written

    def discard(self) -> None:
        """Close and delete."""
        os.close(self.fd)
        self.path.unlink(missing_ok=True)


def _preallocate(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    elif os.pwrite(fd, bytes(size), 0) != size:  # macOS
        raise OSError(f"no room for {size} bytes")


def sync(fd: int) -> None:
    """The file's data reaches the disk; with its size, which preallocation has fixed."""
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)


def numbered(directory: Path) -> list[tuple[int, Path]]:
    """The segments in a directory in the order they were written; spare ones, still empty, come last.

    None if it is gone, be it since it was listed: another process has replayed it.
    """
    try:
        paths = [directory / name for name in os.listdir(directory)]
    except FileNotFoundError:
        return []
    return sorted((int(path.stem), path) for path in paths if path.suffix == _SUFFIX and path.stem.isdigit())


def bytes_behind(ends: Iterable[tuple[int, int]], after: tuple[int, int]) -> int:
    """What was written behind a place; `ends`: number and written bytes of each segment."""
    segment, offset = after
    return sum([max(0, end - (offset if number == segment else 0)) for number, end in ends if number >= segment])


def bytes_in(directory: Path) -> int:
    """What the segments of one journal take on disk; 0 if it is gone."""
    total = 0
    for _, path in numbered(directory):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # shipped and deleted since it was listed
    return total


def give_back(directory: Path) -> None:
    """Free what was preallocated in a journal that nobody writes any more and never written; spare segments go.

    Only zeros are taken, from the end: what lies behind a hole that a crash has left stays. Raises `OSError`.
    """
    for _, path in numbered(directory):
        fd = os.open(path, os.O_RDWR)
        try:
            size = os.fstat(fd).st_size
            used = _last_used(fd, size)
            if used == 0:
                path.unlink(missing_ok=True)
            elif used < size:
                os.ftruncate(fd, used)
        finally:
            os.close(fd)


def _last_used(fd: int, size: int) -> int:
    """Where the last block ends in which there is anything but zeros."""
    while size > 0:
        begin = (size - 1) // _BLOCK * _BLOCK
        if os.pread(fd, size - begin, begin).strip(b"\0"):
            return size
        size = begin
    return 0


class Chain:
    """The segment being written and the spare ones behind it.

    Invariant: what is free, here and in the spares, covers what is owed, whatever the order in which owed frames come
    and however often the segment changes meanwhile. Each segment but the first begins with what is carried, and may
    end with a gap that the next frame did not fit; both are left out of what counts as free.
    """

    def __init__(self, directory: Path, segment_bytes: int, bound_left: Callable[[], int]) -> None:
        """`bound_left` tells how many more bytes may be taken on disk."""
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._bound_left = bound_left
        self._last_number = 0
        self._current: Segment | None = None
        self._spares: list[Segment] = []
        self._retired: deque[Segment] = deque()
        self._ends: deque[tuple[int, int]] = deque()
        """Number and written bytes of the segments before the current one that may not be shipped yet."""
        self._unsynced_names = False
        self._full_until = 0.0
        self.full: str | None = None
        """Why there was no room when it was last asked for; null as soon as there is some again."""
        self.owed = 0
        self.carried = 0

    @property
    def end(self) -> tuple[int, int]:
        """Number of the segment being written, and the offset behind its last frame."""
        return (self._current.number, self._current.offset) if self._current else (0, 0)

    def between(self, after: tuple[int, int], until: tuple[int, int]) -> int:
        """Bytes written between two places. Safe in another thread."""
        return bytes_behind([*(end for end in list(self._ends) if end[0] < until[0]), until], after)

    def let_go(self, before: tuple[int, int]) -> None:
        """Nobody will ask for what lies before this place any more."""
        while self._ends and self._ends[0][0] < before[0]:
            self._ends.popleft()

    def promise(self, owed: int, carried: int = 0) -> None:
        """Set room aside for frames to come: `owed` bytes, and `carried` at the head of every further segment.

        Raises `Fault` (unavailable) if there is none; then nothing is set aside.
        """
        owed += self.owed
        carried += self.carried
        if self._free_here() < owed:  # else no look at the spares is needed
            while self._free(carried) < owed:
                self._grow(carried)
        self.owed = owed
        self.carried = carried

    def fulfil(self, owed: int, carried: int = 0) -> None:
        """Take a promise back, kept or not needed any more."""
        self.owed -= owed
        self.carried -= carried

    def append(self, frame: bytes, carry: Callable[[], bytes]) -> None:
        """Write a promised frame. If the disk refuses, once more into another segment; then raises `OSError`."""
        current = self._current
        if current is not None and len(frame) <= current.size - current.offset:
            try:
                return current.write(frame)
            except OSError:
                pass  # a bad spot on the disk: what the next segment says counts
        self._turn(carry()).write(frame)
        return None

    def _turn(self, carried: bytes) -> Segment:
        """The next segment, with what is carried at its head. One that cannot be written is given up."""
        small = [spare for spare in self._spares if self._worth(spare, len(carried)) <= 0]
        for spare in small:
            self._drop(spare)
        if not self._spares:
            self._spares.append(self.make(*self.next_segment(len(carried))))
        following = self._spares[0]
        try:
            following.write(carried)
        except OSError:
            self._drop(following)
            raise
        self._spares.remove(following)
        if self._current is not None:
            self._ends.append(self.end)
            self._retired.append(self._current)
        self._current = following
        return following

    def _drop(self, spare: Segment) -> None:
        self._spares.remove(spare)
        spare.discard()

    def _free_here(self) -> int:
        current = self._current
        return current.size - current.offset - FRAME_MAX if current is not None else 0

    def _free(self, carried: int) -> int:
        return max(0, self._free_here()) + sum(max(0, self._worth(spare, carried)) for spare in self._spares)

    @staticmethod
    def _worth(spare: Segment, carried: int) -> int:
        return spare.size - carried - FRAME_MAX

    # --- room for more ----------------------------------------------------------------------------------------------

    def _grow(self, carried: int) -> None:
        if self.full is not None and time.monotonic() < self._full_until:
            raise _unavailable(self.full)
        try:
            self.add(self.make(*self.next_segment(carried)))
        except OSError as error:
            self._full_until = time.monotonic() + _AGAIN_S
            self.full = f"the journal has no room: {error}"
            raise _unavailable(self.full) from error

    def wants_spare(self) -> bool:
        """Whether it is time to make another segment, ahead of need."""
        return self._free(self.carried) - self.owed < self._segment_bytes // 2

    def next_segment(self, carried: int | None = None) -> tuple[int, int]:
        """Number and size, in bytes, of the next segment to make; what is carried takes a quarter of it at most."""
        self._last_number += 1
        carried = self.carried if carried is None else carried
        return self._last_number, max(self._segment_bytes, 4 * (carried + FRAME_MAX))

    def make(self, number: int, size: int) -> Segment:
        """A new segment; safe in another thread. Raises `OSError` if the bound or the disk has no room for it."""
        if size > (left := self._bound_left()):
            raise OSError(f"its bound leaves {max(0, left)} bytes, and a segment takes {size}")
        segment = Segment(self._directory, number, size)
        self._unsynced_names = True
        return segment

    def add(self, spare: Segment) -> None:
        """Take a segment as a spare one, unless a later one is written already: then it would be read too early."""
        if spare.number < self.end[0]:
            spare.discard()
            return
        self._spares.append(spare)
        self._spares.sort(key=lambda segment: segment.number)
        self.full = None

    # --- durability -------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Everything written so far reaches the disk; for another thread than the one that writes."""
        # The current one first: should it be retired meanwhile, only this thread closes it.
        if (current := self._current) is not None:
            sync(current.fd)
        while self._retired:
            segment = self._retired.popleft()
            try:
                sync(segment.fd)
            finally:
                os.close(segment.fd)
        if self._unsynced_names:
            self._unsynced_names = False
            _sync_directory(self._directory)

    def close(self) -> None:
        """Let the files go; spare ones are deleted."""
        for spare in self._spares:
            spare.discard()
        for segment in (*self._retired, *((self._current,) if self._current else ())):
            os.close(segment.fd)
        self._spares.clear()
        self._retired.clear()
        self._current = None


def _sync_directory(directory: Path) -> None:
    """New files have their names on disk too."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unavailable(message: str) -> Fault:
    return Fault(
        Kind.UNAVAILABLE,
        message,
        hint="calls are taken again as soon as the database has taken over what waits there, or the disk has room",
        retry_after=1.0,
    )
