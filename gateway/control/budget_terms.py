"""What a budget may be, as people state it. Knows neither HTTP nor SQL; the command line makes its budgets here too.

Terms are fields of `Budget` by their names there, of those that were stated; a `Fault` names the field as the API does.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from gateway.core.budgets import Budget, Exhausted, Mode, Raise
from gateway.core.errors import Fault, Kind
from gateway.core.money import NANO_PER_USD, Nano, to_nano, usd
from gateway.core.scopes import TAG, Scope, scope_of
from gateway.core.value import value
from gateway.core.windows import Window
from gateway.storage.budgets import CHANGEABLE

NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"
MOST: Nano = 10**9 * NANO_PER_USD
_FIXED = {"window": "window", "zone": "timezone", "scope": "scope"}
"""What makes a budget what it is, and what the API calls it."""

Terms: TypeAlias = Mapping[str, Any]


@value(frozen=True)
class Models:
    """The names that calls can be sent to: our aliases, and the targets of our providers."""

    aliases: Collection[str]
    providers: Collection[str]

    def require(self, name: str) -> None:
        """Raises `Fault` (invalid) unless an alias or a target of a configured provider has this name."""
        provider, slash, model = name.partition("/")
        if name in self.aliases or (slash and model and provider in self.providers):
            return
        near = get_close_matches(name, self.aliases, n=1)
        known = f"the aliases {', '.join(self.aliases) or '(none)'}, the providers {', '.join(self.providers)}"
        hint = f"did you mean {near[0]}?" if near else f"name an alias, or a target PROVIDER/MODEL; there are {known}"
        raise _wrong("downgrade_to", f"{name!r} is neither a model of ours nor a target", hint)


def limit_of(text: object, field: str = "limit_usd") -> Nano:
    """Nano-dollars of a decimal text. Raises `Fault` (invalid) unless it is above 0 and has nine decimals at most."""
    try:
        amount = usd(text)
    except Fault as fault:
        raise _wrong(field, fault.message, "write digits and a point alone, like 500 or 0.50") from None
    if not 0 < amount * NANO_PER_USD <= MOST:
        raise _wrong(field, f"{text} is not more than 0 and at most {MOST // NANO_PER_USD:,} USD")
    nano = to_nano(amount)
    if nano != amount * NANO_PER_USD:
        raise _wrong(field, f"{text} has more than nine decimals", "a nano-dollar is the smallest amount")
    return nano


def zone_of(text: str) -> str:
    """A zone's name. Raises `Fault` (invalid) that names the nearest one."""
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # of which the last is what an unknown name raises
        near = _near_zone(text)
        hint = f"did you mean {near}?" if near else "write a name like Europe/Berlin, or UTC"
        raise _wrong("timezone", f"{text!r} is no time zone", hint) from None
    return text


def _near_zone(text: str) -> str | None:
    names = sorted(available_timezones())
    wanted = text.strip().replace(" ", "_").casefold()
    city = next((name for name in names if name.rpartition("/")[2].casefold() == wanted), None)
    return city or next(iter(get_close_matches(text, names, n=1)), None)


def percentages_of(given: Sequence[int]) -> tuple[int, ...]:
    """Raises `Fault` (invalid) unless they go up, from 1 to 1000."""
    if list(given) != sorted(set(given)) or any(not 1 <= one <= 1000 for one in given):
        raise _wrong("alert_at", "the percentages are not from 1 to 1000, going up", "write them like 50, 80, 100")
    return tuple(given)


def scope_from(said: Mapping[str, str | Sequence[str]]) -> Scope:
    """A scope as the API and the file write it: tags are a list under `tag`. Raises `Fault` (invalid)."""
    parts: list[tuple[str, str]] = []
    for dimension, given in said.items():
        if not isinstance(given, str) and dimension != TAG:
            raise _wrong("scope", f"the scope's {dimension} is one text", "only tags may be several")
        parts += [(dimension, one) for one in ([given] if isinstance(given, str) else given)]
    return scope_of(parts)


def new_budget(name: str, terms: Terms, models: Models, now_us: int) -> Budget:
    """A budget of these terms. Raises `Fault` (invalid) that names what is missing or does not go together."""
    if not re.fullmatch(NAME, name):
        hint = "take up to 64 letters, digits, `.`, `_` and `-`, the first and the last a letter or digit"
        raise _wrong("name", f"{name!r} cannot be a budget's name", hint)
    if "limit_nano" not in terms:
        raise _wrong("limit_usd", f"there is no budget {name} yet, and a new one needs a limit")
    given = {"window": Window.MONTH, **terms}
    budget = Budget(name, since_us=now_us, **given)
    _require_sense(budget, models)
    return budget


def changes_to(budget: Budget, terms: Terms, models: Models) -> dict[str, object]:
    """What these terms change of a budget, for `BudgetRepository.update`.

    Raises `Fault` (invalid) for another window, zone or scope, and for what does not go together.
    """
    for field, named in _FIXED.items():
        now = getattr(budget, field)
        if field in terms and terms[field] != now:
            shown = (now.as_text() or "every call") if isinstance(now, Scope) else now
            hint = "what it counted belongs to these: set another budget, or remove this one and set it anew"
            raise _wrong(named, f"the {named} of the budget {budget.name} is {shown} and cannot be changed", hint)
    changes = {field: terms[field] for field in CHANGEABLE if field in terms}
    if changes.get("exhausted") is Exhausted.REFUSE:
        changes.setdefault("downgrade_to", None)
    changes = {field: stated for field, stated in changes.items() if stated != getattr(budget, field)}
    _require_sense(replace(budget, **changes), models if "downgrade_to" in changes else None)
    return changes


def coming_raise(nano: Nano, until_us: int, now_us: int) -> Raise:
    """Raises `Fault` (invalid) if it is over already."""
    if until_us <= now_us:
        raise _wrong("raised", "a limit is raised until a moment that has not passed")
    return Raise(nano, until_us)


def _require_sense(budget: Budget, models: Models | None) -> None:
    """`models`: what it may downgrade to; null: that was looked at already."""
    if budget.exhausted is Exhausted.REFUSE:
        if budget.downgrade_to is not None:
            raise _wrong(
                "downgrade_to", "a budget that refuses asks no other model", "have it downgrade, or leave it out"
            )
        return
    if budget.mode is Mode.SOFT:
        message = "a soft budget refuses nothing, so it has nothing to downgrade"
        raise _wrong("on_exhausted", message, "make it hard, or have it refuse")
    if budget.downgrade_to is None:
        raise _wrong("downgrade_to", "a budget that downgrades needs the model that is asked instead")
    if models is not None:
        models.require(budget.downgrade_to)


def _wrong(field: str, message: str, hint: str | None = None) -> Fault:
    return Fault(Kind.INVALID, message, hint=hint, param=field)
