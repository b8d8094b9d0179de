"""A call and its attempts, as they are remembered (contract §1, §5, §7).

`CallRecord` is the one wide event: journal, ledger, log line and metric read the same frozen value,
so that they cannot disagree. Sums over attempts are derived here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from functools import reduce
from operator import add

from gateway.core.accounts import Account
from gateway.core.money import Nano
from gateway.core.usage import NOTHING_KNOWN, NOTHING_USED, Basis, Usage, weakest
from gateway.core.value import value

CACHE_OFF = "off"
"""The answer came from the upstream and was not looked for in a cache."""


class End(StrEnum):
    """How a call or an attempt ended; exactly one (contract §7)."""

    COMPLETED = "completed"
    CACHED = "cached"
    REFUSED = "refused"
    FAILED = "failed"
    CUT_BY_CLIENT = "cut_by_client"
    CUT_BY_BUDGET = "cut_by_budget"
    CUT_BY_UPSTREAM = "cut_by_upstream"
    INTERRUPTED = "interrupted"

    __hash__ = str.__hash__  # an enumeration's own is many times slower, and this is a key everywhere


@value(frozen=True)
class Timings:
    """Measured at the gateway with a monotonic clock, milliseconds; tokens per second (contract §6)."""

    overhead_ms: float | None = None
    connect_ms: float | None = None
    ttft_ms: float | None = None
    first_reasoning_ms: float | None = None
    duration_ms: float | None = None
    itl_p50_ms: float | None = None
    itl_p95_ms: float | None = None
    itl_max_ms: float | None = None
    output_tokens_per_second: float | None = None


@value(frozen=True)
class Charge:
    """Quantity times unit price of one bucket of one attempt, rounded once to nano-dollars."""

    attempt: int
    bucket: str
    quantity: int
    usd_per_million: str
    """Decimal text, USD per million units. For the bucket `call`: USD per million calls."""
    amount_nano: Nano


@value(frozen=True)
class CallFacts:
    """What is known of a call when it arrives; the same for every frame and row about it."""

    id: str
    """UUID version 7, so that ids sort by arrival."""
    started_us: int
    """Microseconds since 1970-01-01 UTC."""
    path: str
    key_id: str | None = None
    key: str | None = None
    """The key's name; null for a keyless call."""
    team: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    session: str | None = None
    end_user: str | None = None
    model: str | None = None
    """As the client asked; null if its body could not be read."""
    stream: bool = False


@value(frozen=True)
class AttemptOpened:
    """What the journal keeps of an attempt before the upstream is asked (promises §1)."""

    call: CallFacts
    index: int
    target: str
    provider: str
    started_us: int
    price_book: str | None
    """Source and version of the price; null if the target has none."""
    estimated_input: int
    """Prompt tokens by the cheap estimate, should we die before the answer."""
    input_usd_per_million: str | None
    """Decimal text; what that estimate is priced with at replay."""
    hold_nano: Nano = 0
    held_in: tuple[Account, ...] = ()
    """Of the hard budgets that it is held in."""
    seen_by: tuple[Account, ...] = ()
    """Of the soft budgets that count it."""


@value(frozen=True)
class Attempt:
    """One try of a call at one target, ended."""

    index: int
    target: str
    provider: str
    end: End
    started_us: int
    status: int | None = None
    error: str | None = None
    duration_ms: float | None = None
    usage: Usage = NOTHING_KNOWN
    usage_basis: Basis = Basis.NONE
    tokenizer: str | None = None
    """Which tokenizer estimated; null unless the basis is `estimated`."""
    raw_usage: str | None = None
    """The provider's own usage object, JSON, as it came."""
    cost_nano: Nano | None = None
    cost_at_least_nano: Nano | None = None
    """The priced part of an unpriced attempt; null where the cost is known."""
    provider_cost_nano: Nano | None = None
    """The cost the provider stated (`usage.cost`), kept beside ours."""
    unpriced_because: str | None = None
    price_book: str | None = None
    upstream_request_id: str | None = None
    charges: tuple[Charge, ...] = ()
    price_conditions: str | None = None
    """What besides the counts decided about its cost (`core.pricing.Conditions`), JSON; null if nothing did."""
    hold_nano: Nano = 0
    """What was set aside for it."""
    reserve_nano: Nano = 0
    """What hard budgets keep charged beyond its cost, because nobody knows what the upstream billed."""
    held_in: tuple[int, ...] = ()
    """Accounts of the call, by their place: those of the hard budgets that it was held in."""
    seen_by: tuple[int, ...] = ()
    """… and of the soft budgets that count it."""


@value(frozen=True)
class CallRecord:
    """One call, ended: everything that will ever be said about it, except corrections."""

    facts: CallFacts
    end: End
    status: int | None
    """What the client was told; null if it left before a status was sent."""
    error: str | None = None
    """The code of the refusal or failure, then what happened; null for a completed call."""
    attempts: tuple[Attempt, ...] = ()
    timings: Timings = Timings()
    cache: str = CACHE_OFF
    ended_us: int = 0
    accounts: tuple[Account, ...] = ()
    """Of all budgets that its attempts count for."""
    limit_lowered_to: int | None = None
    """Tokens of an answer, where a budget left less than what was asked for."""
    downgraded_from: str | None = None
    """The model that was asked for, where a budget had it answered by another."""

    @property
    def target(self) -> str | None:
        """The target that answered, or the last one tried."""
        return self.attempts[-1].target if self.attempts else None

    @property
    def provider(self) -> str | None:
        return self.attempts[-1].provider if self.attempts else None

    @property
    def price_book(self) -> str | None:
        return self.attempts[-1].price_book if self.attempts else None

    @property
    def usage(self) -> Usage:
        """The sum over the attempts."""
        if len(self.attempts) == 1:
            return self.attempts[0].usage
        return reduce(add, (attempt.usage for attempt in self.attempts), NOTHING_KNOWN)

    @property
    def usage_basis(self) -> Basis:
        """The weakest basis of its attempts that can have used anything; `none` without any."""
        if len(self.attempts) == 1:
            return self.attempts[0].usage_basis
        return weakest(attempt.usage_basis for attempt in self.attempts if attempt.usage != NOTHING_USED)

    @property
    def cost_nano(self) -> Nano | None:
        """The sum of its attempts' costs; 0 without attempts; null as soon as one is unknown."""
        total = 0
        for attempt in self.attempts:
            if attempt.cost_nano is None:
                return None
            total += attempt.cost_nano
        return total

    @property
    def cost_at_least_nano(self) -> Nano | None:
        """Null where the cost is known, else the sum of all priced parts."""
        if self.cost_nano is not None:
            return None
        return sum(attempt.cost_nano or attempt.cost_at_least_nano or 0 for attempt in self.attempts)

    @property
    def held_nano(self) -> Nano:
        return sum(attempt.hold_nano for attempt in self.attempts)

    @property
    def reserve_nano(self) -> Nano:
        return sum(attempt.reserve_nano for attempt in self.attempts)

    @property
    def charges(self) -> tuple[Charge, ...]:
        return tuple(charge for attempt in self.attempts for charge in attempt.charges)
