"""Reading one segment file: frame after frame, over whatever damage lies between them.

A file that is gone since it was listed is an empty one: its writer gives up spare segments that it did not use.
Knows nothing of calls and marks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.storage.frames import FRAME_MAX, Frame, frames_in

WINDOW = 512 * 1024
"""Bytes read at a time; holds several frames of any length."""


class Step(NamedTuple):
    """One frame of a segment; or, without a frame, its end."""

    end: int
    damaged: bool
    """Something that is no frame lies before it."""
    frame: Frame | None


def walk(path: Path, offset: int, finished: bool) -> Iterator[Step]:
    """Frame by frame from the offset. What is not `finished` has no end yet: the walk stops behind its last frame."""
    with _opened(path) as fd:
        at = expected = offset
        stray = False
        while finished or _begun_at(fd, at):
            data = os.pread(fd, WINDOW, at)
            found = list(frames_in(data))
            if not finished and _gap(found, expected - at):
                # The writer may have been in the middle of a frame while these bytes were read. Up to the last frame
                # seen it is not any more.
                data = os.pread(fd, found[-1].end, at)
                found = list(frames_in(data))
            for frame in found:
                yield Step(at + frame.end, at + frame.start > expected, frame)
                expected = at + frame.end
                stray = False
            if not finished:
                if not found:
                    return  # a frame on its way; or damage, which is told from it by the frames that follow
                at = expected
                continue
            stray = stray or _not_empty(data[max(0, expected - at) :])
            if len(data) < WINDOW:
                yield Step(at + len(data), stray, None)
                return
            # The frame that the window cut in two begins in its last stretch.
            at = max(expected, at + WINDOW - FRAME_MAX)


def _gap(found: list[Frame], expected: int) -> bool:
    return any(frame.start > before for frame, before in zip(found, [expected, *(f.end for f in found)], strict=False))


def _not_empty(data: bytes) -> bool:
    return bool(data.strip(b"\0"))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        fd = os.open(os.devnull, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def begun(path: Path) -> bool:
    """Whether anything was written, be its first byte damaged; a spare segment is all zero."""
    with _opened(path) as fd:
        return _not_empty(os.pread(fd, 64, 0))


def _begun_at(fd: int, offset: int) -> bool:
    return _not_empty(os.pread(fd, 1, offset))


def written(path: Path) -> int:
    """How many bytes are written: no stretch of 64 bytes of a frame is all zero, and what is preallocated is."""
    with _opened(path) as fd:
        low, high = 0, -(-os.fstat(fd).st_size // 64)
        while low < high:
            middle = (low + high) // 2
            if _not_empty(os.pread(fd, 64, middle * 64)):
                low = middle + 1
            else:
                high = middle
        start = max(0, low - 1) * 64
        return start + len(os.pread(fd, 64, start).rstrip(b"\0"))
