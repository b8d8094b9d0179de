"""The calls that ended last, still in memory: shipping them needs no reading and no decoding.

The files stay what counts. Whoever asks for more than is kept here reads those.
"""

from bisect import bisect_right
from collections import deque
from operator import itemgetter

from gateway.core.calls import CallRecord
from gateway.storage.journal_reader import Batch, Mark

KEPT = 8000
"""Calls; at ten thousand a second they wait for some tenths of a second here."""

_Place = tuple[int, int]
"""A mark as plain as it gets: segment and offset. One is made for every call."""


class Tail:
    """Ended calls in the order of their closing frames, the last `KEPT` at most."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._calls: deque[tuple[_Place, CallRecord]] = deque()
        self._since: _Place = Mark()
        """Every call whose frame ends behind it is here."""

    def add(self, end: _Place, record: CallRecord) -> None:
        """A call whose closing frame ends at `end`."""
        self._calls.append((end, record))
        if len(self._calls) > self._kept:
            self._since, _ = self._calls.popleft()

    def forget(self, end: _Place) -> None:
        """Something was written up to `end` that is not known here."""
        self._calls.clear()
        self._since = end

    def first_us(self, mark: Mark) -> int | None:
        """When the first call behind the mark ended; null if there is none, or not all of them are here.

        For any thread: it looks at a copy.
        """
        calls = list(self._calls)
        at = bisect_right(calls, mark, key=itemgetter(0))
        return calls[at][1].ended_us if at < len(calls) and mark >= self._since else None

    def after(self, mark: Mark, limit: int) -> Batch | None:
        """As `JournalReader.read`; null if not all of it is here. What lies before the mark is let go."""
        if mark < self._since:
            return None
        calls = self._calls
        while calls and calls[0][0] <= mark:
            self._since, _ = calls.popleft()
        taken = [calls[n] for n in range(min(limit, len(calls)))]
        return Batch(
            records=tuple(record for _, record in taken),
            mark=Mark(*taken[-1][0]) if taken else mark,
            corrupt=0,
            torn=0,
            newer=0,
            oldest_us=taken[0][1].ended_us if taken else None,
        )
