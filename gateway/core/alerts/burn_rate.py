"""`burn_rate`: a budget is spent several times faster than its window allows, seen in a long and a short span at once.

As SRE practice has it for error budgets: the long span says that it matters, the short one that it still goes on. A
burn rate of 1 spends exactly the limit in the window; 14.4 over an hour spends 2 % of a month's.
"""

from dataclasses import dataclass

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import HOUR_US, MINUTE_US, BudgetNow, Minute
from gateway.core.alerts.finding import Finding, Told, day_of, dollars, span_text
from gateway.core.alerts.sliding import Recent, Sliding
from gateway.core.alerts.spending import Spending
from gateway.core.money import NANO_PER_USD, Nano
from gateway.core.value import value

_ACCOUNTS = 5_000
_DAY = 24 * HOUR_US
_LIFETIME_US = 30 * _DAY
"""What a budget without an end is held against."""


@value(frozen=True)
class Pair:
    """Two spans that must both burn so fast."""

    long_minutes: int
    short_minutes: int
    rate: float
    severity: Severity


LONG_WINDOWS = (
    Pair(60, 5, 14.4, Severity.CRITICAL),
    Pair(360, 30, 6.0, Severity.CRITICAL),
    Pair(4320, 360, 1.5, Severity.WARNING),
)
"""Of a week and more. The last is 1 for error budgets, which are meant not to be used up; a budget of money is."""
DAY_WINDOWS = (Pair(60, 5, 8.0, Severity.CRITICAL), Pair(180, 15, 4.0, Severity.WARNING))
"""Of a day: a third of it in an hour, half of it in three."""
HOUR_WINDOWS = (Pair(15, 5, 3.0, Severity.CRITICAL),)
"""Of an hour: three quarters of it in fifteen minutes."""


@value(frozen=True)
class BurnRate:
    """Several pairs of spans; one that burns is enough."""

    name: str
    budget: str
    pairs: tuple[Pair, ...] = ()
    """None: those that suit the budget's window."""
    min_nano: Nano = NANO_PER_USD
    """Less than this in the long span tells nobody."""

    @property
    def history_days(self) -> int:
        return 3

    def watch(self) -> "BurnRateWatch":
        return BurnRateWatch(self)


@dataclass(slots=True)
class _Burning:
    pair: Pair
    long: Sliding
    short: Sliding


@dataclass(slots=True)
class _Account:
    spending: Spending
    burning: list[_Burning]


class BurnRateWatch:
    """The spans of every account of the budget."""

    def __init__(self, rule: BurnRate) -> None:
        self._rule = rule
        self._told = Told()
        self._accounts: Recent[str, _Account] = Recent(_ACCOUNTS)

    def see(self, minute: Minute) -> list[Finding]:
        found = []
        for now in minute.budgets:
            if now.budget == self._rule.budget:
                account = self._accounts.get(now.subject) or self._begun(now, minute.end_us)
                spent = account.spending.see(now, minute.end_us)
                found += self._judged(account, spent, minute)
        return found

    def _begun(self, now: BudgetNow, at_us: int) -> _Account:
        burning = [
            _Burning(pair, Sliding(pair.long_minutes), Sliding(pair.short_minutes))
            for pair in self._rule.pairs or _pairs(now)
        ]
        account = _Account(Spending(now, at_us), burning)
        self._accounts.put(now.subject, account)
        return account

    def _judged(self, account: _Account, spent: Nano, minute: Minute) -> list[Finding]:
        found = []
        for one in account.burning:
            for span in (one.long, one.short):
                span.advance(minute.start_us // MINUTE_US)
                span.add(spent)
            now, pair = account.spending.now, one.pair
            window = f"{day_of(now.span.start_us)}/{pair.long_minutes}"
            if self._burns(one, now) and self._told.first(now.subject, window):
                found.append(self._finding(one, now, window, minute.end_us))
        return found

    def _burns(self, one: _Burning, now: BudgetNow) -> bool:
        fast = rate(one.long, now) >= one.pair.rate and rate(one.short, now) >= one.pair.rate
        return fast and one.long.sum >= self._rule.min_nano

    def _finding(self, one: _Burning, now: BudgetNow, window: str, at_us: int) -> Finding:
        return Finding(
            rule=self._rule.name,
            kind="burn_rate",
            type="spend.burn_rate",
            subject=now.subject,
            window=window,
            severity=one.pair.severity,
            at_us=at_us,
            because=_sentence(one, now),
            facts={
                "long_rate": round(rate(one.long, now), 2),
                "short_rate": round(rate(one.short, now), 2),
                "bound": one.pair.rate,
                "spent_nano": one.long.sum,
                "limit_nano": now.limit_nano,
            },
            concerns={"budget": now.budget},
        )

    def explain(self, subject: str) -> str:
        """Each pair's rates and its bound."""
        account = self._accounts.get(subject)
        if account is None:
            return f"nothing was spent yet of {self._rule.budget} ({subject})"
        return "; ".join(_sentence(one, account.spending.now) for one in account.burning)


def rate(span: Sliding, now: BudgetNow) -> float:
    """How many times faster than evenly over the window the limit is spent."""
    length = (now.span.end_us or now.span.start_us + _LIFETIME_US) - now.span.start_us
    return span.sum / now.limit_nano * length / (span.minutes * MINUTE_US)


def _pairs(now: BudgetNow) -> tuple[Pair, ...]:
    length = (now.span.end_us or _LIFETIME_US + now.span.start_us) - now.span.start_us
    if length < 2 * HOUR_US:
        return HOUR_WINDOWS
    return DAY_WINDOWS if length < 2 * _DAY else LONG_WINDOWS


def _sentence(one: _Burning, now: BudgetNow) -> str:
    pair = one.pair
    return (
        f"{now.budget} ({now.subject}) burns at {rate(one.long, now):.1f} times the even pace over "
        f"{span_text(pair.long_minutes)} ({dollars(one.long.sum)}) and {rate(one.short, now):.1f} times over "
        f"{span_text(pair.short_minutes)}; told from {pair.rate:g} in both on"
    )
