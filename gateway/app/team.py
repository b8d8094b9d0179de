"""The workers that serve as one gateway, as one of them sees the others: whichever is asked tells for all.

What each shows is in the memory that they share; what it says of its state is believed while it is fresh.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from gateway.control.dependencies import Check
from gateway.core.errors import Fault, Kind
from gateway.settings import Settings
from gateway.storage.segments import MIN_BOUND
from gateway.telemetry.board import Board
from gateway.telemetry.counts import Told

SHOW_EVERY: Final = 0.2
"""Seconds between two looks at oneself; so much of its counts a killed worker takes along, at most."""
_SHARE: Final = 0.02
"""Of the time of a worker, for showing: where a look takes long there are fewer."""
_FRESH: Final = 3.0
"""Seconds that a state is believed; a worker that is dead, or stuck, has none."""


class Team:
    """This worker's place among the others."""

    def __init__(self, board: Board, place: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, the same in all processes of this machine."""
        self._board = board
        self._place = place
        self._clock = clock
        self._not_before = 0.0
        self._showing = threading.Lock()
        predecessor = board.get(place)
        self.before: Told | None = None if predecessor is None else orjson.loads(predecessor)["metrics"]
        """What the worker told whose place this one takes; null for the first."""

    @property
    def size(self) -> int:
        return self._board.places

    @property
    def leads(self) -> bool:
        """Whether this one does what one of them should do; whoever replaces it does it then."""
        return self._place == 0

    @property
    def due(self) -> bool:
        """Whether it is time to show oneself again."""
        return self._clock() >= self._not_before

    def show(self, metrics: Callable[[], Told], checks: Callable[[], Mapping[str, Check]]) -> None:
        """Let the others see how this worker is. For any thread: what is told later is put up later."""
        with self._showing:
            began = self._clock()
            states = {name: (check.ok, check.detail) for name, check in checks().items()}
            said = {"at": began, "metrics": metrics(), "checks": states}
            self._board.put(self._place, orjson.dumps(said, option=orjson.OPT_NON_STR_KEYS))
        ended = self._clock()
        self._not_before = ended + (ended - began) / _SHARE

    def metrics(self) -> list[Told]:
        """What every worker told last, also one that is dead."""
        return [said["metrics"] for _, said in self._said()]

    def weighed(self, name: str, own: Check) -> Check:
        """A state of all: the own one, unless it is good and another worker's is not."""
        if not own.ok:
            return own
        now = self._clock()
        for place, said in self._said():
            ok, detail = said["checks"][name]
            if not ok and place != self._place and now - said["at"] < _FRESH:
                return Check(False, f"worker {place}: {detail}")
        return own

    def _said(self) -> list[tuple[int, dict[str, Any]]]:
        found = ((place, self._board.get(place)) for place in range(self.size))
        return [(place, orjson.loads(said)) for place, said in found if said is not None]


def check_room(settings: Settings, workers: int) -> None:
    """Raises `Fault` (invalid) if the journal's bound does not leave each of so many workers enough."""
    least = workers * MIN_BOUND
    if settings.database.journal_max < least:
        raise Fault(
            Kind.INVALID,
            f"a journal of at most {settings.database.journal_max} bytes is too small for {workers} workers",
            hint=f"allow at least {least} bytes, or take fewer workers",
            param="database.journal_max",
        )
