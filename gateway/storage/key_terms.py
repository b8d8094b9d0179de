"""A key's own limit and budget: kept with all others, made, renamed and ended in the key's own transactions.

They count calls by the key's name, as every scope does. A revoked key has none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gateway.core.budgets import Budget
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, own
from gateway.core.limits import Limit
from gateway.core.scopes import of_key
from gateway.core.value import value
from gateway.storage.actions import in_force
from gateway.storage.budgets import add_budget, budgets_named, find_budget, remove_budget
from gateway.storage.engine import ReadSession, WriteSession
from gateway.storage.limits import (
    add_limit,
    change_limit,
    find_limit,
    limits_named,
    limits_something,
    remove_limit,
    with_rates,
)


@value(frozen=True)
class OwnTerms:
    """What binds the calls of one key alone."""

    limit: Limit | None = None
    budget: Budget | None = None
    frozen: str | None = None
    """Why it is refused, if an alert rule has frozen it."""


NO_TERMS = OwnTerms()
_AT_ONCE = 1000
"""Names in one question: a database takes some thousands."""


def terms_by_key(
    names: Iterable[str], limits: Sequence[Limit], budgets: Sequence[Budget], frozen: Mapping[str, str]
) -> dict[str, OwnTerms]:
    """Those of the keys of these names, found among all; `frozen`: why keys are refused, by their names."""
    limit_of = {limit.name: limit for limit in limits}
    budget_of = {budget.name: budget for budget in budgets}
    return {name: OwnTerms(limit_of.get(own(name)), budget_of.get(own(name)), frozen.get(name)) for name in names}


async def terms_of(session: ReadSession, keys: Sequence[Key]) -> dict[str, OwnTerms]:
    """By the keys' ids."""
    living = {key.id: key.name for key in keys if key.revoked_us is None}
    names = list(living.values())
    frozen = (await in_force(session)).frozen if names else {}
    found: dict[str, OwnTerms] = {}
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        named = [own(name) for name in some]
        found |= terms_by_key(some, await limits_named(session, named), await budgets_named(session, named), frozen)
    return {key.id: found[living[key.id]] if key.id in living else NO_TERMS for key in keys}


async def add_terms(session: WriteSession, terms: OwnTerms, actor: str, now_us: int) -> None:
    """Raises `Fault`: conflict if there is something of this name already."""
    if terms.limit is not None:
        await add_limit(session, terms.limit, actor, now_us)
    if terms.budget is not None:
        await add_budget(session, terms.budget, actor, now_us)


async def change_rates(
    session: WriteSession, key: str, rates: Mapping[str, int | None], actor: str, now_us: int
) -> None:
    """Set some of `limits.RATES` of a key; what has none left goes."""
    name = own(key)
    before = await find_limit(session, name)
    after = with_rates(before or Limit(name, of_key(key)), rates)
    if not limits_something(after):
        await remove_limit(session, name, actor, now_us)
    elif before is None:
        await add_limit(session, after, actor, now_us)
    elif after != before:
        await change_limit(session, after, rates, actor, now_us)


async def rename_terms(session: WriteSession, key: str, to: str, actor: str, now_us: int) -> None:
    """Have a key's limit follow its name. Raises `Fault`: conflict if it has a budget, which would begin anew."""
    if await find_budget(session, own(key)) is not None:
        message = f"the key {key} has a budget, and what it spent was counted by its name"
        hint = f"keep the name, or remove the budget {own(key)} first"
        raise Fault(Kind.CONFLICT, message, hint=hint, param="name")
    limit = await find_limit(session, own(key))
    if limit is not None:
        await remove_limit(session, limit.name, actor, now_us)
        await add_limit(session, replace(limit, name=own(to), scope=of_key(to)), actor, now_us)


async def remove_terms(session: WriteSession, key: str, actor: str, now_us: int) -> None:
    """A key has ended. What its calls cost stays in the ledger."""
    await remove_limit(session, own(key), actor, now_us)
    await remove_budget(session, own(key), actor, now_us)
