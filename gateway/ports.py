"""Every protocol that the proxy, and what happens without a caller, need. `app/` binds an adapter to each.

Times: `*_us` are microseconds since 1970 UTC, `monotonic` is seconds on a monotonic clock.
"""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from gateway.core.accounts import Account
from gateway.core.budgets import Bound
from gateway.core.calls import AttemptOpened, CallRecord
from gateway.core.deliveries import Message, Outcome
from gateway.core.escrow import Lack
from gateway.core.keys import Caller, Secret
from gateway.core.money import Nano
from gateway.core.routing import Retries, Target
from gateway.core.value import value

Headers = list[tuple[str, str]]
"""Header fields in order, names in lower case, repeated fields kept."""


class Clock(Protocol):
    """Time comes in through here."""

    def now_us(self) -> int: ...
    def monotonic(self) -> float: ...


@value(frozen=True)
class UpstreamRequest:
    """What to ask one target. The adapter adds address, credentials and what the kind wants."""

    target: Target
    path: str
    """Below the base URL, `chat/completions`."""
    headers: Headers
    body: tuple[bytes | memoryview, ...]
    """In pieces, nearly always one."""
    stream: bool
    client_key: Secret | None
    """A provider key that the client sent; used only if the provider has none configured."""


class UpstreamAnswer(Protocol):
    """An answer whose head has come and whose body is still on its way."""

    status: int
    headers: Headers
    connect_ms: float | None
    """How long the connection took; null if a pooled one was used."""

    def read(self) -> Awaitable[bytes]:
        """The next bytes as they came off the wire, at least one; `b""` at the proper end of the body.

        Reading no further holds the upstream back. Raises `UpstreamFault` if the line breaks or stalls.
        """

    def close(self) -> None:
        """Let go: back to the pool after the end, else abort the upstream. Safe to repeat."""


class Upstream(Protocol):
    """The one door to providers."""

    def ask(self, request: UpstreamRequest, retries: Retries) -> Awaitable[UpstreamAnswer]:
        """Send, and return when the head of the answer has come. Raises `UpstreamFault`."""


class Journal(Protocol):
    """The append-only file that a call reaches before its answer does (promises §1)."""

    def reserve(self, call_id: str) -> None:
        """Set room aside for the call's closing frame. Raises `Fault` (unavailable) if there is none."""

    def open_attempt(self, opened: AttemptOpened) -> None:
        """Write the opening frame. Raises `Fault` (unavailable) if there is no room."""

    def close_call(self, record: CallRecord) -> None:
        """Write the closing frame into the reserved room."""

    async def synced(self) -> None:
        """Return when what was written is as durable as `journal_sync` promises."""


class Escrow(Protocol):
    """What this process may spend of budgets (promises §2)."""

    def take(self, accounts: Sequence[Account], amount: Nano) -> bool:
        """Set an amount aside in all of these accounts at once, or in none; whether it fits what is at hand."""

    async def hold(self, bounds: Sequence[Bound], amount: Nano) -> Lack | None:
        """The same with asking for more, and waiting; null when it is set aside. Raises `Fault` (unavailable)."""

    def settle(self, accounts: Sequence[Account], amount: Nano, charged: Nano) -> None:
        """End a hold."""

    def remaining(self, bounds: Sequence[Bound]) -> Nano | None:
        """What is left in the tightest of these that are hard, as far as is known; null without any."""


class KeyRing(Protocol):
    """Virtual keys, in memory."""

    def find(self, secret: str) -> Caller | None:
        """The caller behind a presented key; None if unknown, expired or revoked."""

    @property
    def any(self) -> bool:
        """Whether any key is configured at all."""


class Directory(Protocol):
    """Which models the providers say they serve (`GET /v1/models`)."""

    async def find(self, model: str) -> tuple[Target, ...]:
        """Targets that list this model name; asks the providers if nothing fresh is known."""

    async def names(self) -> Sequence[str]:
        """Every target's name that some provider lists."""


@value(frozen=True)
class Count:
    """Tokens of some texts and the tokenizer that counted them."""

    tokens: tuple[int, ...]
    """One count for each text."""
    tokenizer: str


class Tokenizer(Protocol):
    """Counts where the provider did not."""

    async def count(self, texts: Sequence[str], model: str) -> Count:
        """Never fails: falls back to a rule of thumb, which it names."""


class Observer(Protocol):
    """Sees every ended call once: log line, metric. Must not raise, must not wait."""

    def call_ended(self, record: CallRecord) -> None: ...


class Channel(Protocol):
    """Where alerts are told: a webhook, or a service that people read."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str:
        """`webhook` or `apprise`."""

    @property
    def address(self) -> str:
        """What may be shown of where it leads."""

    @property
    def digest(self) -> str:
        """Another one as soon as it leads elsewhere."""

    async def send(self, message: Message) -> Outcome:
        """Try once, within half a minute. Never fails: what went wrong is in the outcome."""
