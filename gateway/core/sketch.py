"""A distribution in little room: a histogram with logarithmic bins that can be merged.

Every quantile it answers lies within 1 % of the true one. Knows nothing of what is measured.
"""

import math
import struct
from collections.abc import Iterable

RELATIVE_ERROR = 0.01

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_E = 1 / math.log(_GAMMA)
_SMALLEST = 1e-9
_LARGEST = 1e15
# Every value from the smallest to the largest has its bin within 16 bits; this one is outside of them.
_ZERO_BIN = -32768
_HEADER = struct.Struct("<BI")
_VERSION = 1


class Sketch:
    """Counts of values by bin. A value below 10^-9 counts as zero, one above 10^15 as that."""

    __slots__ = ("_bins",)

    def __init__(self) -> None:
        self._bins: dict[int, int] = {}

    def add(self, values: Iterable[float | None]) -> None:
        """Count some values, each zero or more; nulls are passed over."""
        bins, ceil, log = self._bins, math.ceil, math.log
        for value in values:
            if value is not None:
                small = value <= _SMALLEST
                place = _ZERO_BIN if small else ceil(log(value if value < _LARGEST else _LARGEST) * _PER_E)
                bins[place] = bins.get(place, 0) + 1

    def merge(self, other: "Sketch") -> None:
        """Count everything that the other has counted."""
        bins = self._bins
        if not bins:
            bins.update(other._bins)
            return
        for place, count in other._bins.items():
            bins[place] = bins.get(place, 0) + count

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self._bins.values())

    def quantile(self, q: float) -> float | None:
        """The value at rank ceil(q × count), 0 < q ≤ 1, within 1 %; None if nothing was counted."""
        rank = math.ceil(q * self.count)
        seen = 0
        for place in sorted(self._bins):
            seen += self._bins[place]
            if seen >= rank:
                return 0.0 if place == _ZERO_BIN else 2 * _GAMMA**place / (_GAMMA + 1)
        return None

    def to_bytes(self) -> bytes:
        """Six bytes for each bin in use, lowest bin first; a bin holds up to 2^32 - 1 counts.

        The same counts give the same bytes, in whatever order they came.
        """
        places = sorted(self._bins)  # nearly in order already, for that is how they were stored
        size = len(places)
        counts = map(self._bins.__getitem__, places)
        return _HEADER.pack(_VERSION, size) + struct.pack(f"<{size}h{size}I", *places, *counts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Sketch":
        """What `to_bytes` wrote. Raises `ValueError` on anything else."""
        try:
            version, size = _HEADER.unpack_from(data)
            numbers = struct.unpack_from(f"<{size}h{size}I", data, _HEADER.size)
        except struct.error as error:
            raise ValueError(f"not a sketch: {error}") from error
        if version != _VERSION:
            raise ValueError(f"a sketch of version {version}; this program reads version {_VERSION}")
        sketch = cls()
        sketch._bins = dict(zip(numbers[:size], numbers[size:], strict=True))
        return sketch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and other._bins == self._bins

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key

    def __repr__(self) -> str:
        return f"Sketch({self.count} values)"
