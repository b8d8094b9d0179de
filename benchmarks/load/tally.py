"""What one door gave so far, and what becomes of it."""

from array import array
from dataclasses import dataclass, field

from benchmarks.load import Seen, Times


@dataclass(slots=True)
class Tally:
    """Seconds of each good answer, and what was wrong with the others."""

    whole: "array[float]" = field(default_factory=lambda: array("d"))
    first_word: "array[float]" = field(default_factory=lambda: array("d"))
    bad: int = 0
    why: str | None = None
    seconds: float = 0.0
    """That all of it took."""

    def spoilt(self, why: str) -> None:
        self.bad += 1
        self.why = self.why or why

    def seen(self) -> Seen:
        return Seen(len(self.whole), self.bad, self.why, self.seconds, times(self.whole), times(self.first_word))


def times(seconds: "array[float]") -> Times | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return Times(ordered[round(last * 0.5)] * 1000, ordered[round(last * 0.99)] * 1000)
