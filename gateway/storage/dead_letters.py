"""Calls that SQL refuses for good: kept in a file beside the journals, each with its reason, and counted.

A line of the file is one JSON object: `at_us`, `reason`, `record`. Nothing reads it but people.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gateway.core.calls import CallRecord


class DeadLetters:
    """The file `dead-letter.jsonl` in a folder; made with the first letter."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "dead-letter.jsonl"
        self._size = -1
        self._count = 0

    @property
    def count(self) -> int:
        """How many letters the file holds, whichever process has put them there."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            self._count, self._size = self._lines(), size
        return self._count

    def add(self, refused: Sequence[tuple[CallRecord, str]], at_us: int) -> None:
        """Append calls with their reasons; on disk when this returns. Raises `OSError`."""
        lines = [
            # Whatever is in the record must be writable, or one odd value would block the ledger.
            json.dumps({"at_us": at_us, "reason": reason, "record": asdict(record)}, default=repr) + "\n"
            for record, reason in refused
        ]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="ascii") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())

    def _lines(self) -> int:
        try:
            with self.path.open("rb") as file:
                return sum(1 for _ in file)
        except FileNotFoundError:
            return 0
