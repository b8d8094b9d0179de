"""Slices of budgets: fetched ahead of need, given back without it, renewed while they last (promises §2).

Calls hold from memory. Only one that does not fit waits here: for SQL to lease more, else for others to give back, and
no longer than it is told. What a hold is for, and what it costs, is not known here.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.core.accounts import Account
from gateway.core.budgets import Bound, Mode
from gateway.core.errors import Fault
from gateway.core.escrow import Charged, Lack, Obstacle, Purse, Slice, Standing
from gateway.core.money import Nano
from gateway.jobs.scheduler import wait
from gateway.ports import Clock
from gateway.storage.accounts import Accounts, Granted, Want

logger = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between looks at what is needed."""
AHEAD = 2.0
"""Seconds of spending, at its pace, that a slice should last."""
LIFE = 30.0
"""Seconds that a lease lasts without a sign of life."""
RENEWED = 10.0
"""Seconds between signs of life."""
MARGIN = 2.0
"""Seconds before its end in which nothing is opened from a lease any more."""
TOLD = 0.75
"""Seconds between words to others about what is held here: less than one, for it takes a tick to come to it."""
_POLL = 0.05
"""Seconds between questions whether others have given something back."""
_IDLE = (4, 240)
"""Ticks without a hold after which a lease ends: where others may need the money, and where there is plenty."""
_PLENTY = 8
"""There is plenty where so many times what a process likes to have is left for others."""


LimitOf: TypeAlias = Callable[[Account, int], Nano | None]
"""The limit of an account that is in force at a moment (Unix microseconds); null: nothing limits it any more."""

_Need: TypeAlias = tuple[Nano, Nano, Nano]
"""What the call misses that needs the most, what all who wait miss together, and the account's limit."""


@dataclass(slots=True)
class _Pace:
    """How an account is spent from; nano-dollars a tick."""

    nano: Nano = 0
    recent: Nano = 0
    """What a tick took at most, fading: the size of a call that may come again."""
    idle: int = 0
    """Ticks without a hold."""

    @property
    def ahead(self) -> Nano:
        """What the next seconds will take, if they are like the last."""
        return round(self.nano * AHEAD / TICK)


class Leases:
    """The slices of one process, and the only one who leases them. `run` is the job."""

    def __init__(self, accounts: Accounts, clock: Clock, limit_of: LimitOf, *, patience: float = 0.25) -> None:
        """`limit_of`: what holds now, whatever held when a slice was leased; `patience`: seconds that a call waits for
        money that others hold (`holds.wait`)."""
        self.purse = Purse()
        self._accounts = accounts
        self._clock = clock
        self._limit_of = limit_of
        self._patience = patience
        self._standings: dict[Account, Standing] = {}
        self._limits: dict[Account, Nano] = {}
        self._lowered: set[Account] = set()
        """Whose limit is less than it was when their slices were leased."""
        self._paces: dict[Account, _Pace] = {}
        self._asked: dict[Account, _Need] = {}
        self._round: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._ending: set[Account] = set()
        self._freed = asyncio.Event()
        self._renew_at = 0.0
        self._told: dict[Account, Nano] = {}
        self._tell_at = 0.0

    # --- for calls --------------------------------------------------------------------------------------------------

    def take(self, accounts: Sequence[Account], amount: Nano) -> bool:
        """Set an amount aside in all of these accounts, or in none, of what is leased; whether it fits."""
        return self.purse.take(accounts, amount, self._clock.monotonic())

    async def hold(self, bounds: Sequence[Bound], amount: Nano) -> Lack | None:
        """Set an amount aside in all of these budgets, or in none; null when it is. Raises `Fault` (unavailable)."""
        accounts = [bound.account for bound in bounds]
        if self.take(accounts, amount):
            return None
        deadline = self._clock.monotonic() + self._patience
        while True:
            lack = await self._ask(bounds, amount)
            if lack is None:
                self.purse.hold(accounts, amount)
                return None
            left = deadline - self._clock.monotonic()
            if lack.obstacle is Obstacle.SPENT or left <= 0:
                return lack
            self._freed.clear()
            await wait(self._freed, min(left, _POLL))

    def settle(self, accounts: Sequence[Account], amount: Nano, charged: Nano) -> None:
        """End a hold; whoever waits for money looks again."""
        self.purse.settle(accounts, amount, charged)
        self._freed.set()

    def shipped(self, charges: Mapping[Account, Charged]) -> None:
        """The rows of these charges are in SQL."""
        for account, charged in charges.items():
            standing = self._standings.get(account)
            if standing is not None:
                less = min(charged.total, self.purse.of(account).granted) if charged.held else 0
                spent, reserve = standing.spent + charged.spent, standing.reserve + charged.reserve
                self._standings[account] = Standing(spent, reserve, standing.leased - less)
        self.purse.shipped({account: charged.total for account, charged in charges.items() if charged.held})

    def remaining(self, bounds: Sequence[Bound]) -> Nano | None:
        """What is left in the tightest of these that are hard; null without any.

        Exact as to what this process has done, and as to others when SQL was last asked.
        """
        now_us = self._clock.now_us()
        least: Nano | None = None
        for bound in bounds:
            if bound.budget.mode is not Mode.HARD:
                continue
            left = bound.budget.limit_at(now_us)
            here = self.purse.find(bound.account)
            standing = self._standings.get(bound.account)
            if standing is not None:
                left -= standing.spent + standing.reserve + max(0, standing.leased - (here.granted if here else 0))
            if here is not None:
                left -= here.settled + here.held
            if least is None or left < least:
                least = left
        return None if least is None else max(0, least)

    async def _ask(self, bounds: Sequence[Bound], amount: Nano) -> Lack | None:
        """Have SQL lease what is missing; what is still missing then, if anything is."""
        accounts = [bound.account for bound in bounds]
        now_us = self._clock.now_us()
        limits = {bound.account: bound.budget.limit_at(now_us) for bound in bounds}
        needs = self.purse.short(accounts, amount, self._clock.monotonic())
        await self._lease({account: (need, need, limits[account]) for account, need in needs.items()})
        short = self.purse.short(accounts, amount, self._clock.monotonic())
        for bound in bounds:
            if bound.account in short:
                return self._lack(bound, amount, limits[bound.account])
        return None

    def _lack(self, bound: Bound, amount: Nano, limit: Nano) -> Lack:
        standing = self._standings.get(bound.account, Standing())
        here = self.purse.of(bound.account)
        # What has ended here and is not in SQL yet is spent as well.
        left = limit - standing.spent - standing.reserve - here.settled
        return Lack(bound, Obstacle.SPENT if left < amount else Obstacle.HELD, standing, left)

    # --- for SQL ----------------------------------------------------------------------------------------------------

    async def _lease(self, needs: Mapping[Account, _Need]) -> None:
        """One question to SQL at a time, for all who wait. Raises `Fault` (unavailable)."""
        for account, (need, together, limit) in needs.items():
            before = self._asked.get(account, (0, 0, limit))
            self._asked[account] = (max(need, before[0]), together + before[1], limit)
        while self._asked and any(account in self._asked for account in needs):
            if self._round is None or self._round.done():
                asked, self._asked = self._asked, {}
                self._round = asyncio.get_running_loop().create_task(self._lease_now(asked))
                self._round.add_done_callback(_looked_at)
            # Shielded: one caller who leaves must not take the answer away from the others.
            await asyncio.shield(self._round)
        if self._round is not None:
            await asyncio.shield(self._round)

    async def _lease_now(self, needs: Mapping[Account, _Need]) -> None:
        async with self._one_at_a_time:
            wants = [self._want(account, *need) for account, need in needs.items()]
            asked_at = self._clock.monotonic()
            granted = await self._accounts.lease(wants, self._expiry_us())
            for want in wants:
                self._take(want, granted[want.account], asked_at + LIFE - MARGIN)
        self._freed.set()

    def _want(self, account: Account, need: Nano, together: Nano, limit: Nano) -> Want:
        pace = self._pace(account)
        self._follow(account, limit)
        wish = max(together, pace.ahead, 2 * pace.recent)
        return Want(account, need, wish, limit, self.purse.of(account).generation)

    def _follow(self, account: Account, limit: Nano) -> None:
        """What is leased was leased under the limit of its time: under a lower one it has to be asked for again."""
        if limit < self._limits.get(account, limit):
            self._lowered.add(account)
        self._limits[account] = limit

    def _take(self, want: Want, granted: Granted, until: float) -> None:
        self._standings[want.account] = granted.standing
        if want.generation and granted.generation != want.generation:
            self._lose(want.account)
        elif granted.generation:
            self.purse.granted(want.account, granted.amount, granted.generation, until)
            self._ending.discard(want.account)

    def _lose(self, account: Account) -> None:
        """Somebody has written off what this process leased."""
        logger.warning("the lease of %s was written off while it was in use", account)
        self.purse.void(account)

    def _expiry_us(self) -> int:
        return self._clock.now_us() + round(LIFE * 1e6)

    def _pace(self, account: Account) -> _Pace:
        return self._paces.setdefault(account, _Pace())

    # --- the job ----------------------------------------------------------------------------------------------------

    async def run(self, stopping: asyncio.Event) -> None:
        """Look after the slices until told to stop, then give back what is free. A database that fails is a state."""
        while not stopping.is_set():
            await self._tolerated(self.tick())
            await wait(stopping, TICK)
        await self._tolerated(self._give_all_back())

    async def _tolerated(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Fault as fault:
            logger.debug("slices stay as they are: %s", fault.message)

    async def tick(self) -> None:
        """One look at all slices: given back, filled up, renewed. Raises `Fault` (unavailable)."""
        needs: dict[Account, _Need] = {}
        spare: dict[Account, Nano] = {}
        ended: list[Account] = []
        now_us = self._clock.now_us()
        for account, one in list(self.purse):
            if account in self._limits and (limit := self._limit_of(account, now_us)) is not None:
                self._follow(account, limit)
            pace = self._observe(account, one)
            plenty = self._plenty(account, pace)
            keep = max(pace.ahead, 2 * pace.recent) if plenty else 0 if pace.idle else pace.ahead
            if pace.idle >= _IDLE[plenty] and not (one.held or one.settled):
                ended.append(account)
            elif account in self._lowered:
                spare[account] = max(0, one.free)
            elif one.free > 2 * keep:
                spare[account] = one.free - keep
            elif plenty and one.free < keep // 2:
                needs[account] = (1, 1, self._limits[account])
        async with self._one_at_a_time:
            await self._end([*ended, *(account for account in self._ending if account not in ended)])
            self._lowered.difference_update(spare)
            await self._give_back(spare)
        if needs:
            await self._lease(needs)
        if self._clock.monotonic() >= self._renew_at:
            async with self._one_at_a_time:
                await self._renew()
        await self._tell_held()

    def _observe(self, account: Account, one: Slice) -> _Pace:
        pace = self._pace(account)
        pace.nano = max(one.opened, pace.nano // 2)
        pace.recent = max(one.opened, pace.recent * 63 // 64)
        pace.idle = 0 if one.opened else pace.idle + 1
        one.opened = 0
        return pace

    def _plenty(self, account: Account, pace: _Pace) -> bool:
        """Whether nobody else misses what this process likes to have."""
        standing, limit = self._standings.get(account), self._limits.get(account)
        if standing is None or limit is None:
            return False
        return standing.left(limit) >= _PLENTY * max(pace.ahead, 2 * pace.recent)

    async def _give_back(self, spare: Mapping[Account, Nano]) -> None:
        """If SQL does not answer, it is not known whether it has it: that much stays leased until the lease ends."""
        given = {}
        for account, amount in spare.items():
            given[account] = min(amount, max(0, self.purse.of(account).free))
            self.purse.give_back(account, given[account])
        if given:
            await self._accounts.give_back(given)

    async def _give_all_back(self) -> None:
        """What is held and settled still goes with the rows of its calls, or with the journal."""
        async with self._one_at_a_time:
            await self._give_back({account: one.free for account, one in self.purse if one.free > 0})

    async def _tell_held(self) -> None:
        """Let everybody see what is held here, once a second while it changes (contract §5)."""
        now = self._clock.monotonic()
        if now < self._tell_at:
            return
        held = {account: one.held for account, one in self.purse if one.generation}
        changed = {account: nano for account, nano in held.items() if self._told.get(account, 0) != nano}
        if changed:
            await self._accounts.tell_held(changed)
        self._told, self._tell_at = held, now + TOLD

    async def _end(self, accounts: Sequence[Account]) -> None:
        """Nobody here spends from these any more: whatever is leased goes back."""
        idle = [account for account in accounts if not self._in_use(account)]
        self._ending.update(idle)  # until SQL has said so
        for account in idle:
            self.purse.void(account)
            self._lowered.discard(account)
            for known in (self._paces, self._limits, self._standings):
                known.pop(account, None)
        if idle:
            await self._accounts.end(idle)
        for account in idle:
            self.purse.drop(account)
        self._ending.difference_update(idle)

    def _in_use(self, account: Account) -> bool:
        one = self.purse.of(account)
        return bool(one.held or one.settled or one.opened)

    async def _renew(self) -> None:
        known = {account: one.generation for account, one in self.purse if one.generation}
        asked_at = self._clock.monotonic()
        renewed = await self._accounts.renew(known, self._expiry_us()) if known else {}
        for account in known:
            if account in renewed:
                self.purse.granted(account, 0, renewed[account], asked_at + LIFE - MARGIN)
            else:
                self._lose(account)
        self._renew_at = asked_at + RENEWED


def _looked_at(task: asyncio.Task[None]) -> None:
    """Everybody who waited for this answer may have left."""
    if not task.cancelled():
        task.exception()
