"""Percentages of budgets, told as soon as they are passed: over what SQL says is spent, whoever spent it.

Looks at the accounts that this process has charged, or refused calls for: each charge is somebody's, so none is missed.
What a killed process did not come to look at, the next start does.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from gateway.core.accounts import Account
from gateway.core.alerts.facts import MINUTE_US, BudgetNow, Minute
from gateway.core.alerts.finding import Armed, Watch
from gateway.core.alerts.threshold import Threshold
from gateway.core.budgets import Budget, Budgets
from gateway.core.errors import Fault
from gateway.jobs.raiser import Raiser
from gateway.jobs.scheduler import wait
from gateway.ports import Clock
from gateway.storage.accounts import Accounts
from gateway.storage.alerts import AlertRepository

logger = logging.getLogger(__name__)

LOOK = 0.5
"""Seconds between two looks."""
IMPLIED: Final = "alert_at:"
"""What the rule's name begins with of a budget that names percentages and is watched by no rule of the file: its alerts
are listed, and told to nobody."""


class Thresholds:
    """`run` is the job."""

    def __init__(
        self,
        rules: Sequence[Armed],
        accounts: Accounts,
        alerts: AlertRepository,
        budgets: Callable[[], Budgets],
        clock: Clock,
    ) -> None:
        """`rules`: those of the kind `threshold`; `budgets`: those in force now."""
        self._rules: dict[str, list[tuple[Watch, Armed]]] = {}
        for armed in rules:
            if isinstance(armed.rule, Threshold):
                self._rules.setdefault(armed.rule.budget, []).append((armed.rule.watch(), armed))
        self._accounts = accounts
        self._raiser = Raiser(alerts, budgets)
        self._budgets = budgets
        self._clock = clock
        self._touched: set[Account] = set()
        self._refused: set[Account] = set()
        self._begun = False

    def charged(self, accounts: Iterable[Account]) -> None:
        """Something was spent from these."""
        self._touched.update(accounts)

    def refused(self, account: Account) -> None:
        """A call was refused for what is spent of this one."""
        self._refused.add(account)
        self._touched.add(account)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until told to stop, and once more. A database that fails is a state."""
        while not stopping.is_set():
            await self._tolerated()
            await wait(stopping, LOOK)
        await self._tolerated()

    async def _tolerated(self) -> None:
        try:
            await self.look()
        except Fault as fault:
            logger.debug("thresholds are looked at again: %s", fault.message)

    async def look(self) -> None:
        """Raise what is passed. Raises `Fault` (unavailable); then it is looked at, or raised, again."""
        await self._raiser.raise_all()
        if self._begun and not self._touched:
            return
        known = self._budgets().all
        watched = {budget.name: budget for budget in known if budget.alert_at or budget.name in self._rules}
        if not self._begun:
            self._touched.update(await self._current(watched))
            self._begun = True
        touched, self._touched = self._touched, set()
        refused, self._refused = self._refused, set()
        try:
            looked_at = [account for account in touched if account.budget in watched or account in refused]
            spent = await self._accounts.spent(looked_at)
        except Fault:
            self._touched |= touched
            self._refused |= refused
            raise
        for account, nano in spent.items():
            self._see(account, nano, watched.get(account.budget), int(account in refused))
        await self._raiser.raise_all()

    async def _current(self, watched: Mapping[str, Budget]) -> list[Account]:
        """The accounts of the windows that go on."""
        now_us = self._clock.now_us()
        accounts = await self._accounts.known(list(watched))
        begins = {name: self._budgets().span(budget, now_us).start_us for name, budget in watched.items()}
        return [account for account in accounts if begins[account.budget] == account.window_start_us]

    def _see(self, account: Account, spent: int, budget: Budget | None, refused: int) -> None:
        budget = budget or self._budgets().named.get(account.budget)
        if budget is None:
            return  # removed meanwhile
        now_us = self._clock.now_us()
        span = self._budgets().span(budget, max(account.window_start_us, 0))
        now = BudgetNow(budget.name, account.subject, span, budget.limit_at(now_us), spent, budget.alert_at, refused)
        self._raiser.show(Minute(now_us - MINUTE_US, budgets=(now,)), self._watches(budget))

    def _watches(self, budget: Budget) -> list[tuple[Watch, Armed]]:
        known = self._rules.get(budget.name)
        if known is None:
            implied = Threshold(f"{IMPLIED}{budget.name}", budget.name)
            known = self._rules[budget.name] = [(implied.watch(), Armed(implied))]
        return known
