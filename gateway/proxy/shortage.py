"""Money that is not there → the refusal that says which budget lacks what, and when it begins anew (known fault 44)."""

from datetime import UTC, datetime, timedelta

from gateway.core.errors import Fault, Kind
from gateway.core.escrow import Lack, Obstacle
from gateway.core.money import Nano, usd_text
from gateway.core.scopes import EVERYTHING

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RETRY_AFTER = 1.0
"""Seconds after which what others hold may have come back."""


def refusal_of_lack(lack: Lack, amount: Nano, limit: Nano, because: str | None = None) -> Fault:
    """`amount`: what the call may cost; `limit`: of the budget, now; `because`: why its answer cannot be shorter."""
    standing = lack.standing
    what = (
        f"{_usd(standing.spent + standing.reserve)} spent, {_usd(standing.leased)} held, "
        f"{_usd(max(0, lack.left))} left of {_usd(limit)}; this call may cost {_usd(amount)}"
    )
    name = _name(lack)
    if lack.obstacle is Obstacle.HELD:
        message = f"{name} has what this call needs only when other calls give back what they hold: {what}"
        return Fault(Kind.RATE, message, hint="try again in a moment", retry_after=RETRY_AFTER)
    shorter = "" if because is None else f", and a shorter answer would be none: {because}"
    return Fault(Kind.BUDGET_SPENT, f"{name} is spent: {what}{shorter}", hint=_anew(lack))


def unbounded(budget: str, why: str) -> Fault:
    """A hard budget lets nothing through whose cost nobody can tell beforehand."""
    return Fault(
        Kind.PRICE_UNKNOWN,
        f"the budget {budget} is hard, and nobody can tell what this call costs at most: {why}",
        hint="state a price and a limit (max_tokens), or allow it with `unpriced: allow` of the budget",
        param="model",
    )


def over_cap(amount: Nano, cap: Nano) -> Fault:
    return Fault(
        Kind.MAX_COST,
        f"this call may cost {_usd(amount)}, and it must not cost more than {_usd(cap)}",
        hint="ask for a shorter answer (max_tokens), or allow more: x-tollkeeper-max-cost-usd, max_cost_usd of the key",
    )


def _name(lack: Lack) -> str:
    subject = lack.bound.account.subject
    of = "" if subject == EVERYTHING else f" of {subject}"
    return f"the budget {lack.bound.budget.name}{of}"


def _anew(lack: Lack) -> str:
    end_us = lack.bound.span.end_us
    if end_us is None:
        return "it never begins anew: somebody has to raise it"
    at = (_EPOCH + timedelta(microseconds=end_us)).isoformat().replace("+00:00", "Z")
    return f"it begins anew at {at}"


def _usd(nano: Nano) -> str:
    return f"${usd_text(nano)}"
