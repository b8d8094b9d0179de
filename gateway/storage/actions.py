"""Actions of alert rules in SQL, and those in force in memory, where both planes ask for them.

One is made in the transaction that raises its alert (`alerts`); what a person decides is audited here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update

from gateway.core.actions import LEADS_TO, Action, InForce, Stage, effect_of
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import plain
from gateway.core.errors import Fault, Kind
from gateway.core.money import Nano
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.pages import Page, newest_first
from gateway.storage.revisions import Followed, advance, revision_of
from gateway.storage.tables import alert_actions

_NOUN = "actions"
_columns = alert_actions.c


class ActionRepository:
    """Every action that was made, and the one door to decide about it."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    async def all(self) -> list[Action]:
        """Those in force, in the order in which they were made."""
        in_force = select(alert_actions).where(_columns.stage == Stage.IN_FORCE.value)
        async with self._db.read() as session:
            return [_action(row) for row in await session.all(in_force.order_by(_columns.number))]

    async def page(self, limit: int = 50, cursor: str | None = None) -> Page[Action]:
        """Newest first. Raises `Fault` (invalid) on a foreign cursor."""
        return await newest_first(self._db, _columns.number, _action, limit, cursor)

    async def decide(self, id: str, stage: Stage, actor: str) -> Action:
        """Bring an action to one of the stages of `LEADS_TO`; the action as it is now. Safe to repeat.

        Raises `Fault`: not found, conflict if it stands where this cannot follow, or the same is in force already.
        """
        now = self._now_us()
        here = (_columns.id == id) & (_columns.stage == LEADS_TO[stage].value)
        values = {"stage": stage.value, "decided_us": now, "decided_by": plain(actor)}
        async with self._db.write() as session:
            if stage is Stage.IN_FORCE:
                await _refuse_second(session, id)
            moved = await session.run(update(alert_actions).where(here).values(values))
            action = await _find(session, id)
            if action is None:
                message = f"there is no action {id}"
                raise Fault(Kind.NOT_FOUND, message, hint="`tollkeeper alerts actions` names them")
            if moved:
                told = {"rule": action.rule, "effect": effect_of(action)}
                await record_change(session, AuditEntry(now, actor, f"action.{stage.value}", id, told))
                await advance(session, _NOUN)
        if action.stage is not stage:
            message = f"the action {id} is {_SAID[action.stage]}, and cannot be {_SAID[stage]}"
            raise Fault(Kind.CONFLICT, message, hint=_HINTS[action.stage])
        return action

    async def revision(self) -> int:
        """A number that grows with every change of any action by any process."""
        async with self._db.read() as session:
            return await revision_of(session, _NOUN)


class ActionStore(Followed[Action]):
    """The actions in force. Answers from memory; until the first `refresh` there are none."""

    def __init__(self, repository: ActionRepository) -> None:
        super().__init__(repository)
        self.in_force = InForce()

    def lowered(self) -> Mapping[str, Nano]:
        """What limits of budgets are lowered to, by their names."""
        return {name: action.deed.limit_nano or 0 for name, action in self.in_force.lowered.items()}

    def _arrange(self, stored: Sequence[Action]) -> None:
        self.in_force = InForce(stored)


async def make(session: WriteSession, action: Action) -> Action:
    """Have a rule act, in the transaction that raises its alert; the action that does it.

    That is another one where the same is in force already, or waits to be confirmed.
    """
    await advance(session, _NOUN)  # first: whoever makes or confirms the same at this moment waits here
    standing = (Stage.IN_FORCE, Stage.ASKED) if action.deed.asks else (Stage.IN_FORCE,)
    same = await _same(session, action, standing)
    if same is not None:
        return same
    await session.run(insert(alert_actions).values(_values(action)))
    told = {"rule": action.rule, "effect": effect_of(action)}
    entry = AuditEntry(action.made_us, f"rule:{action.rule}", f"action.{action.stage.value}", action.id, told)
    await record_change(session, entry)
    return action


async def _same(session: ReadSession, action: Action, stages: Sequence[Stage]) -> Action | None:
    """The first one in one of these stages that does the same to the same."""
    same = select(alert_actions).where(
        _columns.act == action.deed.act.value,
        _columns.subject == plain(action.subject),
        _columns.stage.in_([stage.value for stage in stages]),
        _columns.limit_nano.is_not_distinct_from(action.deed.limit_nano),
        _columns.model.is_not_distinct_from(action.deed.model),
    )
    row = await session.first(same.order_by(_columns.number).limit(1))
    return None if row is None else _action(row)


async def _refuse_second(session: WriteSession, id: str) -> None:
    """Of two that do the same one is enough: a person who undoes one must not be left with the other."""
    await advance(session, _NOUN)
    asked = await _find(session, id)
    if asked is None or asked.stage is not Stage.ASKED:
        return
    other = await _same(session, asked, (Stage.IN_FORCE,))
    if other is not None:
        message = f"{effect_of(other)} already, by the action {other.id} of the rule {other.rule}"
        hint = f"decline this one; to undo what is in force: tollkeeper alerts undo {other.id}"
        raise Fault(Kind.CONFLICT, message, hint=hint)


async def in_force(session: ReadSession) -> InForce:
    """As SQL has it."""
    rows = await session.all(select(alert_actions).where(_columns.stage == Stage.IN_FORCE.value))
    return InForce([_action(row) for row in rows])


_SAID = {
    Stage.ASKED: "waiting to be confirmed",
    Stage.IN_FORCE: "in force",
    Stage.UNDONE: "undone",
    Stage.DECLINED: "declined",
}
_HINTS = {
    Stage.ASKED: "confirm or decline it",
    Stage.IN_FORCE: "undo it",
    Stage.UNDONE: "it does nothing any more; its rule acts again when it fires again",
    Stage.DECLINED: "it never did anything; its rule asks again when it fires again",
}


async def _find(session: ReadSession, id: str) -> Action | None:
    row = await session.first(select(alert_actions).where(_columns.id == id))
    return None if row is None else _action(row)


def _values(action: Action) -> dict[str, object]:
    return {
        "id": action.id,
        "alert": action.alert,
        "rule": plain(action.rule),
        "act": action.deed.act.value,
        "subject": plain(action.subject),
        "limit_nano": action.deed.limit_nano,
        "model": action.deed.model,
        "asks": action.deed.asks,
        "stage": action.stage.value,
        "made_us": action.made_us,
        "decided_us": action.decided_us,
        "decided_by": action.decided_by,
    }


def _action(row: Row[Any]) -> Action:
    return Action(
        row.id,
        row.alert,
        row.rule,
        Deed(Act(row.act), row.limit_nano, row.model, row.asks),
        row.subject,
        row.made_us,
        Stage(row.stage),
        row.decided_us,
        row.decided_by,
    )
