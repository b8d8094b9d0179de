"""The values that one call grows through: it arrives, is read, gets a ticket, is answered.

Frozen, except the ticket: a handle with exactly one end, owned by one step at a time.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.accounts import Account
from gateway.core.budgets import NOTHING_BINDS, Binding
from gateway.core.calls import Attempt, AttemptOpened, CallFacts
from gateway.core.keys import Caller, Secret
from gateway.core.limits import Rate
from gateway.core.money import Nano
from gateway.core.pricing import Price
from gateway.core.routing import Target
from gateway.core.value import value
from gateway.ports import Headers, UpstreamAnswer
from gateway.wire.openai import Asked, Endpoint
from gateway.wire.openai_reach import Reach

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
    max_cost_nano: Nano | None = None
    """`x-tollkeeper-max-cost-usd`."""


@value(frozen=True)
class Taken:
    """A place in a limit; it ends when its call does."""

    rate: Rate
    amount: int
    """In the limit's unit."""


@value(frozen=True)
class Held:
    """Money set aside for one attempt; it ends in exactly one settlement."""

    accounts: tuple[Account, ...]
    """Of the hard budgets that bind it."""
    nano: Nano
    """From each of them."""
    output: int | None
    """Tokens that all answers of the attempt can have together; null: nobody can tell."""
    binding: Binding
    """All budgets that bind it, the soft ones too."""


@value(frozen=True)
class OpenAttempt:
    """An attempt whose opening frame is written and whose end is owed."""

    opened: AttemptOpened
    target: Target
    price: Price | None
    begun: float
    """Monotonic seconds when the upstream was asked."""
    held: Held | None = None
    """Null: no hard budget binds it."""
    held_in: tuple[int, ...] = ()
    """Accounts of the ticket, by their place: of the budgets in which it is held …"""
    seen_by: tuple[int, ...] = ()
    """… and of those that only count it."""


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
    reach: Reach | None = None
    """What the request can use; null where nobody has to know."""
    binding: Binding = NOTHING_BINDS
    """The budgets that bind its attempt …"""
    bound_at: Target | None = None
    """… at this target."""
    held: Held | None = None
    """Set aside for an attempt that has not begun."""
    accounts: tuple[Account, ...] = ()
    """Of all budgets that count its attempts."""
    lowered: int | None = None
    """The limit of an answer, where a budget left less than what was asked for."""
    downgraded_from: str | None = None
    max_cost_nano: Nano | None = None
    rates: Sequence[Rate] = ()
    """The limits that bind it."""
    taken: list[Taken] = field(default_factory=list)


@value(frozen=True)
class Answered:
    """The upstream that answered, with the first bytes of its body."""

    target: Target
    answer: UpstreamAnswer
    first: bytes
    """`b""`: the body has no bytes at all."""
    asked_for_usage: bool
    """We asked for the usage event, so it is taken out again."""
