"""How a simulated provider behaves: its pace, its lengths, its faults."""

import math
from dataclasses import dataclass
from enum import Enum
from random import Random


class Fate(Enum):
    """What becomes of one call."""

    ANSWER = "answer"
    RATE_LIMIT = "429 with retry-after"
    SERVER_ERROR = "500"
    BREAK = "the line breaks within the body"


_FAULTS = (Fate.RATE_LIMIT, Fate.SERVER_ERROR, Fate.BREAK)


@dataclass(frozen=True, slots=True)
class Simulation:
    """Times in seconds; `ttft`, `itl` and `output_tokens` are medians."""

    ttft: float = 0.25
    itl: float = 0.012
    """Between two tokens."""
    jitter: float = 0.4
    """How far times and lengths scatter: the sigma of a log-normal distribution."""
    output_tokens: int = 120
    errors: float = 0.0
    """The share of calls that fail, from 0 to 1; a third of them in each of three ways."""
    seed: int = 0
    models: tuple[str, ...] = ("simulated",)
    """What `GET /models` lists; every other name is answered too."""

    def scattered(self, median: float, chance: Random) -> float:
        """One draw of a quantity around its median."""
        return median * math.exp(self.jitter * chance.gauss(0.0, 1.0))

    def fate(self, chance: Random) -> Fate:
        """What becomes of the next call."""
        drawn = chance.random()
        return _FAULTS[int(drawn / self.errors * len(_FAULTS))] if drawn < self.errors else Fate.ANSWER
