"""What a correction of a call does to the budgets that counted it: their accounts say what it costs now (promises §2).

In the transaction that writes the correction. It may pass a limit, and then shows as what is over.
"""

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, update

from gateway.core.accounts import Account
from gateway.core.budgets import Budget
from gateway.core.money import Nano
from gateway.core.scopes import OTHERS, TAG, subject_of
from gateway.core.windows import span_of
from gateway.storage.budget_seeds import shape_of, shapes_of
from gateway.storage.corrections import Correction
from gateway.storage.engine import WriteSession
from gateway.storage.tables import budget_accounts


async def correct_accounts(
    session: WriteSession, budgets: Sequence[Budget], made: Sequence[tuple[Row[Any], Correction]]
) -> None:
    """`budgets`: those in force; each correction with its call's row as it was corrected before. Those that have not
    begun to count, or count in another way, do so later from the ledger, where the corrections are."""
    if not budgets or not made:
        return
    shapes = await shapes_of(session, [budget.name for budget in budgets])
    counting = [budget for budget in budgets if shapes.get(budget.name) == shape_of(budget)]
    changes: dict[Account, Nano] = {}
    for row, correction in made:
        seen = _seen(row)
        # What nobody could price was charged as far as it was known.
        before = row.cost_nano if row.cost_nano is not None else row.cost_at_least_nano or 0
        for budget in counting:
            subject = subject_of(budget.scope, seen)
            if subject is not None:
                start = span_of(budget.window, ZoneInfo(budget.zone), row.started_us).start_us
                account = Account(budget.name, subject, start)
                changes[account] = changes.get(account, 0) + correction.cost_nano - before
    for account, change in sorted(changes.items()):
        if change and not await _add(session, account, change):
            # It came when as many values were counted apart as there may be.
            await _add(session, account._replace(subject=OTHERS), change)


async def _add(session: WriteSession, account: Account, change: Nano) -> int:
    columns = budget_accounts.c
    here = (
        (columns.budget == account.budget)
        & (columns.subject == account.subject)
        & (columns.window_start_us == account.window_start_us)
    )
    corrected = (
        update(budget_accounts)
        .where(here)
        .values(spent_nano=columns.spent_nano + change, corrected_nano=columns.corrected_nano + change)
    )
    return await session.run(corrected)


def _seen(row: Row[Any]) -> dict[str, str | None]:
    """What a call was counted by."""
    names = ("key", "team", "model", "session", "end_user", "target", "provider")
    seen: dict[str, str | None] = {name: getattr(row, name) for name in names}
    return seen | {f"{TAG}:{name}": has for name, has in json.loads(row.labels).items()}
