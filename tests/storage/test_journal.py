"""The journal as its process writes it: nothing is lost, and what cannot be kept is refused beforehand."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from gateway.storage.frames import MAX_ATTEMPTS, closing_room
from gateway.storage.journal import ClaimedJournal, JournalReader, JournalWriter, Mark, claim_dead
from gateway.storage.journal_folder import forget, gone, journals
from gateway.storage.segments import bytes_in
from tests.storage.journals import MIB, dead, ids, run_call, until
from tests.storage.samples import a_record, an_opening, with_texts

pytestmark = pytest.mark.anyio


# --- writing --------------------------------------------------------------------------------------------------------


async def test_frames_are_readable_as_soon_as_the_method_returns(journal: JournalWriter) -> None:
    reader = JournalReader(journal.directory)
    mark = Mark()
    for number in range(50):
        record = run_call(journal, f"c{number}")
        batch = reader.read(mark)
        assert batch.records == (record,)
        mark = batch.mark


async def test_a_reader_in_another_thread_sees_every_call_once_and_no_damage(journal: JournalWriter) -> None:
    calls = 5000
    read: list[str] = []
    damage: list[int] = []

    def follow() -> None:
        reader, mark = JournalReader(journal.directory), Mark()
        while len(read) < calls:
            batch = reader.read(mark, limit=70)
            read.extend(ids(batch))
            damage.append(batch.corrupt + batch.torn)
            mark = batch.mark
            reader.delete_before(mark)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    for number in range(calls):
        run_call(journal, f"c{number}")
        if number % 50 == 0:
            await asyncio.sleep(0)
    await until(lambda: not thread.is_alive())
    assert read == [f"c{number}" for number in range(calls)]
    assert sum(damage) == 0


async def test_how_it_is_doing_can_be_asked_in_another_thread(tmp_path: Path) -> None:
    """While calls come and go, as metrics are asked for."""
    journal = JournalWriter(tmp_path / "big", max_bytes=16 * 1024 * MIB, segment_bytes=MIB)
    await journal.start()
    for number in range(20_000):  # so many that the other thread's turn comes before all are looked at
        journal.reserve(f"open {number}")
    reader, mark = JournalReader(journal.directory), Mark()
    seen: list[int] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            while len(seen) < 200:
                seen.append(journal.stats().open_calls)
        except RuntimeError as error:
            failed.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        thread.start()
        while thread.is_alive():
            for number in range(100):
                run_call(journal, f"c{number}")
            mark = reader.read(mark).mark
            reader.delete_before(mark)
    finally:
        sys.setswitchinterval(usual)
        await journal.stop()
    assert failed == []
    assert {20_000, 20_001} >= set(seen)


async def test_rotation_carries_the_openings_of_open_calls(journal: JournalWriter) -> None:
    """So that a segment can be deleted as soon as it is shipped, whatever streams began in it."""
    for index in range(2):
        journal.open_attempt(an_opening("long", index))
    reader, mark, segments = JournalReader(journal.directory), Mark(), set()
    for number in range(2000):
        run_call(journal, f"c{number}")
        if number % 100 == 99:
            mark = reader.read(mark).mark
            segments.add(mark.segment)
            reader.delete_before(mark)
    assert len(segments) > 3
    await journal.stop()
    with dead(journal.directory) as claimed:
        assert claimed.reader.interrupted() == ((an_opening("long", 0), an_opening("long", 1)),)
        assert claimed.reader.read(mark).records == ()


async def test_a_closed_call_is_carried_no_further(journal: JournalWriter) -> None:
    journal.open_attempt(an_opening("long"))
    for number in range(500):
        run_call(journal, f"c{number}")
    journal.close_call(a_record("long"))
    for number in range(500):
        run_call(journal, f"d{number}")
    mark = JournalReader(journal.directory).read(Mark(), limit=10_000).mark
    await journal.stop()
    with dead(journal.directory) as claimed:
        claimed.reader.delete_before(mark)
        assert claimed.reader.interrupted() == ()


async def test_thousands_of_open_calls_fit_and_all_of_them_end(journal: JournalWriter) -> None:
    calls = 3000
    for number in range(calls):
        journal.open_attempt(an_opening(f"c{number}"))
    assert journal.stats().open_calls == calls
    assert journal.stats().reserved_bytes == calls * closing_room(1)
    for number in range(calls):
        journal.close_call(a_record(f"c{number}"))
    assert journal.stats().reserved_bytes == 0
    batch = JournalReader(journal.directory).read(Mark(), limit=10 * calls)
    assert ids(batch) == [f"c{number}" for number in range(calls)]
    assert batch.corrupt == 0


async def test_each_attempt_reserves_more_and_the_number_is_bounded(journal: JournalWriter) -> None:
    journal.reserve("c")
    for index in range(MAX_ATTEMPTS):
        assert journal.stats().reserved_bytes == closing_room(index)
        journal.open_attempt(an_opening("c", index))
    with pytest.raises(Fault, match=f"{MAX_ATTEMPTS} attempts"):
        journal.open_attempt(an_opening("c", MAX_ATTEMPTS))
    huge = with_texts(a_record("c", attempts=MAX_ATTEMPTS), "\x00" * 50_000)
    journal.close_call(huge)
    (read,) = JournalReader(journal.directory).read(Mark()).records
    assert (read.facts.id, read.cost_nano) == ("c", huge.cost_nano)
    assert journal.stats().reserved_bytes == 0


# --- durability and end ---------------------------------------------------------------------------------------------


async def test_every_call_synced_on_request(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, sync="every_call", max_bytes=MIB)
    await journal.start()

    async def call(name: str) -> None:
        run_call(journal, name)
        await journal.synced()

    await asyncio.gather(*(call(f"c{number}") for number in range(30)))
    assert len(JournalReader(journal.directory).read(Mark()).records) == 30
    await journal.stop()


@pytest.mark.parametrize("calls", [0, 1])
async def test_a_journal_that_was_shipped_whole_leaves_its_name_and_nothing_else(tmp_path: Path, calls: int) -> None:
    journal = JournalWriter(tmp_path, max_bytes=MIB)
    await journal.start()
    for number in range(calls):
        run_call(journal, f"c{number}")
    await journal.stop(JournalReader(journal.directory).read(Mark()).mark)
    assert journals(tmp_path) == []
    assert gone(tmp_path) == [journal.id]
    await journal.stop()
    forget(tmp_path, [journal.id])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shipped", ["nothing", "all but the last", "all but an open call"])
async def test_a_journal_with_something_unshipped_is_left_to_the_next_process(tmp_path: Path, shipped: str) -> None:
    journal = JournalWriter(tmp_path, max_bytes=MIB)
    await journal.start()
    run_call(journal, "first")
    mark = JournalReader(journal.directory).read(Mark()).mark
    if shipped == "all but an open call":
        journal.open_attempt(an_opening("open"))
        mark = JournalReader(journal.directory).read(mark).mark
    elif shipped == "all but the last":
        run_call(journal, "last")
    await journal.stop(None if shipped == "nothing" else mark)
    (claimed,) = claim_dead(tmp_path)
    assert claimed.id == journal.id
    rest = claimed.reader.read(Mark() if shipped == "nothing" else mark)
    assert (ids(rest), rest.torn, rest.corrupt) == (
        {"nothing": ["first"], "all but the last": ["last"], "all but an open call": []}[shipped], 0, 0,
    )  # fmt: skip
    claimed.remove()
    assert (journals(tmp_path), gone(tmp_path)) == ([], [journal.id])


async def test_a_stopped_journal_takes_nothing(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, max_bytes=MIB)
    await journal.start()
    journal.open_attempt(an_opening("open"))
    await journal.stop()
    with pytest.raises(Fault):
        journal.reserve("c")
    with pytest.raises(Fault):
        journal.close_call(a_record("open"))
    with dead(journal.directory) as claimed:
        assert claimed.reader.interrupted() == ((an_opening("open"),),)


async def test_a_live_journal_is_nobody_elses(journal: JournalWriter, tmp_path: Path) -> None:
    assert claim_dead(tmp_path) == []
    with pytest.raises(Fault, match="in use by process") as refusal:
        ClaimedJournal(journal.directory)
    assert refusal.value.kind is Kind.CONFLICT


# --- kill -9 --------------------------------------------------------------------------------------------------------

WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from gateway.storage.journal import JournalWriter
from tests.storage.samples import a_record, an_opening

async def main():
    journal = JournalWriter(Path(sys.argv[1]), max_bytes=64 * 1024 * 1024, segment_bytes=256 * 1024)
    await journal.start()
    print(journal.id, flush=True)
    for number in range(10**9):
        journal.open_attempt(an_opening(f"c{number}"))
        print("o", number, flush=True)
        if number >= 10:
            journal.close_call(a_record(f"c{number - 10}"))
            print("c", number - 10, flush=True)
        if number % 20 == 0:
            await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 2, 25, 3000, 3001])
def test_a_killed_process_loses_nothing_that_it_had_written(tmp_path: Path, lines: int) -> None:
    """Known fault 29, 55, 59: usage that waited in memory was lost when the process was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        journal_id = process.stdout.readline().strip()
        told = [process.stdout.readline().split() for _ in range(lines)]
        assert claim_dead(tmp_path) == [], "its owner lives"
        process.kill()
        whole_lines = process.stdout.read().split("\n")[:-1]
        told += [line.split() for line in whole_lines]
    opened = {f"c{number}" for what, number in told if what == "o"}
    closed = [f"c{number}" for what, number in told if what == "c"]
    (claimed,) = claim_dead(tmp_path)
    assert claimed.id == journal_id
    before = bytes_in(claimed.directory)
    claimed.give_back()
    assert bytes_in(claimed.directory) < before
    batch = claimed.reader.read(Mark(), limit=10**9)
    read = ids(batch)
    assert len(read) == len(set(read))
    # One frame may have been written whose line was not, or not whole: the process died between the two.
    assert read[: len(closed)] == closed
    assert len(read) <= len(closed) + 1
    interrupted = [attempts[0].call.id for attempts in claimed.reader.interrupted()]
    assert opened <= set(interrupted) | set(read)
    assert not set(interrupted) & set(read)
    assert len(set(interrupted) | set(read)) <= len(opened) + 1
    assert batch.corrupt == 0
    claimed.remove()


KILL_OFTEN = """
import asyncio, os, random, signal, sys
from pathlib import Path
from gateway.storage.journal import JournalWriter
from tests.storage.samples import a_record, an_opening

async def write(folder, told):
    journal = JournalWriter(folder, max_bytes=64 * 1024 * 1024, segment_bytes=64 * 1024)
    await journal.start()
    for number in range(10**9):
        journal.open_attempt(an_opening(f"c{number}"))
        os.write(told, f"o {number}\\n".encode())
        if number >= 3:
            journal.close_call(a_record(f"c{number - 3}"))
            os.write(told, f"c {number - 3}\\n".encode())
        if number % 20 == 0:
            await asyncio.sleep(0)

chance = random.Random(11)
for round in range(int(sys.argv[2])):
    folder = Path(sys.argv[1]) / str(round)
    folder.mkdir()
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        asyncio.run(write(folder, theirs))
    os.close(theirs)
    enough, told = chance.randrange(1, 8000), b""
    while len(told) < enough:
        told += os.read(ours, 4096)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(ours, 65536):
        told += more
    os.close(ours)
    (folder / "told").write_bytes(told)
"""
KILLS = 500
"""Of plain code, and as many of compiled: CI runs both."""


def test_hundreds_of_killed_writers_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Known faults 52, 55, 59: wherever a process dies, what it had said to be written is there, and once."""
    subprocess.run([sys.executable, "-c", KILL_OFTEN, str(tmp_path), str(KILLS)], check=True, timeout=300)
    turned = 0
    for folder in sorted(tmp_path.iterdir()):
        told = [line.split() for line in (folder / "told").read_text().split("\n")[:-1]]
        opened = {f"c{number}" for what, number in told if what == "o"}
        closed = [f"c{number}" for what, number in told if what == "c"]
        (claimed,) = claim_dead(folder)
        turned += len(list(claimed.directory.glob("*.seg"))) > 2
        read = ids(batch := claimed.reader.read(Mark(), limit=10**9))
        interrupted = [attempts[0].call.id for attempts in claimed.reader.interrupted()]
        # One frame may have been written of which nothing was told any more.
        assert read[: len(closed)] == closed
        assert len(read) <= len(closed) + 1
        assert len(read) == len(set(read))
        assert not set(interrupted) & set(read)
        assert opened <= set(interrupted) | set(read)
        assert len(set(interrupted) | set(read)) <= len(opened) + 1
        assert batch.corrupt == 0
        assert batch.torn <= 1
        claimed.remove()
    assert turned >= KILLS // 10, "too few died with several segments"
