"""The values that one call grows through: it arrives, is read, gets a ticket, is answered.

Frozen, except the ticket: a handle with exactly one end, owned by one step at a time.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from gateway.core.calls import Attempt, AttemptOpened, CallFacts
from gateway.core.keys import Caller, Secret
from gateway.core.pricing import Price
from gateway.core.routing import Target
from gateway.core.value import value
from gateway.ports import Headers, UpstreamAnswer
from gateway.wire.openai import Asked, Endpoint

_PATHS = {endpoint: f"/v1/{endpoint}" for endpoint in Endpoint}

ReadBody = Callable[[int], Awaitable[bytes]]
"""Reads the request body up to so many bytes; raises `Fault` (too large) beyond."""


@value(frozen=True)
class Arrival:
    """A request as it came in, its body still unread."""

    id: str
    started_us: int
    begun: float
    """Monotonic seconds."""
    endpoint: Endpoint
    headers: Mapping[str, str]
    """By lower-case name; of a repeated field the first."""
    fields: Headers
    """All header fields as they came."""
    peer: str | None
    """The client's address; null on a socket without one."""
    read_body: ReadBody

    @property
    def path(self) -> str:
        return _PATHS[self.endpoint]


@value(frozen=True)
class Admitted:
    """Who calls, and the provider key that a keyless client sent, if any."""

    caller: Caller
    client_key: Secret | None = None


@value(frozen=True)
class Call:
    """A request that was read and may be answered."""

    arrival: Arrival
    caller: Caller
    client_key: Secret | None
    asked: Asked
    body: bytes
    received: float
    """Monotonic seconds when its last byte was here."""
    cost_comment: bool
    """`x-tollkeeper-stream-cost: on`."""


@value(frozen=True)
class OpenAttempt:
    """An attempt whose opening frame is written and whose end is owed."""

    opened: AttemptOpened
    target: Target
    price: Price | None
    begun: float
    """Monotonic seconds when the upstream was asked."""


@dataclass(slots=True)
class Ticket:
    """What is owed for a call: one closing frame. Whoever holds it settles it exactly once."""

    facts: CallFacts
    begun: float
    received: float
    attempts: list[Attempt] = field(default_factory=list)
    open: OpenAttempt | None = None
    asked: float | None = None
    """Monotonic seconds when the first upstream was asked."""
    body: bytes = b""
    """Kept for an estimate of the prompt, should nobody state its tokens."""
    web_search: bool = False
    settled: bool = False


@value(frozen=True)
class Answered:
    """The upstream that answered, with the first bytes of its body."""

    target: Target
    answer: UpstreamAnswer
    first: bytes
    """`b""`: the body has no bytes at all."""
    asked_for_usage: bool
    """We asked for the usage event, so it is taken out again."""
