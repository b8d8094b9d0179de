"""`python -m benchmarks.load`: reads a job as a line of JSON on stdin, prints what it saw as JSON."""

import gc
import sys

import uvloop

from benchmarks.load import JOB, OVER, SEEN, Held, Loop, Pairs
from benchmarks.load.held import Driver as HeldDriver
from benchmarks.load.loop import Driver as LoopDriver
from benchmarks.load.pairs import drive as drive_pairs
from benchmarks.load.tally import Tally


async def drive(job: Loop | Pairs | Held) -> list[Tally]:
    """What the door gave, and what the one beside it did if there is one."""
    if isinstance(job, Pairs):
        return await drive_pairs(job)
    if isinstance(job, Held):
        return [await HeldDriver(job).run()]
    return [await LoopDriver(job).run()]


def main() -> None:
    job = JOB.validate_json(sys.stdin.readline())
    gc.collect()
    gc.freeze()  # a pause of ours would be taken for one of the gateway's
    tallies = uvloop.run(drive(job))
    sys.stdout.write(OVER.decode())
    sys.stdout.flush()
    print(SEEN.dump_json([tally.seen() for tally in tallies]).decode())


if __name__ == "__main__":
    main()
