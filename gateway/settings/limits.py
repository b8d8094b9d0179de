"""Limits as the file states them: of a scope, or of one key."""

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does

from dataclasses import dataclass

from gateway.settings import rules
from gateway.settings.budgets import Parts, scope
from gateway.settings.schema import Section, setting

DIMENSIONS = ("key", "team", "model", "session", "end_user")
"""What is known of a call before its route is: whom it will be sent to is not."""

RPM = rules.integer(1, 10**9)
TPM = rules.integer(1, 10**12)
IN_FLIGHT = rules.integer(1, 10**6)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings(Section):
    """How fast the calls of a scope may come."""

    scope: Parts = setting(
        scope(*DIMENSIONS),
        'Whose calls it counts: `{team: search}`; "*" counts each value apart; `tag` takes a list of NAME=VALUE.',
        "{}",
        shown="every call",
    )
    rpm: int | None = setting(RPM, "Requests a minute.", shown="no limit")
    tpm: int | None = setting(TPM, "Tokens a minute, of prompts and answers together.", shown="no limit")
    in_flight: int | None = setting(IN_FLIGHT, "Calls at the same time.", shown="no limit")
    line: int | None = None
