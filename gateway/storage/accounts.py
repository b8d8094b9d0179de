"""The accounts of budgets in SQL, and the slices of them that processes have leased (promises §2).

What holds at every moment, whoever does what at the same time: the leases of an account add up to its `leased_nano`,
and `spent_nano + reserve_nano + leased_nano` was no more than the limit whenever something was leased. What a process
has leased comes back when it gives it back, becomes spent in the transaction that writes the rows, or stays leased
until the journal of its dead owner has been replayed, or until an operator writes it off. Who needs how much is not
known here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select, tuple_, update

from gateway.core.accounts import Account
from gateway.core.escrow import Charged, Standing
from gateway.core.money import Nano
from gateway.core.value import value
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.lean import insert
from gateway.storage.tables import budget_accounts, budget_leases


@value(frozen=True)
class Want:
    """What a process asks an account for."""

    account: Account
    need: Nano
    """Less is of no use to it."""
    want: Nano
    """What it would like, at least what it needs; it gets a quarter of what is left at most, unless it needs more."""
    limit: Nano
    generation: int
    """Of the lease that it has; 0 if it has none."""


@value(frozen=True)
class Granted:
    """What it got, and how the account stands with it."""

    amount: Nano
    """0: what it needs is not left."""
    standing: Standing
    generation: int
    """Of the lease as it is now; 0: there is none."""


@value(frozen=True)
class Lease:
    """A slice that somebody has."""

    owner: str
    account: Account
    granted: Nano
    expires_us: int


SHARE = 4
"""A process takes one part in so many of what is left, so that slices shrink as a budget runs out."""


_leases = budget_leases.c


class Accounts:
    """Leases for one owner: a process, known by its journal."""

    def __init__(self, db: Database, owner: str) -> None:
        self._db = db
        self._owner = owner

    async def lease(self, wants: Sequence[Want], expires_us: int) -> dict[Account, Granted]:
        """Take slices, of each account what it has. Raises `Fault` (unavailable); then it is not known whether SQL has
        leased them: see `end`."""
        granted: dict[Account, Granted] = {}
        async with self._db.write() as session:
            # In one order, as the ledger has it: nobody waits for the other in a circle.
            for want in sorted(wants, key=lambda want: _key(want.account)):
                granted[want.account] = await self._lease(session, want, expires_us)
        return granted

    async def _lease(self, session: WriteSession, want: Want, expires_us: int) -> Granted:
        standing = await standing_of(session, want.account)
        mine = _is_leased(self._owner, want.account)
        lease = await session.first(select(_leases.granted_nano, _leases.generation).where(mine))
        found = 0 if lease is None else lease.generation
        if want.generation not in (0, found):
            return Granted(0, standing, found)  # written off meanwhile: whoever asks has to know first
        # One that nobody here knows of was leased when the answer got lost.
        amount = lease.granted_nano if lease is not None and not want.generation else 0
        more = _share(want, amount, standing)
        if more:
            await session.run(_added(want.account, 0, 0, more))
            values = {"granted_nano": more, "expires_us": expires_us}
            if lease is None:
                found = 1
                new = {"owner": self._owner, **_columns(want.account), "generation": found, **values}
                await session.run(insert(budget_leases).values(new))
            else:
                values["granted_nano"] += lease.granted_nano
                await session.run(update(budget_leases).where(mine).values(values))
        after = Standing(standing.spent, standing.reserve, standing.leased + more)
        return Granted(amount + more, after, found)

    async def give_back(self, amounts: Mapping[Account, Nano]) -> None:
        """Return parts of slices. Raises `Fault` (unavailable); then they stay leased: see `end`."""
        async with self._db.write() as session:
            for account in sorted(amounts, key=_key):
                await _unlease(session, self._owner, account, amounts[account])

    async def end(self, accounts: Iterable[Account]) -> None:
        """Return whatever is leased of these, of which the process holds nothing and has nothing to settle any more:
        after an answer that got lost nobody else knows how much that is. Raises `Fault` (unavailable)."""
        async with self._db.write() as session:
            for account in sorted(accounts, key=_key):
                await _unlease(session, self._owner, account, None)
                await session.run(delete(budget_leases).where(_is_leased(self._owner, account)))

    async def renew(self, generations: Mapping[Account, int], expires_us: int) -> dict[Account, int]:
        """Live on; the leases that there are still, each with its new generation.

        Raises `Fault` (unavailable); then nothing is known, and what lives is what lived before.
        """
        renewed = {}
        async with self._db.write() as session:
            for account in sorted(generations, key=_key):
                generation = generations[account]
                same = and_(_is_leased(self._owner, account), _leases.generation == generation)
                later = update(budget_leases).where(same).values(generation=generation + 1, expires_us=expires_us)
                if await session.run(later):
                    renewed[account] = generation + 1
        return renewed

    async def known(self, budget_names: Sequence[str]) -> list[Account]:
        """Every account of these budgets, of all windows. Raises `Fault` (unavailable)."""
        columns = budget_accounts.c
        wanted = select(columns.budget, columns.subject, columns.window_start_us).where(
            columns.budget.in_(budget_names)
        )
        async with self._db.read() as session:
            return [_account(row) for row in await session.all(wanted)]

    async def spent(self, accounts: Iterable[Account]) -> dict[Account, Nano]:
        """What is spent of each, without what is in reserve. Raises `Fault` (unavailable)."""
        async with self._db.read() as session:
            return {account: (await standing_of(session, account)).spent for account in accounts}

    async def charge(self, charges: Mapping[Account, Charged]) -> None:
        """What this owner has used of accounts that no ledger charges. Raises `Fault` (unavailable)."""
        async with self._db.write() as session:
            await charge(session, self._owner, charges)

    async def forget(self, prefixes: Sequence[str], before_us: int) -> None:
        """Drop the accounts whose names begin so and whose windows began before a moment; nothing is written where
        there are none. Raises `Fault` (unavailable)."""
        columns = budget_accounts.c
        named = or_(*(columns.budget.startswith(prefix, autoescape=True) for prefix in prefixes))
        old = and_(named, columns.window_start_us < before_us, columns.leased_nano == 0)
        async with self._db.read() as reading:
            if await reading.first(select(columns.budget).where(old).limit(1)) is None:
                return
        async with self._db.write() as session:
            await session.run(delete(budget_accounts).where(old))

    async def tell_held(self, held: Mapping[Account, Nano]) -> None:
        """How much of its slices this owner holds, for others to see. Raises `Fault` (unavailable)."""
        async with self._db.write() as session:
            for account in sorted(held, key=_key):
                mine = _is_leased(self._owner, account)
                await session.run(update(budget_leases).where(mine).values(held_nano=held[account]))

    async def leases(self, before_us: int) -> list[Lease]:
        """Those that have expired before a moment, of whomever: held as uncertain until somebody replays or writes them
        off."""
        async with self._db.read() as session:
            rows = await session.all(select(budget_leases).where(_leases.expires_us < before_us))
        return [Lease(row.owner, _account(row), row.granted_nano, row.expires_us) for row in rows]

    async def write_off(self, lease: Lease) -> bool:
        """Count what is left of a lease as spent, for its owner will never tell; false if it has changed since.

        Raises `Fault` (unavailable).
        """
        same = and_(_is_leased(lease.owner, lease.account), _leases.granted_nano == lease.granted)
        async with self._db.write() as session:
            ended = update(budget_leases).where(same, _leases.expires_us == lease.expires_us)
            if not await session.run(ended.values(granted_nano=0, generation=_leases.generation + 1)):
                return False
            await session.run(_added(lease.account, lease.granted, 0, -lease.granted))
        return True


def _share(want: Want, has: Nano, standing: Standing) -> Nano:
    """How much more of what is left a process gets that wants something and has so much already."""
    left = standing.left(want.limit)
    need = want.need - has
    if need > left:
        return 0
    return max(need, min(want.want - has, left // SHARE), 0)


async def standing_of(session: ReadSession, account: Account) -> Standing:
    """How an account stands; all 0 if nobody ever spent from it."""
    columns = budget_accounts.c
    row = await session.first(
        select(columns.spent_nano, columns.reserve_nano, columns.leased_nano).where(_is(budget_accounts, account))
    )
    return Standing() if row is None else Standing(row.spent_nano, row.reserve_nano, row.leased_nano)


async def charge(session: WriteSession, owner: str, charges: Mapping[Account, Charged]) -> None:
    """What calls of an owner have cost, in the transaction that writes their rows: from its slices to spent.

    In three statements however many accounts there are: this happens ten times a second.
    """
    held = [account for account, charged in charges.items() if charged.held]
    granted = await _granted(session, owner, held) if held else {}
    added, less = [], []
    for account in sorted(charges, key=_key):
        charged = charges[account]
        # By no more than is leased: a provider may have billed more.
        taken = min(charged.total, granted.get(account, 0))
        money = {"spent_nano": charged.spent, "reserve_nano": charged.reserve, "leased_nano": -taken}
        money["beyond_nano"] = charged.total - taken if charged.held else 0
        added.append({**_columns(account), **money})
        if taken:
            less.append(
                {"of_owner": owner, "less": taken, **{f"of_{name}": it for name, it in _columns(account).items()}}
            )
    await session.run_many(_ADDED, added)
    if less:
        await session.run_many(_LESS, less)


async def _granted(session: ReadSession, owner: str, accounts: Sequence[Account]) -> dict[Account, Nano]:
    """What an owner has leased of these."""
    key = (_leases.budget, _leases.subject, _leases.window_start_us)
    found: dict[Account, Nano] = {}
    for start in range(0, len(accounts), _ACCOUNTS_AT_ONCE):
        some = tuple_(*key).in_(accounts[start : start + _ACCOUNTS_AT_ONCE])
        for row in await session.all(select(*key, _leases.granted_nano).where(_leases.owner == owner, some)):
            found[_account(row)] = row.granted_nano
    return found


async def release(session: WriteSession, owner: str) -> None:
    """Nothing of this owner is held any more: its journal has been replayed to its end."""
    for row in await session.all(select(budget_leases).where(_leases.owner == owner)):
        await _unlease(session, owner, _account(row), None)
    await session.run(delete(budget_leases).where(_leases.owner == owner))


async def _unlease(session: WriteSession, owner: str, account: Account, amount: Nano | None) -> None:
    """Make a lease smaller by an amount, or by all of it; by no more than it has."""
    mine = _is_leased(owner, account)
    granted = await session.scalar(select(_leases.granted_nano).where(mine))
    less = granted if amount is None else min(amount, granted or 0)
    if less:
        await session.run(update(budget_leases).where(mine).values(granted_nano=granted - less))
        await session.run(_added(account, 0, 0, -less))


_SUMS = ("spent_nano", "reserve_nano", "leased_nano", "beyond_nano")


def _adding(added: Any) -> Any:
    """The statement that adds to accounts, and makes those that there are not yet."""
    columns = budget_accounts.c
    return added.on_conflict_do_update(
        index_elements=list(budget_accounts.primary_key.columns),
        set_={name: columns[name] + added.excluded[name] for name in _SUMS},
    )


def _added(account: Account, spent: Nano, reserve: Nano, leased: Nano) -> Any:
    """The same for one account."""
    money = {"spent_nano": spent, "reserve_nano": reserve, "leased_nano": leased, "beyond_nano": 0}
    return _adding(insert(budget_accounts).values(**_columns(account), **money))


_ADDED = _adding(insert(budget_accounts))
_LESS = (
    update(budget_leases)
    .where(
        _leases.owner == bindparam("of_owner"),
        _leases.budget == bindparam("of_budget"),
        _leases.subject == bindparam("of_subject"),
        _leases.window_start_us == bindparam("of_window_start_us"),
    )
    .values(granted_nano=_leases.granted_nano - bindparam("less"))
)
_ACCOUNTS_AT_ONCE = 1000


def _is(table: Any, account: Account) -> ColumnElement[bool]:
    columns = table.c
    return and_(
        columns.budget == account.budget,
        columns.subject == account.subject,
        columns.window_start_us == account.window_start_us,
    )


def _is_leased(owner: str, account: Account) -> ColumnElement[bool]:
    return and_(_leases.owner == owner, _is(budget_leases, account))


def _account(row: Any) -> Account:
    return Account(row.budget, row.subject, row.window_start_us)


def _columns(account: Account) -> dict[str, Any]:
    return {"budget": account.budget, "subject": account.subject, "window_start_us": account.window_start_us}


def _key(account: Account) -> tuple[str, str, int]:
    return (account.budget, account.subject, account.window_start_us)
