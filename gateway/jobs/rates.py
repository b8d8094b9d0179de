"""Counters of requests, tokens and calls in flight: slices of them, as of budgets, but nobody needs them for long.

No ledger brings what they count to SQL: this job does, a few times a second, and forgets what is over.
"""

from gateway.core.accounts import Account
from gateway.core.escrow import Charged
from gateway.core.limits import MINUTE_US, Unit
from gateway.core.money import Nano
from gateway.jobs.leases import Leases, LimitOf
from gateway.ports import Clock
from gateway.storage.accounts import Accounts, Want

_MINUTELY = tuple(f"{unit.value}:" for unit in (Unit.REQUESTS, Unit.TOKENS))
_BEGIN = 64
"""Of a limit a process asks for one part in so many, at first."""
KEPT_US = 3 * MINUTE_US
"""How long a minute is remembered."""

_LEFT = (KEPT_US + 2 * MINUTE_US) / 1e6
"""Seconds after the last count within which all is forgotten; from then on nothing is asked of SQL."""


class Rates(Leases):
    """`ports.Escrow` in requests, tokens and calls."""

    def __init__(self, accounts: Accounts, clock: Clock, limit_of: LimitOf, *, patience: float = 0.0) -> None:
        """`limit_of`: what holds now; `patience`: seconds that a call waits for what others may give back."""
        super().__init__(accounts, clock, limit_of, patience=patience)
        self._forget_at = 0.0
        self._tidy_until = clock.monotonic() + _LEFT
        """Until when there may be something to forget; at first what others left behind."""

    async def tick(self) -> None:
        """One look at all slices; what calls have used is told to SQL first. Raises `Fault` (unavailable)."""
        await self._tell_used()
        await super().tick()
        now = self._clock.monotonic()
        if any(True for _ in self.purse):
            self._tidy_until = now + _LEFT
        if self._forget_at <= min(now, self._tidy_until):
            await self._accounts.forget(_MINUTELY, self._clock.now_us() - KEPT_US)
            self._forget_at = now + MINUTE_US / 1e6

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
