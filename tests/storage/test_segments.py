"""Room that was promised is there when it is needed."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.storage.frames import FRAME_MAX
from gateway.storage.segments import Chain, Segment, bytes_in, give_back, numbered

KIB = 1024


@contextmanager
def disk_ends_at(offset: int) -> Iterator[None]:
    """The operating system refuses to write any file beyond this offset: a short write, then an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (offset, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Calls:
    """Open calls as a chain sees them: each has an opening frame to carry and a closing frame to come."""

    def __init__(self, directory: Path, left: int) -> None:
        self.left = left
        self.directory = directory
        self.chain = Chain(directory, 256 * KIB, lambda: self.left - bytes_in(directory))
        self.open: list[tuple[bytes, int]] = []
        self.closed = 0

    def begin(self, opening: bytes, closing: int) -> bool:
        try:
            self.chain.promise(len(opening) + closing, carried=len(opening))
        except Fault:
            return False
        self.chain.append(opening, self.carry)
        self.chain.fulfil(len(opening))
        self.open.append((opening, closing))
        return True

    def end(self, which: int) -> None:
        opening, closing = self.open[which % len(self.open)]
        self.chain.append(b"c" * closing, self.carry)
        del self.open[which % len(self.open)]
        self.chain.fulfil(closing, carried=len(opening))
        self.closed += closing

    def carry(self) -> bytes:
        return b"".join(opening for opening, _ in self.open)


@given(
    st.lists(
        st.tuples(st.just("begin"), st.integers(1, 4 * KIB), st.integers(1, FRAME_MAX))
        | st.tuples(st.just("end"), st.integers(0, 1000), st.just(0)),
        max_size=120,
    ),
    st.integers(4, 16),
)
def test_every_promised_frame_is_written_though_the_disk_is_full_by_now(
    steps: list[tuple[str, int, int]], segments: int
) -> None:
    with TemporaryDirectory() as folder:
        calls = Calls(Path(folder), segments * 256 * KIB)
        for what, first, second in steps:
            if what == "begin":
                calls.begin(b"o" * first, second)
            elif calls.open:
                calls.end(first)
        calls.left = 0
        while calls.open:
            calls.end(-1)
        assert (calls.chain.owed, calls.chain.carried) == (0, 0)
        written = b"".join(path.read_bytes() for _, path in numbered(calls.directory))
        assert written.count(b"c") == calls.closed
        calls.chain.close()


def test_a_full_bound_refuses_at_the_promise_and_takes_nothing(tmp_path: Path) -> None:
    chain = Chain(tmp_path, 256 * KIB, lambda: 512 * KIB - bytes_in(tmp_path))
    chain.promise(300 * KIB)
    with pytest.raises(Fault) as refusal:
        chain.promise(300 * KIB, carried=KIB)
    assert refusal.value.kind is Kind.UNAVAILABLE
    assert refusal.value.retry_after
    assert (chain.owed, chain.carried) == (300 * KIB, 0)
    assert chain.full is not None
    chain.close()


def test_a_segment_for_much_that_is_carried_is_larger(tmp_path: Path) -> None:
    """Else thousands of open streams would fill every new segment with their openings alone."""
    calls = Calls(tmp_path, 64 * KIB * KIB)
    for _ in range(200):
        assert calls.begin(b"o" * 4 * KIB, 8 * KIB)
    while calls.open:
        calls.end(0)
    assert calls.closed == 200 * 8 * KIB
    calls.chain.close()


def test_a_segment_the_disk_has_no_room_for_leaves_no_file(tmp_path: Path) -> None:
    with disk_ends_at(KIB), pytest.raises(OSError, match="large"):
        Segment(tmp_path, 1, 256 * KIB)
    assert numbered(tmp_path) == []


def calls_behind(offset: int, directory: Path) -> Calls:
    """Two open calls in a segment written up to this offset, and a spare segment."""
    calls = Calls(directory, 64 * KIB * KIB)
    calls.begin(b"o" * KIB, KIB)
    calls.begin(b"o" * KIB, KIB)
    calls.chain.promise(offset)
    calls.chain.append(b"x" * offset, calls.carry)
    calls.chain.fulfil(offset)
    calls.chain.add(calls.chain.make(*calls.chain.next_segment()))
    return calls


def test_a_bad_spot_on_the_disk_moves_the_frame_to_another_segment(tmp_path: Path) -> None:
    calls = calls_behind(60 * KIB, tmp_path)
    before, _ = calls.chain.end
    with disk_ends_at(60 * KIB):
        calls.end(0)
    assert calls.chain.end == (before + 1, 3 * KIB), "what is carried, then the frame"
    calls.chain.close()


def test_a_disk_that_takes_nothing_is_an_error_and_the_frame_can_be_written_later(tmp_path: Path) -> None:
    calls = calls_behind(60 * KIB, tmp_path)
    before = calls.chain.end
    with disk_ends_at(100), pytest.raises(OSError, match="only 100 of"):
        calls.end(0)
    assert calls.chain.end == before
    assert len(calls.open) == 2
    calls.end(0)
    calls.end(0)
    assert calls.chain.end == (before[0], before[1] + 2 * KIB)
    calls.chain.close()


def test_a_spare_segment_that_comes_too_late_is_not_used(tmp_path: Path) -> None:
    """It would be read before what is written already."""
    chain = Chain(tmp_path, 256 * KIB, lambda: 10**9)
    late = chain.make(*chain.next_segment())
    chain.promise(10)
    chain.append(b"x" * 10, bytes)
    assert chain.end == (2, 10)
    chain.add(late)
    assert [number for number, _ in numbered(tmp_path)] == [2]
    chain.close()


def test_sync_lets_go_of_what_is_full(tmp_path: Path) -> None:
    chain = Chain(tmp_path, 256 * KIB, lambda: 10**9)
    for _ in range(10):
        chain.promise(60 * KIB)
        chain.append(b"x" * 60 * KIB, bytes)
        chain.fulfil(60 * KIB)
    chain.sync()
    chain.sync()
    assert chain.end[0] >= 3
    chain.close()
    assert sum(path.read_bytes().count(b"x") for _, path in numbered(tmp_path)) == 10 * 60 * KIB


def test_the_dead_give_back_what_they_did_not_write(tmp_path: Path) -> None:
    """What was written stays to its last byte, also behind a hole that a crash of the machine has left."""
    texts = {1: b"x" * 256 * KIB, 2: b"y" * 70_000, 3: b"z" + bytes(150 * KIB) + b"z", 4: b"", 5: b""}
    for number, text in texts.items():
        segment = Segment(tmp_path, number, 256 * KIB)
        segment.write(text)
    for _ in range(2):  # again is safe
        give_back(tmp_path)
        kept = {number: path.read_bytes() for number, path in numbered(tmp_path)}
        assert {number: bytes_read.rstrip(b"\0") for number, bytes_read in kept.items()} == {
            number: text for number, text in texts.items() if text
        }
        assert [len(text) // KIB for text in kept.values()] == [256, 128, 192]
    give_back(tmp_path / "gone")
