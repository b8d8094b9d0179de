"""Sums over the last minutes and memories with a bound: constant time and room for each minute and subject."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_PARTS = 60


class Sliding:
    """The sum of the last `minutes`, in at most 60 parts: of a longer window it is exact to a sixtieth of it."""

    __slots__ = ("_at", "_parts", "_step", "minutes", "sum")

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes
        self._step = -(-minutes // _PARTS)
        self._parts = [0] * -(-minutes // self._step)
        self._at = 0
        self.sum = 0

    def advance(self, minute: int) -> None:
        """Go on to a minute (its number since 1970); what is older than the window drops out."""
        at = minute // self._step
        size = len(self._parts)
        passed = at - self._at
        if passed >= size:
            if self.sum:
                self._parts = [0] * size
                self.sum = 0
        else:
            for place in range(self._at + 1, at + 1):
                self.sum -= self._parts[place % size]
                self._parts[place % size] = 0
        if passed > 0:
            self._at = at

    def add(self, amount: int) -> None:
        """Count something in the minute that it has gone on to."""
        self._parts[self._at % len(self._parts)] += amount
        self.sum += amount


class Recent(Generic[K, V]):
    """What was put in last, up to a bound; what was not asked for longest goes first."""

    __slots__ = ("_most", "_values")

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        found = self._values.pop(key, None)
        if found is not None:
            self._values[key] = found
        return found

    def put(self, key: K, value: V) -> None:
        self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > self._most:
            del self._values[next(iter(self._values))]

    def __len__(self) -> int:
        return len(self._values)
