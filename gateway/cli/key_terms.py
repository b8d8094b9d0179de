"""A key's own limit and budget, for the command line: as options state them, and as they are read back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.storage.engine import Database
    from gateway.storage.key_terms import OwnTerms


def stated_terms(
    name: str, now_us: int, *, budget: str | None, rpm: str | None, tpm: str | None, in_flight: str | None
) -> "OwnTerms":
    """What was stated for a new key. Raises `Fault` (invalid) that names the option."""
    from gateway.control.key_terms import own_terms, stated_budget

    return own_terms(
        name,
        now_us,
        rpm=_rate(rpm, "rpm"),
        tpm=_rate(tpm, "tpm"),
        in_flight=_rate(in_flight, "in_flight"),
        budget=None if budget is None else stated_budget(budget, "--budget"),
    )


async def terms_of(db: "Database", settings: "Settings", keys: Sequence[Key]) -> "dict[str, OwnTerms]":
    """What binds each of these keys alone, by their ids; those of the settings file too."""
    from gateway.app.budgets import declared_budgets
    from gateway.app.limits import declared_limits
    from gateway.core.actions import InForce
    from gateway.storage.actions import ActionRepository
    from gateway.storage.key_terms import terms_by_key
    from gateway.storage.keys import KeyRepository

    declared = [key for key in keys if key.source == "file"]
    frozen = InForce(await ActionRepository(db).all()).frozen
    limits, budgets = declared_limits(settings), declared_budgets(settings)
    of_file = terms_by_key([key.name for key in declared], limits, budgets, frozen)
    stored = await KeyRepository(db).terms([key for key in keys if key.source != "file"])
    return {**stored, **{key.id: of_file[key.name] for key in declared}}


def _rate(text: str | None, field: str) -> int | None:
    from gateway.control.key_terms import MOST

    if text is None:
        return None
    if text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= MOST[field]:
        return int(text)
    option = "--" + field.replace("_", "-")
    hint = f"write a whole number from 1 to {MOST[field]:,}"
    raise Fault(Kind.INVALID, f"{text!r} cannot be a limit", hint=hint, param=option)
