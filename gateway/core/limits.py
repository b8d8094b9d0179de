"""Limits: how many requests and tokens a minute, and how many calls at once, for a scope (contract §1, §3).

They are counted in accounts, as the money of budgets is, in other units: a window is a minute, or has no end. Counts
come from elsewhere.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from gateway.core.accounts import Account
from gateway.core.budgets import MAX_SUBJECTS, Bound, Budget
from gateway.core.calls import CallFacts
from gateway.core.scopes import EVERYTHING, Scope, ScopeIndex, Subjects, seen_of
from gateway.core.value import value
from gateway.core.windows import LIFETIME, Span, Window

MINUTE_US = 60_000_000


class Unit(StrEnum):
    """What is counted, in the words of the settings."""

    REQUESTS = "rpm"
    TOKENS = "tpm"
    IN_FLIGHT = "in_flight"


@value(frozen=True)
class Limit:
    """At most so much for a scope; null: no limit of that kind."""

    name: str
    scope: Scope = Scope()
    rpm: int | None = None
    tpm: int | None = None
    in_flight: int | None = None
    source: str = "admin"


@value(frozen=True)
class Rate:
    """One counter that binds a call."""

    limit: Limit
    unit: Unit
    bound: Bound

    @property
    def most(self) -> int:
        return self.bound.budget.limit_nano


class Limits:
    """All limits in force, found by what a call is counted by."""

    def __init__(
        self, limits: Iterable[Limit], max_subjects: int = MAX_SUBJECTS, before: "Limits | None" = None
    ) -> None:
        """`max_subjects`: how many values each counts apart in a minute; `before`: whose place these take."""
        self._subjects: Subjects = Subjects(max_subjects, None if before is None else before._subjects)
        self.all: tuple[Limit, ...] = tuple(sorted(limits, key=_name))
        self.by_key = any(limit.scope.by_key for limit in self.all)
        """Whether any of them counts by key: a call without one would escape it."""
        counters = [(limit, tuple(_counters(limit))) for limit in self.all]
        self._index = ScopeIndex([(counted[0].scope, counted) for counted in counters])
        self._most = {counter.name: counter.limit_nano for _, of_limit in counters for _, counter in of_limit}

    def limit_of(self, account: Account) -> int | None:
        """What a counter may come to; null if its limit is gone."""
        return self._most.get(account.budget)

    def binding(self, facts: CallFacts) -> Sequence[Rate]:
        """The counters that bind a call, those of its start's minute."""
        if not self.all:
            return ()
        start = facts.started_us - facts.started_us % MINUTE_US
        minute = Span(start, start + MINUTE_US)
        rates = []
        for subject, (limit, counters) in self._index.of(seen_of(facts)):
            if subject != EVERYTHING:
                subject = self._subjects.known(limit.name, start, subject)
            for unit, counter in counters:
                span = LIFETIME if unit is Unit.IN_FLIGHT else minute
                account = Account(counter.name, subject, span.start_us)
                rates.append(Rate(limit, unit, Bound(counter, account, span)))
        return rates


def _counters(limit: Limit) -> Iterable[tuple[Unit, Budget]]:
    """What is counted for a limit, as budgets of another unit. No budget has a colon in its name."""
    for unit, most in ((Unit.REQUESTS, limit.rpm), (Unit.TOKENS, limit.tpm), (Unit.IN_FLIGHT, limit.in_flight)):
        if most is not None:
            yield unit, Budget(f"{unit.value}:{limit.name}", most, Window.LIFETIME, scope=limit.scope)


def _name(limit: Limit) -> str:
    return limit.name
