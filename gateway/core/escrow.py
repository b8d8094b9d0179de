"""What one process may spend of each account: slices leased from SQL, out of which it opens holds in memory.

Every slice was taken from its account in one conditional change, so that all slices, and what is spent, never come to
more than the limit: with any number of processes, no hold opened from a slice can pass it (promises §2). Nobody waits
for the database here, and nothing here knows of one; whoever leases and gives back does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.accounts import Account
from gateway.core.budgets import Bound
from gateway.core.calls import CallRecord
from gateway.core.money import Nano
from gateway.core.value import value


@value(frozen=True)
class Standing:
    """How an account stands in SQL; nano-dollars."""

    spent: Nano = 0
    reserve: Nano = 0
    leased: Nano = 0
    """To all processes together, their open holds among it."""

    def left(self, limit: Nano) -> Nano:
        """What is neither spent nor leased; negative if a limit was lowered below that."""
        return limit - self.spent - self.reserve - self.leased


@dataclass(slots=True)
class Charged:
    """What some calls add to an account; nano-dollars."""

    spent: Nano = 0
    reserve: Nano = 0
    held: bool = True
    """It was held before, in a slice that somebody has leased."""

    @property
    def total(self) -> Nano:
        return self.spent + self.reserve


def charges_of(records: Iterable[CallRecord]) -> dict[Account, Charged]:
    """What calls add to the accounts of their budgets: their cost, as far as it is known, and to hard ones what stays
    charged beyond it."""
    charges: dict[Account, Charged] = {}
    known: dict[int, list[Charged]] = {}
    """By the identity of accounts: calls that are counted alike share them, and all records live meanwhile."""
    for record in records:
        accounts = record.accounts
        if not accounts:
            continue
        charged = known.get(id(accounts))
        if charged is None:
            charged = known[id(accounts)] = [_charged(charges, account) for account in accounts]
        for attempt in record.attempts:
            spent = attempt.cost_nano if attempt.cost_nano is not None else attempt.cost_at_least_nano or 0
            for place in attempt.held_in:
                one = charged[place]
                one.spent += spent
                one.reserve += attempt.reserve_nano
                one.held = True
            for place in attempt.seen_by:
                charged[place].spent += spent
    return charges


def _charged(charges: dict[Account, Charged], account: Account) -> Charged:
    charged = charges.get(account)
    if charged is None:
        charged = charges[account] = Charged(held=False)
    return charged


class Obstacle(StrEnum):
    """Why a hold does not fit."""

    SPENT = "spent"
    """Money already spent: waiting does not help."""
    HELD = "held"
    """Money that others hold, and may give back."""


@value(frozen=True)
class Lack:
    """The first budget in which a hold does not fit."""

    bound: Bound
    obstacle: Obstacle
    standing: Standing
    """As SQL has it."""
    left: Nano
    """What could be held, if those who hold something gave all of it back: the limit less what is spent."""


@dataclass(slots=True)
class Slice:
    """A part of an account's limit that this process alone disposes of; nano-dollars."""

    granted: Nano = 0
    """Leased, as SQL has it: what is free, held, and settled without being in SQL yet."""
    held: Nano = 0
    """Set aside for attempts that have not ended."""
    settled: Nano = 0
    """Charged for attempts that have ended, whose rows are not in SQL yet."""
    opened: Nano = 0
    """What holds took since the last look: the pace at which it is spent."""
    generation: int = 0
    """Of its lease; 0: nothing is leased."""
    until: float = 0.0
    """Monotonic seconds; from then on nothing more is opened from it."""

    @property
    def free(self) -> Nano:
        """What may be held; negative where a provider billed more than was held."""
        return self.granted - self.held - self.settled


class Purse:
    """The slices of one process. A hold takes the same amount from each of its accounts, or from none."""

    def __init__(self) -> None:
        self._slices: dict[Account, Slice] = {}

    def __iter__(self) -> Iterator[tuple[Account, Slice]]:
        return iter(self._slices.items())

    def of(self, account: Account) -> Slice:
        """The slice of an account; empty if nothing was ever leased."""
        one = self._slices.get(account)
        return Slice() if one is None else one

    def find(self, account: Account) -> Slice | None:
        """The slice of an account; null if nothing was ever leased."""
        return self._slices.get(account)

    # --- holds ------------------------------------------------------------------------------------------------------

    def short(self, accounts: Iterable[Account], amount: Nano, now: float) -> dict[Account, Nano]:
        """How much each account lacks for a hold of this amount; empty if it can be opened now, monotonic seconds."""
        lacking = {}
        for account in accounts:
            one = self._slices.get(account)
            free = one.free if one is not None and now < one.until else 0
            if free < amount:
                lacking[account] = amount - free
        return lacking

    def hold(self, accounts: Iterable[Account], amount: Nano) -> None:
        """Set an amount aside in each account; `short` has said that it fits."""
        for account in accounts:
            one = self._slices.get(account)
            if one is None:  # of nothing, which always fits
                one = self._slices[account] = Slice()
            one.held += amount
            one.opened += amount

    def settle(self, accounts: Iterable[Account], amount: Nano, charged: Nano) -> None:
        """End a hold: what was charged stays taken until its row is in SQL, the rest is free again."""
        for account in accounts:
            one = self._slices[account]
            one.held -= amount
            one.settled += charged

    def take(self, accounts: Sequence[Account], amount: Nano, now: float) -> bool:
        """Open a hold in all of these if it fits in each; whether it does. Monotonic seconds."""
        slices = []
        for account in accounts:
            one = self._slices.get(account)
            if one is None or now >= one.until or one.free < amount:
                return False
            slices.append(one)
        for one in slices:
            one.held += amount
            one.opened += amount
        return True

    # --- between the slices and SQL ---------------------------------------------------------------------------------

    def granted(self, account: Account, amount: Nano, generation: int, until: float) -> None:
        """SQL has leased so much more, and all of it until then."""
        one = self._slices.setdefault(account, Slice())
        one.granted += amount
        one.generation = generation
        one.until = until

    def void(self, account: Account) -> None:
        """The lease is not ours any more: what is held and settled ends as it will, nothing more is opened from it."""
        one = self._slices.get(account)
        if one is None:
            return
        one.granted = min(one.granted, one.held + one.settled)
        one.generation = 0
        one.until = 0.0

    def shipped(self, charges: Mapping[Account, Nano]) -> None:
        """SQL has the rows of so much that was charged: it is spent there, and leased no more."""
        for account, charged in charges.items():
            one = self._slices.get(account)
            if one is not None:
                one.settled -= charged
                # What was billed beyond the slice was never leased.
                one.granted -= min(charged, one.granted)

    def give_back(self, account: Account, amount: Nano) -> None:
        """Part with what is free, before SQL is told: nobody else may have it while it can be held here.

        Raises `ValueError` if so much is not free.
        """
        one = self._slices[account]
        if amount > one.free:
            raise ValueError(f"{amount} of {account} cannot be given back, {one.free} is free")
        one.granted -= amount

    def drop(self, account: Account) -> None:
        """Forget an account of which nothing is leased, held or settled."""
        one = self._slices.get(account)
        if one is not None and not (one.granted or one.held or one.settled):
            del self._slices[account]
