"""Deliveries: what goes to a channel, what became of one try, and when to try again. Knows no HTTP."""

from enum import StrEnum
from typing import Final

from gateway.core.value import value

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds between two tries, at least and at most, also where the receiver asks for other ones."""
GIVEN_UP_AFTER_US: Final = 3 * 86_400_000_000
"""How long a delivery is tried, from when it was made or asked for again."""


class Progress(StrEnum):
    """What became of a delivery so far."""

    WAITING = "waiting"
    """For its first try, its next one, or for its channel to be enabled again."""
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    """Not delivered within three days; or a test that failed, for a test is tried once."""


@value(frozen=True)
class Message:
    """What a channel is told; the same at every try."""

    id: str
    """The `webhook-id`."""
    body: str
    """The event as JSON (contract §8)."""


@value(frozen=True)
class Outcome:
    """What one try came to."""

    delivered: bool
    status: int | None = None
    """Of HTTP, if an answer came."""
    error: str | None = None
    """One sentence for the operator; null if it was delivered."""
    retry_after: float | None = None
    """Seconds that the receiver asks for."""
    gone: bool = False
    """The receiver wants no more of these, ever: the channel is to be disabled."""


def pause(tries: int, retry_after: float | None, chance: float) -> float:
    """Seconds to the next try after so many that failed, at least one; `chance` is from 0 to 1.

    Twice as long each time, and between half and the whole of that, so that many do not come back in step. What the
    receiver asked for replaces it.
    """
    if retry_after is not None:
        return min(max(retry_after, FIRST_PAUSE), LONGEST_PAUSE)
    longest = min(FIRST_PAUSE * 2.0 ** min(tries, 32), LONGEST_PAUSE)
    return longest * (0.5 + 0.5 * chance)
