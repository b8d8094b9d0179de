"""What a rule sees: the calls that ended in one minute, where the budgets stand, which prices were charged.

Prompts are not stored, so no fact holds one: what two calls have in common is judged by their token counts, models and
times. Live evaluation and replay hand over the same facts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.calls import CallRecord, End
from gateway.core.money import Nano
from gateway.core.rollups import ERRORS
from gateway.core.scopes import Scope, Seen, seen_of, subject_of
from gateway.core.sketch import Sketch
from gateway.core.usage import Basis
from gateway.core.value import value
from gateway.core.windows import Span

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_WITHOUT_AN_ANSWER = (End.REFUSED, End.FAILED, End.CACHED)


@value(frozen=True)
class CallSeen:
    """One call that ended, as rules see it."""

    at_us: int
    """When it ended, microseconds since 1970 UTC: only then is known what it cost."""
    seen: Seen
    """What it is counted by: key, team, model, session, end_user, target, provider, tags."""
    cost_nano: Nano | None = 0
    """As it was written; null where no price was known. Later corrections are not in it: nobody knew them then."""
    input_tokens: int | None = None
    """Of the prompt, cached ones included."""
    generated_tokens: int | None = None
    end: End = End.COMPLETED
    basis: Basis = Basis.PROVIDER
    ttft_ms: float | None = None
    duration_ms: float | None = None

    @property
    def failed(self) -> bool:
        return self.end in ERRORS

    @property
    def answered(self) -> bool:
        """An upstream delivered something, so usage and a cost are due."""
        return self.end not in _WITHOUT_AN_ANSWER


def call_seen(record: CallRecord) -> CallSeen:
    """A call's record as rules see it."""
    usage = record.usage
    return CallSeen(
        record.ended_us or record.facts.started_us,
        seen_of(record.facts, record.target, record.provider),
        record.cost_nano,
        usage.prompt_tokens,
        usage.generated_tokens,
        record.end,
        record.usage_basis,
        record.timings.ttft_ms,
        record.timings.duration_ms,
    )


@value(frozen=True)
class BudgetNow:
    """Where one account of a budget stands at the end of a minute."""

    budget: str
    subject: str
    span: Span
    """The window that it is in."""
    limit_nano: Nano
    spent_nano: Nano
    """Since the window began."""
    alert_at: tuple[int, ...] = ()
    """Percentages of the limit."""
    refused_calls: int = 0
    """Calls that it has refused in this window."""


@value(frozen=True)
class PriceSeen:
    """A unit price that calls were charged with."""

    target: str
    bucket: str
    usd_per_million: str
    """Decimal text."""


@value(frozen=True)
class Minute:
    """Everything that is known of one minute once it is over. Minutes come in order; those without facts may be left
    out."""

    start_us: int
    calls: Sequence[CallSeen] = ()
    budgets: Sequence[BudgetNow] = ()
    """Those that have changed, at least."""
    prices: Sequence[PriceSeen] = ()
    behind_s: float | None = None
    """How long the oldest record has waited for the ledger, seconds; null if nobody measured it."""

    @property
    def end_us(self) -> int:
        return self.start_us + MINUTE_US


@dataclass(slots=True)
class Sums:
    """What the calls of one subject come to in a minute."""

    calls: int = 0
    errors: int = 0
    answers: int = 0
    """Calls for which usage and a cost are due."""
    cost_nano: Nano = 0
    unpriced_calls: int = 0
    """Answers whose cost is unknown."""
    unmetered_calls: int = 0
    """Answers without any usage."""
    estimated_calls: int = 0
    input_tokens: int = 0
    generated_tokens: int = 0
    ttft_ms: Sketch = field(default_factory=Sketch)
    duration_ms: Sketch = field(default_factory=Sketch)

    def add(self, call: CallSeen) -> None:
        self.calls += 1
        self.errors += call.failed
        self.cost_nano += call.cost_nano or 0
        self.input_tokens += call.input_tokens or 0
        self.generated_tokens += call.generated_tokens or 0
        self.ttft_ms.add((call.ttft_ms,))
        self.duration_ms.add((call.duration_ms,))
        if call.answered:
            self.answers += 1
            self.unpriced_calls += call.cost_nano is None
            self.unmetered_calls += call.basis is Basis.NONE
            self.estimated_calls += call.basis is Basis.ESTIMATED


def sums_of(calls: Iterable[CallSeen], scope: Scope) -> Mapping[str, Sums]:
    """The sums of a minute's calls by the subjects of a scope."""
    sums: dict[str, Sums] = {}
    for call in calls:
        subject = subject_of(scope, call.seen)
        if subject is not None:
            own = sums.get(subject)
            if own is None:
                own = sums[subject] = Sums()
            own.add(call)
    return sums


def costs_of(calls: Iterable[CallSeen], scope: Scope) -> Mapping[str, Nano]:
    """The known costs of a minute's calls by the subjects of a scope."""
    costs: dict[str, Nano] = {}
    for call in calls:
        if call.cost_nano:
            subject = subject_of(scope, call.seen)
            if subject is not None:
                costs[subject] = costs.get(subject, 0) + call.cost_nano
    return costs
