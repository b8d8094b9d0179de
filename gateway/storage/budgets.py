"""Budgets in SQL, and the index of them in memory that the data plane asks.

What is spent of them, and held, is in `accounts`; what they begin with in `budget_seeds`.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, delete, insert, select, update

from gateway.core.accounts import Account
from gateway.core.budgets import MAX_SUBJECTS, Budget, Budgets, Exhausted, Mode, Raise
from gateway.core.errors import Fault, Kind
from gateway.core.money import Nano
from gateway.core.scopes import Scope
from gateway.core.windows import Window, span_of
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.budget_seeds import begun, clear, forget, seed, shape_of, shapes_of
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.pages import Page, newest_first
from gateway.storage.revisions import Followed, advance, revision_of
from gateway.storage.tables import budget_starts, budgets

CHANGEABLE = ("limit_nano", "mode", "alert_at", "exhausted", "downgrade_to", "unpriced_allowed", "raised")
"""The fields of a budget that `update` takes. Another window, zone or scope is another budget: its accounts differ."""

_NOUN = "budgets"


class BudgetRepository:
    """Budgets made by the command line or the admin API. Every change leaves an audit entry in its transaction."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    async def add(self, budget: Budget, actor: str) -> None:
        """Store a new budget, with what the calls of its window have cost already.

        Raises `Fault`: conflict if there is one of this name.
        """
        async with self._db.write() as session:
            await add_budget(session, budget, actor, self._now_us())

    async def all(self) -> list[Budget]:
        """Every budget, oldest first."""
        async with self._db.read() as session:
            return [_budget(row) for row in await session.all(select(budgets).order_by(budgets.c.number))]

    async def page(self, limit: int = 50, cursor: str | None = None) -> Page[Budget]:
        """Newest first. Raises `Fault` (invalid) on a foreign cursor."""
        return await newest_first(self._db, budgets.c.number, _budget, limit, cursor)

    async def get(self, name: str) -> Budget | None:
        async with self._db.read() as session:
            return await find_budget(session, name)

    async def update(self, name: str, changes: Mapping[str, object], actor: str) -> Budget:
        """Set some of the fields of `CHANGEABLE`, as `Budget` types them; the budget as it is now.

        Raises `Fault`: not found, invalid for another field.
        """
        unknown = sorted(set(changes) - set(CHANGEABLE))
        if unknown:
            hint = f"these can be: {', '.join(CHANGEABLE)}; remove the budget and make another one"
            raise Fault(Kind.INVALID, f"`{unknown[0]}` of a budget cannot be changed", hint=hint, param=unknown[0])
        async with self._db.write() as session:
            budget = await _require(session, name)
            changed = replace(budget, **changes)  # type: ignore[arg-type]  # the caller's values are typed as Budget's are
            await session.run(update(budgets).where(budgets.c.name == name).values(_columns(changed)))
            before, after = _shown(budget), _shown(changed)
            told = {field: after[field] for field in after if after[field] != before[field]}
            await _changed(session, AuditEntry(self._now_us(), actor, "budget.update", name, told))
        return changed

    async def remove(self, name: str, actor: str) -> Budget:
        """End a budget, and forget what was counted under its name. Raises `Fault`: not found."""
        async with self._db.write() as session:
            budget = await _require(session, name)
            await remove_budget(session, name, actor, self._now_us())
        return budget

    async def begin(self, file_budgets: Collection[Budget]) -> None:
        """Have all budgets count, those of the settings file and the stored ones: each that does not yet, or did with
        another window, zone or scope, begins with what the calls of its window have cost. Those that are in force no
        more are forgotten. Raises `Fault` (unavailable)."""
        declared = {budget.name: budget for budget in file_budgets}
        in_force = {**{budget.name: budget for budget in await self.all()}, **declared}
        async with self._db.read() as session:
            shapes = await shapes_of(session, list(in_force))
            waiting = [budget for name, budget in in_force.items() if shapes.get(name) != shape_of(budget)]
            gone = await session.first(_gone(declared))
        if not waiting and gone is None:
            return
        async with self._db.write() as session:
            await forget(session, [row.budget for row in await session.all(_gone(declared))])
            for budget in waiting:
                if not await begun(session, budget):
                    await _seed(session, budget, self._now_us())

    async def revision(self) -> int:
        """A number that grows with every change of any budget by any process."""
        async with self._db.read() as session:
            return await revision_of(session, _NOUN)


class BudgetStore(Followed[Budget]):
    """The budgets in force: those of the settings file, and the stored ones. Of one name the file's holds.

    Answers from memory. Until the first `refresh` it knows the file's budgets only, and these may not have begun.
    """

    def __init__(
        self,
        repository: BudgetRepository,
        file_budgets: Sequence[Budget] = (),
        max_subjects: int = MAX_SUBJECTS,
        lowered: Callable[[], Mapping[str, Nano]] = dict,
    ) -> None:
        """`max_subjects`: how many values each budget counts apart; `lowered`: what alert rules have lowered limits to
        now, by the names of budgets."""
        super().__init__(repository)
        self._lowered = lowered
        self._stored: Sequence[Budget] = ()
        self._arranged_with: Mapping[str, Nano] = {}
        self._max_subjects = max_subjects
        self._repository = repository
        self._file_budgets = tuple(file_budgets)
        self.budgets = Budgets((), {}, max_subjects)
        self._arrange(())

    async def refresh(self) -> bool:
        """As of all that is followed; the first time, those that do not count yet begin to."""
        if self._revision is None:
            await self._repository.begin(self._file_budgets)
        if await super().refresh():
            return True
        if self._lowered() == self._arranged_with:
            return False
        self._arrange(self._stored)
        return True

    def limit_of(self, account: Account, now_us: int) -> Nano | None:
        """What an account may come to now; null if its budget is gone. Unix microseconds."""
        return self.budgets.limit_of(account, now_us)

    def _arrange(self, stored: Sequence[Budget]) -> None:
        self._stored = stored
        self._arranged_with = lowered = self._lowered()
        known = {budget.name: budget for budget in (*stored, *self._file_budgets)}
        for name, limit in lowered.items():
            if name in known:
                known[name] = replace(known[name], lowered_nano=limit)
        zones = {budget.zone: ZoneInfo(budget.zone) for budget in known.values()}
        self.budgets = Budgets(known.values(), zones, self._max_subjects, self.budgets)


def _gone(declared: Collection[str]) -> Any:
    """The budgets that once began and are in force no more."""
    starts = budget_starts.c.budget
    return select(starts).where(starts.not_in(select(budgets.c.name)), starts.not_in(list(declared)))


async def add_budget(session: WriteSession, budget: Budget, actor: str, now_us: int) -> None:
    """Store a new budget, in a transaction of somebody else. Raises `Fault`: conflict if there is one of this name."""
    if await find_budget(session, budget.name) is not None:
        message = f"there is a budget named {budget.name} already"
        raise Fault(Kind.CONFLICT, message, hint="take another name, or change that one", param="name")
    await session.run(insert(budgets).values(_columns(budget)))
    await _seed(session, budget, now_us)
    await _changed(session, AuditEntry(now_us, actor, "budget.create", budget.name, _shown(budget)))


async def remove_budget(session: WriteSession, name: str, actor: str, now_us: int) -> None:
    """End a budget if there is one of this name, and forget what was counted under it."""
    if await session.run(delete(budgets).where(budgets.c.name == name)):
        await clear(session, name)
        await _changed(session, AuditEntry(now_us, actor, "budget.remove", name, {}))


async def budgets_named(session: ReadSession, names: Sequence[str]) -> list[Budget]:
    """Those of these names that there are."""
    return [_budget(row) for row in await session.all(select(budgets).where(budgets.c.name.in_(names)))]


async def _seed(session: WriteSession, budget: Budget, now_us: int) -> None:
    span = span_of(budget.window, ZoneInfo(budget.zone), now_us)
    await seed(session, budget, span.start_us, now_us)


async def _changed(session: WriteSession, entry: AuditEntry) -> None:
    await record_change(session, entry)
    await advance(session, _NOUN)


async def find_budget(session: ReadSession, name: str) -> Budget | None:
    row = await session.first(select(budgets).where(budgets.c.name == name))
    return None if row is None else _budget(row)


async def _require(session: ReadSession, name: str) -> Budget:
    budget = await find_budget(session, name)
    if budget is None:
        raise Fault(Kind.NOT_FOUND, f"there is no budget {name}", hint="`tollkeeper budget list` names them")
    return budget


def _columns(budget: Budget) -> dict[str, object]:
    return {
        "name": budget.name,
        "limit_nano": budget.limit_nano,
        "window": budget.window.value,
        "timezone": budget.zone,
        "mode": budget.mode.value,
        "scope": json.dumps(budget.scope.parts, ensure_ascii=False),
        "alert_at": json.dumps(budget.alert_at),
        "on_exhausted": budget.exhausted.value,
        "downgrade_to": budget.downgrade_to,
        "unpriced_allowed": budget.unpriced_allowed,
        "raised_nano": 0 if budget.raised is None else budget.raised.nano,
        "raised_until_us": None if budget.raised is None else budget.raised.until_us,
        "since_us": budget.since_us,
    }


def _budget(row: Row[Any]) -> Budget:
    return Budget(
        row.name,
        row.limit_nano,
        Window(row.window),
        row.timezone,
        Mode(row.mode),
        Scope(tuple((dimension, fixed) for dimension, fixed in json.loads(row.scope))),
        tuple(json.loads(row.alert_at)),
        Exhausted(row.on_exhausted),
        row.downgrade_to,
        row.unpriced_allowed,
        None if row.raised_until_us is None else Raise(row.raised_nano, row.raised_until_us),
        row.since_us,
    )


def _shown(budget: Budget) -> dict[str, object]:
    """What an audit entry tells of a budget."""
    return {
        name: value for name, value in _columns(budget).items() if name not in ("name", "since_us", "scope", "alert_at")
    } | {"scope": budget.scope.as_text(), "alert_at": list(budget.alert_at)}
