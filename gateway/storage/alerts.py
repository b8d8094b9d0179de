"""Alerts in SQL: one of each rule, subject and window, however many processes raise it at once.

What tells of a change goes into the outbox (`deliveries`) in the change's own transaction. Which rules there are, and
where a channel leads, is not known here.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, select, update

from gateway.core.actions import Action, with_action
from gateway.core.alerts.event import Alert, Severity, State, alert_id, event_of, link_to, message_id, plain, resolved
from gateway.core.deliveries import Message
from gateway.core.errors import Fault, Kind
from gateway.storage.actions import make
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.clock import wall_clock_us
from gateway.storage.deliveries import put
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.lean import insert
from gateway.storage.pages import Page, newest_first
from gateway.storage.tables import alerts


class AlertRepository:
    """Alerts, and the one door to raise and end them."""

    def __init__(
        self,
        db: Database,
        base: str | None = None,
        now_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        """`base`: what links to this gateway begin with."""
        self._db = db
        self._base = base
        self._now_us = now_us

    async def raise_alert(
        self, alert: Alert, channels: Sequence[str], action: Action | str | None = None, *, over: bool = False
    ) -> Alert | None:
        """Store an alert, what tells these channels of it, and what its rule does; the alert as it says that. Null if
        there is one of its rule, subject and window.

        That one stays as it is, resolved or not, and nothing is done again. `action`: or why there is none; `over`: it
        waits for nobody, so it is resolved as soon as it is told. Raises `Fault` (unavailable); then it may be raised
        again.
        """
        async with self._db.read() as reading:
            if await _find(reading, alert.id) is not None:
                return None
        async with self._db.write() as session:
            if isinstance(action, Action):
                if await _find(session, alert.id) is not None:
                    return None  # raised meanwhile
                action = await make(session, action)
            if action is not None:
                alert = with_action(alert, action)
            values = _columns(resolved(alert, alert.raised_us) if over else alert) | {"channels": json.dumps(channels)}
            if not await session.run(insert(alerts).values(values).on_conflict_do_nothing()):
                return None
            await self._tell(session, alert, channels)
        return alert

    async def resolve_alert(self, rule: str, subject: str, window: str) -> bool:
        """What a rule watches is well again; false if it has raised no alert, or one that is resolved already.

        Raises `Fault` (unavailable).
        """
        id = alert_id(rule, subject, window)
        async with self._db.read() as reading:
            found = await _find(reading, id)
        if found is None or found.state is State.RESOLVED:
            return False
        return await self._move(id, State.RESOLVED, None) is not None

    async def acknowledge(self, id: str, actor: str) -> Alert:
        """Somebody sees to it; the alert as it is now. Safe to repeat. Raises `Fault`: not found, conflict if it is
        resolved."""
        moved = await self._move(id, State.ACKNOWLEDGED, actor)
        alert = moved or await self._require(id)
        if alert.state is State.RESOLVED:
            raise Fault(Kind.CONFLICT, f"the alert {id} is resolved", hint="there is nothing left to acknowledge")
        return alert

    async def resolve(self, id: str, actor: str) -> Alert:
        """Somebody says that it is over; the alert as it is now. Safe to repeat. Raises `Fault`: not found."""
        return await self._move(id, State.RESOLVED, actor) or await self._require(id)

    async def page(self, limit: int = 50, cursor: str | None = None) -> Page[Alert]:
        """Newest first. Raises `Fault` (invalid) on a foreign cursor."""
        return await newest_first(self._db, alerts.c.number, _alert, limit, cursor)

    async def get(self, id: str) -> Alert | None:
        async with self._db.read() as session:
            return await _find(session, id)

    async def _move(self, id: str, state: State, actor: str | None) -> Alert | None:
        """On to a state, with what tells of it; null if it is not there, or was there or beyond before."""
        before = [State.RAISED] if state is State.ACKNOWLEDGED else [State.RAISED, State.ACKNOWLEDGED]
        now = self._now_us()
        async with self._db.write() as session:
            column = "acknowledged_us" if state is State.ACKNOWLEDGED else "resolved_us"
            moved = update(alerts).where(alerts.c.id == id, alerts.c.state.in_([one.value for one in before]))
            if not await session.run(moved.values({"state": state.value, column: now})):
                return None
            row = await session.first(select(alerts).where(alerts.c.id == id))
            assert row is not None
            alert = _alert(row)
            await self._tell(session, alert, json.loads(row.channels))
            if actor is not None:
                await record_change(session, AuditEntry(now, actor, _ACTIONS[state], id, {"rule": alert.rule}))
        return alert

    async def _tell(self, session: WriteSession, alert: Alert, channels: Sequence[str]) -> None:
        body = json.dumps(event_of(alert, link_to(self._base, alert.id)))
        now = self._now_us()
        for channel in channels:
            await put(session, Message(message_id(alert, channel), body), alert.id, channel, alert.kind, now)

    async def _require(self, id: str) -> Alert:
        alert = await self.get(id)
        if alert is None:
            raise Fault(Kind.NOT_FOUND, f"there is no alert {id}", hint="`tollkeeper alerts list` names them")
        return alert


_ACTIONS = {State.ACKNOWLEDGED: "alert.acknowledge", State.RESOLVED: "alert.resolve"}


async def _find(session: ReadSession, id: str) -> Alert | None:
    row = await session.first(select(alerts).where(alerts.c.id == id))
    return None if row is None else _alert(row)


def _columns(alert: Alert) -> dict[str, object]:
    return {
        "id": alert.id,
        "rule": plain(alert.rule),
        "kind": alert.kind,
        "subject": plain(alert.subject),
        "window": plain(alert.window),
        "severity": alert.severity.value,
        "facts": json.dumps(dict(alert.facts)),
        "because": plain(alert.because),
        "state": alert.state.value,
        "raised_us": alert.raised_us,
        "acknowledged_us": alert.acknowledged_us,
        "resolved_us": alert.resolved_us,
    }


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        row.rule,
        row.kind,
        row.subject,
        row.window,
        row.raised_us,
        Severity(row.severity),
        json.loads(row.facts),
        row.because,
        State(row.state),
        row.acknowledged_us,
        row.resolved_us,
    )
