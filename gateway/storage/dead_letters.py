"""Calls that SQL refuses for good: kept in a file beside the journals, each once, with its reason, and counted.

A line of the file is one JSON object: `at_us`, `reason`, `record`. Nothing reads it but people, and whoever is about to
write a letter that is there already. All processes of the folder write it, one at a time.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from gateway.core.calls import CallRecord


class DeadLetters:
    """The file `dead-letter.jsonl` in a folder; made with the first letter."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "dead-letter.jsonl"
        self._size = -1
        self._count = 0
        self._inode = 0
        self._known: set[str] = set()
        """The calls that have a letter in the first `_known_to` bytes of the file."""
        self._known_to = 0

    @property
    def count(self) -> int:
        """How many letters the file holds, whichever process has put them there."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            self._count, self._size = self._lines(), size
        return self._count

    def add(self, refused: Sequence[tuple[CallRecord, str]], at_us: int) -> None:
        """Append the calls that have no letter yet, with their reasons; on disk when this returns. Raises `OSError`.

        A call comes again if whoever wrote its letter was killed, or its database failed, before the commit.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            self._learn(file)
            new = [(record, reason) for record, reason in refused if record.facts.id not in self._known]
            file.write(b"".join(_letter(record, reason, at_us) for record, reason in new))
            file.flush()
            os.fsync(file.fileno())

    def _learn(self, file: IO[bytes]) -> None:
        """Whose letters the file holds. The torn end of one is cut off: its writer died, and its call comes again."""
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self._known_to:  # somebody has moved it away
            self._inode, self._known_to = status.st_ino, 0
            self._known.clear()
        file.seek(self._known_to)
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(self._known_to)
                return
            self._known.add(_call_of(line))
            self._known_to += len(line)

    def _lines(self) -> int:
        try:
            with self.path.open("rb") as file:
                return sum(line.endswith(b"\n") for line in file)
        except FileNotFoundError:
            return 0


def _letter(record: CallRecord, reason: str, at_us: int) -> bytes:
    """A line. Whatever is in the record must be writable, or one odd value would block the ledger."""
    letter = {"at_us": at_us, "reason": reason, "record": asdict(record)}
    return json.dumps(letter, default=repr).encode("ascii") + b"\n"


def _call_of(line: bytes) -> str:
    """The id of a letter's call; empty if somebody else wrote the line."""
    try:
        return str(json.loads(line)["record"]["facts"]["id"])
    except (ValueError, KeyError, TypeError):
        return ""
