"""The upstream that costs next to nothing: rendered answers over HTTP/1.1 on a loopback port, and a count of calls.

Calls to `/v1/…` are the gateway's, calls to `/direct/…` the load client's own, so that the former can be compared with
rows. Here: the words that it shares with those who start it.
"""

from dataclasses import dataclass
from typing import Final

GATEWAY: Final = "/v1/chat/completions"
DIRECT: Final = "/direct/chat/completions"
MODELS: Final = "/v1/models"
COUNTS: Final = "/counts"
FINISH: Final = "/finish"
"""Ends all slow streams at their next event."""


@dataclass(frozen=True, slots=True)
class Options:
    """How it behaves where the plain case is not meant."""

    keep: int | None = None
    """Seconds that it says it keeps idle connections (`keep-alive`); a gateway drops its own a second before."""
    every: float | None = None
    """Seconds between the events of a stream, which then goes on until `FINISH`; None: all words, and the end."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What it has had so far."""

    calls: int
    """Of the gateway."""
    connections: int
    """On which these came."""
    events: int
    """Of slow streams, sent."""
