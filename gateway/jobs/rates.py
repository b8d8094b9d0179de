"""Counters of requests, tokens and calls in flight: slices of them, as of budgets, but nobody needs them for long.

No ledger brings what they count to SQL: this job does, a few times a second, and forgets what is over.
"""

from gateway.core.accounts import Account
from gateway.core.escrow import Charged
from gateway.core.limits import MINUTE_US, Unit
from gateway.core.money import Nano
from gateway.jobs.leases import Leases
from gateway.ports import Clock
from gateway.storage.accounts import Accounts, Want

_MINUTELY = tuple(f"{unit.value}:" for unit in (Unit.REQUESTS, Unit.TOKENS))
_BEGIN = 64
"""Of a limit a process asks for one part in so many, at first."""
KEPT_US = 3 * MINUTE_US
"""How long a minute is remembered."""


class Rates(Leases):
    """`ports.Escrow` in requests, tokens and calls."""

    def __init__(self, accounts: Accounts, clock: Clock, *, patience: float = 0.0) -> None:
        """`patience`: seconds that a call waits for what others may give back."""
        super().__init__(accounts, clock, patience=patience)
        self._forget_at = 0.0

    async def tick(self) -> None:
        """One look at all slices; what calls have used is told to SQL first. Raises `Fault` (unavailable)."""
        await self._tell_used()
        await super().tick()
        if self._clock.monotonic() >= self._forget_at:
            await self._accounts.forget(_MINUTELY, self._clock.now_us() - KEPT_US)
            self._forget_at = self._clock.monotonic() + MINUTE_US / 1e6

    def _want(self, account: Account, need: Nano, together: Nano, limit: Nano) -> Want:
        """A minute is new to everybody: enough for a while at once, or each of its first calls would have to ask."""
        return super()._want(account, need, max(together, limit // _BEGIN), limit)

    async def _give_all_back(self) -> None:
        await self._tell_used()
        await super()._give_all_back()

    async def _tell_used(self) -> None:
        used = {account: Charged(one.settled) for account, one in self.purse if one.settled}
        if used:
            await self._accounts.charge(used)
            self.shipped(used)
