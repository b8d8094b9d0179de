"""Reading a journal: the calls that ended after a mark, and in a dead journal the attempts that never did.

Damage is stepped over and counted, never raised: the next frame whose checksum holds is the next frame. Knows nothing
of SQL; whoever commits the mark decides what may be deleted. Blocks on the disk: call it in a thread.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.core.calls import AttemptOpened, CallRecord
from gateway.core.errors import Fault
from gateway.storage import frames
from gateway.storage.frames import CLOSING, KNOWN_VERSIONS, OPENING, Frame, Unreadable
from gateway.storage.journal_folder import Lock, damaged_aside, delete_directory, journals, kept_aside
from gateway.storage.segment_walk import Step, begun, walk, written
from gateway.storage.segments import bytes_behind, give_back, numbered


class Mark(NamedTuple):
    """A place in a journal, between two frames: segment number and byte offset."""

    segment: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What lies between two marks."""

    records: tuple[CallRecord, ...]
    mark: Mark
    """Where to go on after these records are committed."""
    corrupt: int
    """Damaged stretches that were stepped over, and frames that make no sense."""
    torn: int
    """1 if a dead journal ends in the middle of a frame: its process died while writing."""
    newer: int
    """Frames of a version that this release does not know; they are kept aside, not deleted."""
    oldest_us: int | None
    """When the first of these calls to end ended; microseconds since 1970-01-01 UTC."""


class JournalReader:
    """Reads one journal directory; writes nothing but deletions."""

    def __init__(self, directory: Path, *, live: bool = True) -> None:
        """`live`: somebody is writing it, so its end is where the next frame will come."""
        self._directory = directory
        self._live = live
        self._damaged: set[int] = set()
        """Segments in which something could not be read."""

    def read(self, after: Mark, limit: int = 1000) -> Batch:
        """The calls that ended behind the mark, `limit` at most. A batch without any may still move the mark."""
        tally = _Tally(after, self._damaged)
        segments = [(number, path) for number, path in numbered(self._directory) if number >= after.segment]
        last = max((number for number, path in segments if begun(path)), default=0)
        for number, path in segments:
            if number > last:
                break  # a spare one: a mark in it would give up the segment before, which has what never ended
            finished = number < last or not self._live
            offset = after.offset if number == after.segment else 0
            for step in walk(path, offset, finished):
                tally.take(number, step, is_last=number >= last)
                if len(tally.records) >= limit:
                    return tally.batch()
            if not finished:
                break
        return tally.batch()

    def delete_before(self, mark: Mark) -> None:
        """Delete the segments before the mark's own. Those with damage, or newer frames, move aside instead.

        Of a dead journal the last two stay: its process may have died while it carried what was open into the last.
        Raises `Fault` (conflict) while a newer release replays what was put aside before.
        """
        segments = numbered(self._directory)
        kept = [] if self._live else [number for number, path in segments if begun(path)][-2:]
        for number, path in segments:
            if number < mark.segment and number not in kept and not self._set_aside(number, path):
                path.unlink(missing_ok=True)

    def set_all_aside(self) -> None:
        """Of a dead journal that is about to be deleted: move away what this release has not read.

        Raises `OSError`, and `Fault` (conflict) as `delete_before` does.
        """
        segments = numbered(self._directory)
        last = max((number for number, path in segments if begun(path)), default=0)
        for number, path in segments:
            self._set_aside(number, path, is_last=number >= last)

    def _set_aside(self, number: int, path: Path, *, is_last: bool = False) -> bool:
        """Whether a segment was moved to where a newer release replays it, or people find what damage has left."""
        damaged = number in self._damaged
        if self._live and not damaged:
            return False  # it has been written by this release
        newer = 0
        for step in walk(path, 0, finished=True):
            if step.frame is not None and step.frame.version not in KNOWN_VERSIONS:
                newer = max(newer, step.frame.version)
            damaged = damaged or (step.damaged and not (is_last and step.frame is None))
        if newer:
            _move(path, kept_aside(path.parent, newer))
        elif damaged:
            aside = damaged_aside(path.parent)
            aside.mkdir(mode=0o700, exist_ok=True)
            path.rename(aside / path.name)
        return bool(newer) or damaged

    def interrupted(self) -> tuple[tuple[AttemptOpened, ...], ...]:
        """Of a dead journal: the opened attempts of each call that never closed, calls in the order they opened."""
        open_calls: dict[str, dict[bytes, None]] = {}
        for frame in self._frames():
            # A frame whose checksum holds and that makes no sense cannot become a row; `read` counts such closings.
            with suppress(Unreadable):
                call = frames.call_id(frame.payload)
                if frame.kind == CLOSING:
                    open_calls.pop(call, None)
                elif frame.kind == OPENING:
                    # The same payload comes again at the head of every segment that the call lived to see.
                    open_calls.setdefault(call, {})[frame.payload] = None
        return tuple(opened for payloads in open_calls.values() if (opened := tuple(_openings(payloads))))

    def backlog_bytes(self, after: Mark) -> int:
        """Bytes written behind the mark, opening frames included."""
        return bytes_behind(self.ends(after), after)

    def ends(self, after: Mark) -> list[tuple[int, int]]:
        """Number and written bytes of each segment from the mark's own on."""
        return [(number, written(path)) for number, path in numbered(self._directory) if number >= after.segment]

    def _frames(self) -> Iterator[Frame]:
        for _, path in numbered(self._directory):
            for step in walk(path, 0, finished=True):
                if step.frame is not None and step.frame.version in KNOWN_VERSIONS:
                    yield step.frame


class ClaimedJournal:
    """A dead process's journal, ours until it is removed or released."""

    def __init__(self, directory: Path) -> None:
        """Raises `Fault` (conflict) if its owner lives, (not found) if it is gone."""
        self._lock = Lock(directory)
        self.directory = directory
        self.reader = JournalReader(directory, live=False)

    @property
    def id(self) -> str:
        return self.directory.name

    def give_back(self) -> None:
        """Free the room that its process had taken ahead of need: those that live are bounded together with it."""
        with suppress(OSError):  # whoever reads it is told what is wrong with the disk
            give_back(self.directory)

    def remove(self) -> None:
        """All of it is committed: delete it, but for segments with damage or newer frames, which move aside.

        Ends the claim, unless it fails. Raises `OSError`, and `Fault` (conflict) as `delete_before` does.
        """
        self.reader.set_all_aside()
        delete_directory(self.directory)
        self.release()

    def release(self) -> None:
        """Leave it to whoever claims it next."""
        self._lock.release()


def claim_dead(folder: Path, own: Collection[Path] = ()) -> list[ClaimedJournal]:
    """Every journal whose process is dead, oldest first; `own` are directories that the caller holds already."""
    claimed = []
    for directory in journals(folder):
        if directory not in own:
            with suppress(Fault):  # its owner lives, or somebody else has just claimed or removed it
                claimed.append(ClaimedJournal(directory))
    return claimed


class _Tally:
    """Where the reading stands, and what was met on the way."""

    def __init__(self, mark: Mark, damaged: set[int]) -> None:
        """`damaged` takes up the segments in which something could not be read."""
        self.mark = mark
        self._damaged = damaged
        self.records: list[CallRecord] = []
        self.corrupt = 0
        self.torn = 0
        self.newer = 0

    def take(self, number: int, step: Step, *, is_last: bool) -> None:
        self.mark = Mark(number, step.end)
        if step.damaged and is_last and step.frame is None:
            self.torn += 1
        elif step.damaged:
            self._miss(number)
        if step.frame is not None:
            self._take_frame(number, step.frame)

    def _miss(self, number: int) -> None:
        self.corrupt += 1
        self._damaged.add(number)

    def _take_frame(self, number: int, frame: Frame) -> None:
        if frame.version not in KNOWN_VERSIONS:
            self.newer += 1
        elif frame.kind == CLOSING:
            try:
                self.records.append(frames.decode_closing(frame.payload))
            except Unreadable:
                self._miss(number)
        elif frame.kind != OPENING:
            self._miss(number)

    def batch(self) -> Batch:
        oldest = min((record.ended_us for record in self.records), default=None)
        return Batch(tuple(self.records), self.mark, self.corrupt, self.torn, self.newer, oldest)


# --- what this release does not know --------------------------------------------------------------------------------


def _openings(payloads: Iterable[bytes]) -> Iterator[AttemptOpened]:
    for payload in payloads:
        with suppress(Unreadable):  # as in `interrupted`
            yield frames.decode_opening(payload)


def _move(path: Path, aside: Path) -> None:
    """Not while a newer release replays what lies there."""
    aside.mkdir(mode=0o700, exist_ok=True)
    lock = Lock(aside)
    try:
        path.rename(aside / path.name)
    finally:
        lock.release()
