"""Budgets: a limit in USD over a window for a scope, and which of them bind a call (contract §1, §3).

Says what holds and for whom; what is spent and held is counted elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from enum import StrEnum

from gateway.core.accounts import Account
from gateway.core.calls import CallFacts
from gateway.core.money import Nano
from gateway.core.scopes import EVERYTHING, OTHERS, Scope, ScopeIndex, seen_of
from gateway.core.value import value
from gateway.core.windows import Span, Window, span_of

MAX_SUBJECTS = 100_000
"""Values that a budget counts apart in a window, for each process, unless the settings say otherwise."""


class Mode(StrEnum):
    """What a limit means."""

    HARD = "hard"
    """Never passed: money is held before an attempt, and a call that does not fit is not made."""
    SOFT = "soft"
    """Watched: it holds nothing, lowers nothing, refuses nothing."""


class Exhausted(StrEnum):
    """What a hard budget does with a call that does not fit any more."""

    REFUSE = "refuse"
    DOWNGRADE = "downgrade"
    """To another model; refused if that does not fit either."""


@value(frozen=True)
class Raise:
    """More money for a while."""

    nano: Nano
    until_us: int


@value(frozen=True)
class Budget:
    """A limit over a window for a scope."""

    name: str
    limit_nano: Nano
    window: Window
    zone: str = "UTC"
    """The name of the time zone whose calendar its windows follow."""
    mode: Mode = Mode.HARD
    scope: Scope = Scope()
    alert_at: tuple[int, ...] = ()
    """Percentages of the limit, in order; each is told once a window, when so much is spent."""
    exhausted: Exhausted = Exhausted.REFUSE
    downgrade_to: str | None = None
    """The model that is asked instead; null unless it downgrades."""
    unpriced_allowed: bool = False
    """A call that can produce a quantity without a price is let through, and may cost its whole hold."""
    raised: Raise | None = None
    since_us: int = 0
    """When it was made."""
    source: str = "admin"
    """`admin` (command line or API) or `file`."""

    def limit_at(self, now_us: int) -> Nano:
        """The limit, with what it is raised by for now."""
        if self.raised is not None and now_us < self.raised.until_us:
            return self.limit_nano + self.raised.nano
        return self.limit_nano


@value(frozen=True)
class Bound:
    """A budget that binds a call, and the account in which it counts it."""

    budget: Budget
    account: Account
    span: Span


class Budgets:
    """All budgets in force, found by what a call is counted by."""

    def __init__(
        self,
        budgets: Iterable[Budget],
        zones: Mapping[str, tzinfo],
        max_subjects: int = MAX_SUBJECTS,
        before: "Budgets | None" = None,
    ) -> None:
        """`zones` holds every zone that a budget names; `max_subjects`: how many each counts apart; `before`: whose
        place these take."""
        self._max_subjects = max_subjects
        self._live: dict[tuple[str, int], set[str]] = {} if before is None else before._live
        """The subjects that were met, by budget and window."""
        self.all: tuple[Budget, ...] = tuple(sorted(budgets, key=lambda budget: budget.name))
        self._zones = zones
        self._spans: dict[tuple[Window, str], Span] = {}
        self.by_key = any(budget.scope.by_key for budget in self.all)
        """Whether any of them counts by key: a call without one would escape it."""
        self._index = ScopeIndex([(budget.scope, budget) for budget in self.all])

    def __len__(self) -> int:
        return len(self.all)

    def binding(self, facts: CallFacts, target: str, provider: str) -> Sequence[Bound]:
        """The budgets that bind an attempt of a call at a target, in the order of their names.

        The window is that of the call's start, and stays so however long it lasts.
        """
        if not self.all:
            return ()
        bound = []
        for subject, budget in self._index.of(seen_of(facts, target, provider)):
            span = self.span(budget, facts.started_us)
            if subject != EVERYTHING:
                subject = self._known(budget.name, span.start_us, subject)
            bound.append(Bound(budget, Account(budget.name, subject, span.start_us), span))
        if len(bound) > 1:
            bound.sort(key=_name)
        return bound

    def _known(self, budget: str, start_us: int, subject: str) -> str:
        """The subject, or that of all who came when there were as many as are counted apart: clients can name any
        number of values."""
        live = self._live.get((budget, start_us))
        if live is None:
            for old in [one for one in self._live if one[0] == budget and one[1] < start_us]:
                del self._live[old]
            live = self._live[budget, start_us] = set()
        if subject not in live:
            if len(live) >= self._max_subjects:
                return OTHERS
            live.add(subject)
        return subject

    def span(self, budget: Budget, at_us: int) -> Span:
        """The window of a budget that a moment lies in."""
        key = (budget.window, budget.zone)
        span = self._spans.get(key)
        if span is None or not span.holds(at_us):
            span = span_of(budget.window, self._zones[budget.zone], at_us)
            self._spans[key] = span
        return span


def _name(bound: Bound) -> str:
    return bound.budget.name
