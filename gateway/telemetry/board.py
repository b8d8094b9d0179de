"""What the workers of one gateway show each other: of each the last thing that it put up.

Made before the workers are forked, in memory that they share; it goes with the last of them. A worker that is killed
in the middle of writing leaves what it had put up before. Knows nothing of what it says.
"""

import os
import struct
import tempfile
import zlib
from typing import Final

_HEAD: Final = struct.Struct("<QQI")
"""Number of the writing, length in bytes, checksum."""


class Board:
    """A place for each worker, written by one process at a time and read by all."""

    def __init__(self, places: int) -> None:
        self._places = [(_shared_file(), _shared_file()) for _ in range(places)]

    @property
    def places(self) -> int:
        return len(self._places)

    def put(self, place: int, said: bytes) -> None:
        """Replace what is at a place; to be called by one thread at a time of the process whose place it is."""
        last, _ = self._last(place)
        number = last + 1
        head = _HEAD.pack(number, len(said), zlib.crc32(said))
        os.pwrite(self._places[place][number % 2], head + said, 0)

    def get(self, place: int) -> bytes | None:
        """What was put there last, by whichever process, and never what was there before what was seen; None if
        nothing was."""
        return self._last(place)[1]

    def _last(self, place: int) -> tuple[int, bytes | None]:
        """The newer of the two writings that is whole, and its number."""
        one, other = self._places[place]
        while True:
            first, second = _read(one), _read(other)
            # Else both may have been written meanwhile: the first is old news then, and the second torn.
            if _read(one)[0] == first[0]:
                return max(first, second, key=lambda found: found[0])


def _shared_file() -> int:
    """A file without a name; its descriptor."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("tollkeeper-board")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _read(file: int) -> tuple[int, bytes | None]:
    """Number 0 if it is not whole: nothing was written yet, or somebody is at it."""
    head = os.pread(file, _HEAD.size, 0)
    if len(head) < _HEAD.size:
        return 0, None
    number, length, checksum = _HEAD.unpack(head)
    said = os.pread(file, min(length, os.fstat(file).st_size), _HEAD.size)
    return (number, said) if len(said) == length and zlib.crc32(said) == checksum else (0, None)
