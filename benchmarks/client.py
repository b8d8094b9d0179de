"""A load client at work, as seen by the one who started it."""

import contextlib
import select
import subprocess
from collections.abc import Iterator
from time import monotonic
from typing import IO

from benchmarks.failed import Failed
from benchmarks.load import JOB, OVER, PATIENCE, SEEN, TOLD, Held, Loop, Pairs, Seen, Told
from benchmarks.machine import on_core
from benchmarks.processes import end, start_module


class Client:
    """Its pipes; all that it says is a line at a time."""

    def __init__(self, job: Loop | Pairs | Held, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._patience = job.limit + PATIENCE
        self._in: IO[bytes] = process.stdin
        self._out: IO[bytes] = process.stdout
        self._in.write(JOB.dump_json(job) + b"\n")

    def is_over(self, within: float) -> bool:
        """Whether it has all its answers; waits for that up to `within` seconds."""
        return bool(select.select([self._out], [], [], within)[0])

    def told(self) -> Told:
        """What it says of open streams; the first time when all of them are."""
        return TOLD.validate_json(self._line())

    def ask(self) -> Told:
        """How they are now."""
        self._in.write(b"\n")
        return self.told()

    def seen(self) -> list[Seen]:
        """Waits for the end of its work."""
        self._in.close()
        line = self._line()
        if line != OVER:
            raise Failed(f"the load client said {line!r}")
        return SEEN.validate_json(self._line())

    def _line(self) -> bytes:
        line, deadline = b"", monotonic() + self._patience
        while not line.endswith(b"\n"):
            if not self.is_over(max(0.0, deadline - monotonic())):
                raise Failed("the load client does not come to an end")
            part = self._out.read(1)
            if not part:
                raise Failed("the load client failed; what it said is above")
            line += part
        return line


@contextlib.contextmanager
def client(job: Loop | Pairs | Held, core: int | None) -> Iterator[Client]:
    """A process of its own, at work while the block runs."""
    with on_core(core):
        process = start_module("benchmarks.load")
    try:
        yield Client(job, process)
    finally:
        end(process)
