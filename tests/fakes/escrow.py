"""`ports.Escrow` without a database: one process that has every budget for itself."""

from collections import defaultdict
from collections.abc import Sequence

from gateway.core.accounts import Account
from gateway.core.budgets import Bound, Mode
from gateway.core.escrow import Lack, Obstacle, Standing
from gateway.core.money import Nano


class MemoryEscrow:
    """Counts what is spent and held, and lends of a budget's limit whatever is left, once it was asked for it."""

    def __init__(self) -> None:
        self.spent: dict[Account, Nano] = defaultdict(int)
        self.held: dict[Account, Nano] = defaultdict(int)
        self.elsewhere: dict[Account, Nano] = defaultdict(int)
        """Held by others."""
        self._limits: dict[Account, Nano] = {}

    def take(self, accounts: Sequence[Account], amount: Nano) -> bool:
        if any(account not in self._limits or self._left(account) < amount for account in accounts):
            return False
        for account in accounts:
            self.held[account] += amount
        return True

    async def hold(self, bounds: Sequence[Bound], amount: Nano) -> Lack | None:
        for bound in bounds:
            self._limits[bound.account] = bound.budget.limit_nano
        if self.take([bound.account for bound in bounds], amount):
            return None
        bound = next(bound for bound in bounds if self._left(bound.account) < amount)
        spent = self.spent[bound.account]
        left = bound.budget.limit_nano - spent
        leased = self.held[bound.account] + self.elsewhere[bound.account]
        return Lack(bound, Obstacle.SPENT if left < amount else Obstacle.HELD, Standing(spent, 0, leased), left)

    def settle(self, accounts: Sequence[Account], amount: Nano, charged: Nano) -> None:
        for account in accounts:
            self.held[account] -= amount
            self.spent[account] += charged

    def remaining(self, bounds: Sequence[Bound]) -> Nano | None:
        hard = [bound for bound in bounds if bound.budget.mode is Mode.HARD]
        return min((bound.budget.limit_nano - self._taken(bound.account) for bound in hard), default=None)

    def _left(self, account: Account) -> Nano:
        return self._limits[account] - self._taken(account)

    def _taken(self, account: Account) -> Nano:
        return self.spent[account] + self.held[account] + self.elsewhere[account]
