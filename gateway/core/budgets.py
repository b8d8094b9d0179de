"""Budgets: a limit in USD over a window for a scope, and which of them bind a call (contract §1, §3).

Says what holds and for whom; what is spent and held is counted elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from enum import StrEnum

from gateway.core.accounts import Account
from gateway.core.calls import CallFacts
from gateway.core.money import Nano
from gateway.core.scopes import EVERYTHING, Scope, ScopeIndex, Subjects, seen_of, values_of
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
    lowered_nano: Nano | None = None
    """What an alert rule has lowered it to."""

    def limit_at(self, now_us: int) -> Nano:
        """The limit, with what it is raised by for now; no more than it is lowered to."""
        limit = self.limit_nano
        if self.raised is not None and now_us < self.raised.until_us:
            limit += self.raised.nano
        return limit if self.lowered_nano is None else min(limit, self.lowered_nano)


@value(frozen=True)
class Bound:
    """A budget that binds a call, and the account in which it counts it."""

    budget: Budget
    account: Account
    span: Span


@value(frozen=True)
class Binding:
    """All that bind an attempt, and the accounts of theirs: the same object for calls that are counted alike."""

    bounds: tuple[Bound, ...] = ()
    """In the order of their budgets' names."""
    hard: tuple[Bound, ...] = ()
    held_in: tuple[Account, ...] = ()
    """Of the hard ones."""
    seen_by: tuple[Account, ...] = ()
    """Of the soft ones."""
    accounts: tuple[Account, ...] = ()
    """Of all of them, the hard ones first."""
    places: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    """Where those of the hard and of the soft ones are among them."""
    unpriced_allowed: bool = True
    """Whether all of the hard ones let calls through whose price nobody knows."""
    since_us: int = 0
    until_us: int = 0
    """It is theirs from a call's start at the one moment until just before the other."""


NOTHING_BINDS = Binding()
_FOREVER = 2**62
_KNOWN = 10_000
"""Bindings that are kept: sessions, tags and names of models come from clients."""


def _binding(bounds: Iterable[Bound]) -> Binding:
    of_all = sorted(bounds, key=_name)
    hard = [bound for bound in of_all if bound.budget.mode is Mode.HARD]
    held_in = tuple([bound.account for bound in hard])
    seen_by = tuple([bound.account for bound in of_all if bound.budget.mode is Mode.SOFT])
    return Binding(
        tuple(of_all),
        tuple(hard),
        held_in,
        seen_by,
        held_in + seen_by,
        (tuple(range(len(held_in))), tuple(range(len(held_in), len(of_all)))),
        all(bound.budget.unpriced_allowed for bound in hard),
        max((bound.span.start_us for bound in of_all), default=0),
        min((bound.span.end_us for bound in of_all if bound.span.end_us is not None), default=_FOREVER),
    )


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
        self._subjects: Subjects = Subjects(max_subjects, None if before is None else before._subjects)
        self.all: tuple[Budget, ...] = tuple(sorted(budgets, key=lambda budget: budget.name))
        self.named: Mapping[str, Budget] = {budget.name: budget for budget in self.all}
        self._zones = zones
        self._spans: dict[tuple[Window, str], Span] = {}
        self.by_key = any(budget.scope.by_key for budget in self.all)
        """Whether any of them counts by key: a call without one would escape it."""
        self._index = ScopeIndex([(budget.scope, budget) for budget in self.all])
        self._dimensions = tuple(sorted({name for budget in self.all for name, _ in budget.scope.parts}))
        self._bindings: dict[tuple[str | None, ...], Binding] = {}

    def __len__(self) -> int:
        return len(self.all)

    def binding(self, facts: CallFacts, target: str, provider: str) -> Binding:
        """The budgets that bind an attempt of a call at a target.

        The window is that of the call's start, and stays so however long it lasts.
        """
        if not self.all:
            return NOTHING_BINDS
        counted_by = values_of(self._dimensions, facts, target, provider)
        known = self._bindings.get(counted_by)
        if known is None or not known.since_us <= facts.started_us < known.until_us:
            if len(self._bindings) >= _KNOWN:
                self._bindings.clear()
            known = self._bindings[counted_by] = _binding(self._bounds(facts, target, provider))
        return known

    def _bounds(self, facts: CallFacts, target: str, provider: str) -> Iterator[Bound]:
        for subject, budget in self._index.of(seen_of(facts, target, provider)):
            span = self.span(budget, facts.started_us)
            if subject != EVERYTHING:
                subject = self._subjects.known(budget.name, span.start_us, subject)
            yield Bound(budget, Account(budget.name, subject, span.start_us), span)

    def limit_of(self, account: Account, now_us: int) -> Nano | None:
        """What an account may come to at a moment; null if its budget is gone. Unix microseconds."""
        budget = self.named.get(account.budget)
        return None if budget is None else budget.limit_at(now_us)

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
