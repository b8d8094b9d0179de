"""Minutes for rules to see."""

from collections.abc import Iterable, Iterator

from gateway.core.alerts.facts import MINUTE_US, BudgetNow, CallSeen, Minute
from gateway.core.alerts.finding import Finding, Rule
from gateway.core.windows import Span

START_US = 1_793_577_600_000_000
"""2026-11-02T00:00:00Z, a Monday."""
USD = 1_000_000_000
HOUR = 60
DAY = 24 * HOUR
MONTH = Span(START_US - MINUTE_US * DAY, START_US + MINUTE_US * 29 * DAY)
"""November."""


def call(
    minute: int = 0, usd: float | None = 0.0, key: str | None = "ci", session: str | None = None, **other: object
) -> CallSeen:
    """A completed call that ends in a minute since the beginning."""
    seen = {"key": key, "session": session, "model": "fast", "target": "openai/fast"}
    cost = None if usd is None else round(usd * USD)
    return CallSeen(START_US + minute * MINUTE_US, seen, cost, **other)  # type: ignore[arg-type]  # typed as CallSeen is


def minute(number: int, *calls: CallSeen, budgets: Iterable[BudgetNow] = ()) -> Minute:
    """One minute since the beginning."""
    return Minute(START_US + number * MINUTE_US, calls, tuple(budgets))


def steady(days: float, usd_an_hour: float, every: int = 10, begin: int = 0) -> Iterator[Minute]:
    """The same traffic day and night, a call every so many minutes."""
    for number in range(begin, begin + round(days * DAY), every):
        yield minute(number, call(number, usd_an_hour * every / HOUR))


def account(spent_usd: float, limit_usd: float = 100, span: Span = MONTH, **other: object) -> BudgetNow:
    """The budget `all` as it stands."""
    return BudgetNow(
        "all",
        "everything",
        span,
        round(limit_usd * USD),
        round(spent_usd * USD),
        **other,  # type: ignore[arg-type]
    )


def found(rule: Rule, minutes: Iterable[Minute]) -> list[Finding]:
    """Everything that a new watch finds."""
    watch = rule.watch()
    return [finding for one in minutes for finding in watch.see(one)]


def at(finding: Finding) -> int:
    """The number of the minute that decided."""
    return (finding.at_us - START_US) // MINUTE_US - 1
