"""The journal of one process: append-only files that a call reaches before its answer does (promises on the row).

Owns what is written and when. A frame is in the operating system when the method returns; a process that is killed
loses nothing. Where the frames lie is `segments`, what they say `frames`, who reads them `journal_reader`.

A disk that refuses a closing frame: it is tried once more in another segment; then the caller gets a `Fault`, new
calls are refused, the frame is kept in memory and written as soon as the disk takes it. If the process dies before,
the call's opening frame makes it an interrupted one.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.core.accounts import Account
from gateway.core.calls import AttemptOpened, CallRecord
from gateway.core.errors import Fault, Kind
from gateway.storage.frames import MAX_ATTEMPTS, closing_room, encode_and_keep, encode_opening
from gateway.storage.group_commit import GroupCommit
from gateway.storage.journal_folder import Lock, bytes_of, delete_directory, make_directory, new_journal_id
from gateway.storage.journal_reader import Batch, ClaimedJournal, JournalReader, Mark, claim_dead
from gateway.storage.journal_tail import Tail
from gateway.storage.segments import MIN_BOUND, Chain, bytes_in

__all__ = [
    "Batch",
    "ClaimedJournal",
    "JournalReader",
    "JournalStats",
    "JournalWriter",
    "Mark",
    "claim_dead",
]

_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class JournalStats:
    """How the journal is doing, for readiness and metrics."""

    bytes_on_disk: int
    """Of this process, preallocated room included."""
    max_bytes: int
    """The bound over all journals of the folder."""
    reserved_bytes: int
    """Set aside for the closing frames of open calls."""
    frames_written: int
    open_calls: int
    unwritten_calls: int
    """Ended calls whose closing frame the disk has refused so far."""
    trouble: str | None
    """Why calls are refused; null while they are taken."""


class _OpenCall:
    """What the journal owes one call."""

    __slots__ = ("accounts", "closing", "openings", "owed")

    def __init__(self, owed: int) -> None:
        self.owed = owed
        """Bytes set aside for its closing frame."""
        self.accounts: tuple[Account, ...] = ()
        """Of the budgets that its attempts count for."""
        self.openings: list[bytes] = []
        """Its opening frames, written again at the head of every segment that it lives to see."""
        self.closing: bytes | None = None
        """Its closing frame, if the disk has refused it."""


class JournalWriter:
    """The journal that this process writes; for the event loop's thread only.

    Between `start` and `stop`. `reserve`, `open_attempt` and `close_call` do not wait for the disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sync: str = "interval",
        max_bytes: int,
        segment_bytes: int = 8 * 1024 * 1024,
        writers: int = 1,
    ) -> None:
        """`sync`: `interval` or `every_call`. `max_bytes`: of all journals in the folder together, of which so many
        `writers` are at work.

        Raises `Fault` (invalid) on another `sync`, and if the bound is less than 1 MiB.
        """
        if max_bytes < MIN_BOUND:
            raise Fault(
                Kind.INVALID,
                f"a journal of at most {max_bytes} bytes is too small to work with",
                hint=f"allow at least {MIN_BOUND} bytes",
            )
        if sync not in ("interval", "every_call"):
            raise Fault(Kind.INVALID, f"{sync!r} is no way to sync a journal", hint="say interval or every_call")
        self.id = new_journal_id()
        self.directory = folder / self.id
        self._max_bytes = max_bytes
        self._sync_every_call = sync == "every_call"
        # Four segments at least for each, so that one can be written while the others are shipped.
        size = min(segment_bytes, max_bytes // (4 * writers))
        self._chain = Chain(self.directory, size, lambda: max_bytes - bytes_of(folder))
        self._disk = GroupCommit(self._chain.sync)
        self._calls: dict[str, _OpenCall] = {}
        self._frames = 0
        self._synced_frames = 0
        self._trouble: str | None = None
        self._tail = Tail()
        self._closed = (0, 0)
        """Where the last closing frame ends: what comes behind it cannot be shipped yet."""
        self._lock: Lock | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the directory, own it, and sync it in the background every 100 ms.

        Raises `Fault` (unavailable) if the folder cannot be written. A full disk is no reason: calls are refused
        until there is room.
        """
        try:
            self._lock = await self._disk.in_thread(lambda: make_directory(self.directory))
        except OSError as error:
            self._disk.close()
            raise Fault(
                Kind.UNAVAILABLE, f"the journal {self.directory} cannot be made: {error}", hint="name another folder"
            ) from error
        await self._add_spare()
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self, shipped: Mark | None = None) -> None:
        """Sync, and let go. `shipped` is the mark up to which everything is committed; null: nothing is.

        If nothing lies behind it the directory is deleted, and its name waits for the mark to be dropped (`gone` in
        `journal_folder`); else the next process that starts replays it.
        """
        if self._ticking is None or self._lock is None:
            return
        self._stopping.set()
        await self._ticking
        self._write_refused()
        await self._synced()
        self._disk.close()
        nothing_left = not self._calls and Mark(*self._chain.end) <= (shipped or Mark())
        self._chain.close()
        if nothing_left:
            delete_directory(self.directory)
        self._lock.release()
        self._ticking = self._lock = None

    async def _tick(self) -> None:
        while not self._stopping.is_set():
            self._write_refused()
            await self._synced()
            if self._chain.wants_spare():
                await self._add_spare()
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _synced(self) -> None:
        """Sync what is new. A disk that fails is trouble, told by `stats`, not the end of the ticking."""
        if (frames := self._frames) == self._synced_frames:
            return
        try:
            await self._disk.synced()
            self._synced_frames = frames
        except OSError as error:
            self._trouble = f"the journal cannot be synced: {error}"

    async def _add_spare(self) -> None:
        number, size = self._chain.next_segment()
        try:
            self._chain.add(await self._disk.in_thread(lambda: self._chain.make(number, size)))
        except OSError:
            return  # no room ahead of need; who needs some asks again and is told

    # --- the port ---------------------------------------------------------------------------------------------------

    def reserve(self, call_id: str) -> None:
        """Set room aside for the closing frame of a call; once is enough. Raises `Fault` (unavailable)."""
        if call_id in self._calls:
            return
        self._must_work()
        owed = closing_room(0)
        self._chain.promise(owed)
        self._calls[call_id] = _OpenCall(owed)

    def open_attempt(self, opened: AttemptOpened) -> None:
        """Write the opening frame, and set more room aside for the closing one.

        Raises `Fault` (unavailable); then the attempt is not open and the upstream must not be asked.
        """
        call_id = opened.call.id
        call = self._calls.get(call_id)
        if call is None:
            self.reserve(call_id)
            call = self._calls[call_id]
        self._must_work()
        if len(call.openings) >= MAX_ATTEMPTS:
            raise Fault(Kind.UNAVAILABLE, f"a call makes {MAX_ATTEMPTS} attempts at most")
        frame = encode_opening(opened)
        size = len(frame)
        if opened.held_in or opened.seen_by:
            new = opened.held_in + opened.seen_by
            call.accounts = tuple(dict.fromkeys(call.accounts + new)) if call.accounts else new
        more = max(0, closing_room(len(call.openings) + 1, len(call.accounts)) - call.owed)
        self._chain.promise(more + size, carried=size)
        try:
            self._append(frame)
        except OSError as error:
            self._chain.fulfil(more + size, carried=size)
            raise self._refusal(f"the journal cannot be written: {error}") from error
        self._chain.fulfil(size)
        call.owed += more
        call.openings.append(frame)

    def close_call(self, record: CallRecord) -> None:
        """Write the closing frame into the room set aside for it.

        Raises `Fault` (unavailable) if the disk refuses it; it is not lost then, see the module.
        """
        call_id = record.facts.id
        call = self._calls.get(call_id)
        if call is None:
            self.reserve(call_id)
            call = self._calls[call_id]
        if (more := closing_room(len(record.attempts), len(record.accounts)) - call.owed) > 0:
            with suppress(Fault):  # attempts that never opened: without room for them, texts are clipped
                self._chain.promise(more)
                call.owed += more
        call.closing, kept = encode_and_keep(record, call.owed)
        try:
            self._write_closing(call_id, call, call.closing)
        except OSError as error:
            raise self._refusal(f"the journal cannot be written: {error}") from error
        self._tail.add(self._closed, kept)

    def recent(self, after: Mark, limit: int) -> Batch | None:
        """The calls that ended behind the mark, if memory still has them all; else they are in the files."""
        self._chain.let_go(after)
        return self._tail.after(after, limit)

    def backlog_bytes(self, after: Mark) -> int:
        """Bytes from the mark to the end of the last closing frame. Safe in another thread; no file is looked at."""
        return self._chain.between(after, self._closed)

    def waiting_since_us(self, after: Mark) -> int | None:
        """When the first call behind the mark ended, if memory still has it. Safe in another thread."""
        return self._tail.first_us(after)

    async def synced(self) -> None:
        """Return at once (`interval`), or when everything written before is on the disk (`every_call`).

        Raises `Fault` (unavailable) if the disk fails.
        """
        if not self._sync_every_call:
            return
        try:
            await self._disk.synced()
        except OSError as error:
            raise self._refusal(f"the journal cannot be synced: {error}") from error

    def stats(self) -> JournalStats:
        """Safe in another thread: it looks at a copy."""
        return JournalStats(
            bytes_on_disk=bytes_in(self.directory),
            max_bytes=self._max_bytes,
            reserved_bytes=self._chain.owed,
            frames_written=self._frames,
            open_calls=len(self._calls),
            unwritten_calls=sum(call.closing is not None for call in list(self._calls.values())),
            trouble=self._trouble or self._chain.full,
        )

    # --- steps ------------------------------------------------------------------------------------------------------

    def _must_work(self) -> None:
        if self._lock is None:
            raise Fault(Kind.UNAVAILABLE, "the journal is not open", retry_after=1.0)
        if self._trouble is not None:
            raise self._refusal(self._trouble)

    def _refusal(self, trouble: str) -> Fault:
        self._trouble = trouble
        return Fault(
            Kind.UNAVAILABLE, trouble, hint="see that the disk of the journal works and has room", retry_after=1.0
        )

    def _append(self, frame: bytes) -> None:
        if self._lock is None:
            raise OSError("it is not open")
        self._chain.append(frame, self._carried)
        self._frames += 1

    def _carried(self) -> bytes:
        return b"".join(frame for call in self._calls.values() for frame in call.openings)

    def _write_closing(self, call_id: str, call: _OpenCall, closing: bytes) -> None:
        self._append(closing)
        self._closed = self._chain.end
        del self._calls[call_id]
        self._chain.fulfil(call.owed, carried=sum(map(len, call.openings)))

    def _write_refused(self) -> None:
        """Once the disk has failed: what it refused is written first, then calls are taken again."""
        if self._trouble is None:
            return
        for call_id, call in list(self._calls.items()):
            if call.closing is not None:
                try:
                    self._write_closing(call_id, call, call.closing)
                    self._tail.forget(self._chain.end)
                except OSError as error:
                    self._trouble = f"the journal cannot be written: {error}"
                    return
        self._trouble = None
