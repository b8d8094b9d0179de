"""A key's own limit and budget, as people state them and as they are read back (known fault 34).

Knows neither HTTP nor SQL; the command line makes them here too.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictInt, WithJsonSchema

from gateway.control.budget_terms import limit_of
from gateway.core.budgets import Budget
from gateway.core.errors import Fault, Kind
from gateway.core.keys import own
from gateway.core.limits import Limit
from gateway.core.money import Nano, usd_text
from gateway.core.scopes import of_key
from gateway.core.windows import Window
from gateway.storage.key_terms import OwnTerms
from gateway.storage.limits import limits_something

MOST: Mapping[str, int] = {"rpm": 10**9, "tpm": 10**12, "in_flight": 10**6}

Rpm = Annotated[StrictInt, Field(ge=1, le=MOST["rpm"])]
Tpm = Annotated[StrictInt, Field(ge=1, le=MOST["tpm"])]
InFlight = Annotated[StrictInt, Field(ge=1, le=MOST["in_flight"])]


def _max_cost(given: object) -> object:
    if given is None:
        return None
    if not isinstance(given, str):
        raise ValueError('money is a text like "0.05"')
    try:
        return limit_of(given, "max_cost_usd")
    except Fault as fault:
        raise ValueError(fault.sentence) from None


MaxCost = Annotated[Nano, BeforeValidator(_max_cost), WithJsonSchema({"type": "string", "examples": ["0.05"]})]


def own_terms(
    key: str,
    now_us: int,
    *,
    rpm: int | None = None,
    tpm: int | None = None,
    in_flight: int | None = None,
    budget: tuple[Nano, Window] | None = None,
) -> OwnTerms:
    """What binds the calls of a new key alone: a limit and a hard budget, both `key:NAME`."""
    limit = Limit(own(key), of_key(key), rpm, tpm, in_flight)
    return OwnTerms(
        limit if limits_something(limit) else None,
        None if budget is None else Budget(own(key), *budget, scope=of_key(key), since_us=now_us),
    )


def stated_budget(text: str, field: str = "budget") -> tuple[Nano, Window]:
    """A limit and its window, `5.00/month`. Raises `Fault` (invalid)."""
    amount, slash, window = (part.strip() for part in text.partition("/"))
    if not slash or window not in list(Window):
        hint = f"write it like 5.00/month; the windows are {', '.join(Window)}"
        raise Fault(Kind.INVALID, f"{text!r} is no budget", hint=hint, param=field)
    return limit_of(amount, field), Window(window)


def own_facts(terms: OwnTerms) -> dict[str, Any]:
    """What a key shows of them; null: none."""
    limit, budget = terms.limit, terms.budget
    return {
        "budget": None if budget is None else f"{usd_text(budget.limit_nano)}/{budget.window}",
        **{rate: None if limit is None else getattr(limit, rate) for rate in MOST},
        "frozen": terms.frozen,
    }
