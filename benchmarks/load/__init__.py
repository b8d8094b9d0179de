"""The load client: what it is asked to do and what it tells, as values that both sides read and write as JSON."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from benchmarks.shape import MODEL

PATIENCE: Final = 30.0
"""Seconds that answers may take when no more are asked for."""
OVER: Final = b"over\n"
"""The line that a client prints as soon as it has its last answer; the figures come on the next one."""
SLOWEST: Final = 200
"""Calls a second below which a job of so many calls is given up."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where to ask, and as whom."""

    port: int
    path: str
    key: str = "none"


@dataclass(frozen=True, slots=True)
class Loop:
    """So many connections, each of which asks again as soon as it has its answer (a closed loop)."""

    door: Door
    connections: int
    stream: bool = False
    seconds: float | None = None
    calls: int | None = None
    """Ends after so many calls, or after `seconds`; one of the two must be given."""
    pace: float | None = None
    """Calls begun in a second at most; as many connections as that takes rest meanwhile."""
    varied: bool = False
    """Other aliases, sessions and tags from call to call."""
    kind: Literal["loop"] = "loop"

    @property
    def limit(self) -> float:
        """Seconds after which it is given up."""
        return (self.seconds or (self.calls or 0) / SLOWEST) + PATIENCE


@dataclass(frozen=True, slots=True)
class Pairs:
    """One connection to each of two doors, asked in turn, one call each, for the difference of the two."""

    door: Door
    beside: Door
    seconds: float
    stream: bool = False
    rest: float = 0.0
    """Seconds that each connection rests before its call; half of them before the other one's, so that both doors find
    the client rested, and neither is warmed up by the other."""
    prompt: int = 0
    image: int = 0
    """Bytes of text, of base64, that each call holds."""
    model: str = MODEL
    """The name that is asked for."""
    kind: Literal["pairs"] = "pairs"

    @property
    def limit(self) -> float:
        return self.seconds + self.rest + PATIENCE


@dataclass(frozen=True, slots=True)
class Held:
    """So many streams that are open at once, until the upstream ends them."""

    door: Door
    streams: int
    kind: Literal["held"] = "held"

    @property
    def limit(self) -> float:
        """Seconds until all are open; and again, from when they are to end, until all have."""
        return self.streams / SLOWEST + PATIENCE


Job: TypeAlias = Annotated[Loop | Pairs | Held, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds from the first byte sent to the last, or to the first word, of the answer; or an event's delay."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What one door gave."""

    answers: int
    """Whole and well: all words, status 200."""
    bad: int
    why: str | None
    """The first bad answer, in words."""
    seconds: float
    whole: Times | None
    first_word: Times | None
    """Of streams."""


@dataclass(frozen=True, slots=True)
class Told:
    """How open streams are, since the last time it was told."""

    open: int
    events: int
    delay: Times | None
    """From the upstream's writing of an event to our reading of it."""


JOB: TypeAdapter[Job] = TypeAdapter(Job)
SEEN: TypeAdapter[list[Seen]] = TypeAdapter(list[Seen])
"""Of the door; of pairs also of the one beside it."""
TOLD: TypeAdapter[Told] = TypeAdapter(Told)
