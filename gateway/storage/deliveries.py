"""The outbox in SQL: what is to be told to which channel, every try of it, and the channels that want no more.

Exactly one sender among all processes has a delivery at a time: whoever claimed it, until the claim runs out. A sender
that died after its try and before it said so is followed by another: at least once, always with the same id.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, or_, select, update

from gateway.core.deliveries import GIVEN_UP_AFTER_US, Message, Outcome, Progress
from gateway.core.errors import Fault, Kind
from gateway.core.value import value
from gateway.ports import Channel
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.lean import insert
from gateway.storage.pages import Page, newest_first
from gateway.storage.tables import alert_channels_state, alert_deliveries, alert_delivery_tries


@value(frozen=True)
class Try:
    """One try of a delivery."""

    number: int
    began_us: int
    duration_us: int
    status: int | None
    error: str | None
    """Null if it was delivered."""
    next_us: int | None
    """When the next one was planned; null: none."""


@value(frozen=True)
class Delivery:
    """What one channel is told of one change, and how far that is."""

    message: Message
    alert: str | None
    """Null for a test."""
    channel: str
    kind: str
    """The type of its event."""
    progress: Progress
    tries: int
    """Since it was made or asked for again."""
    made_us: int
    until_us: int
    """When it is given up."""
    next_us: int | None = None
    """When the next try is due; null when there is none."""
    ended_us: int | None = None
    status: int | None = None
    """Of the last try, if HTTP answered."""
    error: str | None = None
    """Of the last try; null if it was delivered."""

    @property
    def id(self) -> str:
        return self.message.id


@value(frozen=True)
class Claim:
    """That one sender has a delivery, for a while."""

    delivery: Delivery
    owner: str
    until_us: int


@value(frozen=True)
class Disabled:
    """A channel whose receiver wants no more."""

    channel: str
    digest: str
    """Of where it led (`ports.Channel.digest`): a channel that leads elsewhere since is not disabled."""
    since_us: int
    reason: str


_rows = alert_deliveries.c
_EXPIRED = "not delivered within three days"


async def put(
    session: WriteSession, message: Message, alert: str | None, channel: str, kind: str, now_us: int, **more: object
) -> None:
    """Into the outbox, in the transaction of what it tells of; due at once unless `more`, columns by name, says so."""
    row = {
        "id": message.id,
        "alert": alert,
        "channel": channel,
        "kind": kind,
        "body": message.body,
        "progress": Progress.WAITING.value,
        "tries": 0,
        "made_us": now_us,
        "until_us": now_us + GIVEN_UP_AFTER_US,
        "next_us": now_us,
    }
    await session.run(insert(alert_deliveries).values(row | more).on_conflict_do_nothing())


class Outbox:
    """Every delivery, for senders and for who looks after them."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    # for senders

    async def claim(self, owner: str, room: Mapping[Channel, int], until_us: int) -> list[Claim]:
        """Take what is due, the longest due first, for each channel that is not disabled as much as there is room for.

        Raises `Fault` (unavailable).
        """
        now = self._now_us()
        async with self._db.read() as reading:
            disabled = await _disabled(reading)
            due: list[Row[Any]] = []
            for channel, count in room.items():
                if not _is_disabled(channel, disabled):
                    due += await reading.all(_due(channel.name, now, count))
        if not due:
            return []
        claims = []
        async with self._db.write() as session:
            for row in due:
                mine = update(alert_deliveries).where(_rows.id == row.id, _rows.tries == row.tries, _free(now))
                if await session.run(mine.values(claimed_by=owner, claimed_until_us=until_us)):
                    claims.append(Claim(_delivery(row), owner, until_us))
        return claims

    async def ended(
        self, claim: Claim, outcome: Outcome, began_us: int, next_us: int | None, digest: str
    ) -> Progress | None:
        """Say what a try came to, and when the next one is due; without a next one a failure is given up.

        `digest`: where the channel led. A receiver that wants no more disables the channel. What has become of the
        delivery; null if the claim had run out and somebody else has it. Raises `Fault` (unavailable).
        """
        now = self._now_us()
        progress = (
            Progress.DELIVERED if outcome.delivered else Progress.GIVEN_UP if next_us is None else Progress.WAITING
        )
        values: dict[str, object] = {
            "progress": progress.value,
            "tries": claim.delivery.tries + 1,
            "next_us": next_us,
            "ended_us": now if next_us is None else None,
            "status": outcome.status,
            "error": outcome.error,
            "claimed_by": None,
            "claimed_until_us": None,
        }
        async with self._db.write() as session:
            if not await session.run(update(alert_deliveries).where(_is_mine(claim)).values(values)):
                return None
            history = alert_delivery_tries.c
            last = select(func.max(history.number)).where(history.delivery == claim.delivery.id)
            await session.run(
                insert(alert_delivery_tries).values(
                    delivery=claim.delivery.id,
                    number=(await session.scalar(last) or 0) + 1,
                    began_us=began_us,
                    duration_us=now - began_us,
                    status=outcome.status,
                    error=outcome.error,
                    next_us=next_us,
                )
            )
            await _judge(session, claim.delivery.channel, outcome, digest, now)
        return progress

    async def release(self, claim: Claim) -> None:
        """Give a claim back untried. Raises `Fault` (unavailable); then it runs out by itself."""
        async with self._db.write() as session:
            await session.run(
                update(alert_deliveries).where(_is_mine(claim)).values(claimed_by=None, claimed_until_us=None)
            )

    async def give_up(self) -> int:
        """End what has waited too long, for its channel is disabled or nobody knows it; how many these were.

        Raises `Fault` (unavailable).
        """
        now = self._now_us()
        late = and_(_rows.until_us <= now, _free(now))
        async with self._db.read() as reading:
            if await reading.first(select(_rows.id).where(late).limit(1)) is None:
                return 0
        ended = {"progress": Progress.GIVEN_UP.value, "next_us": None, "ended_us": now}
        async with self._db.write() as session:
            # What the last try came to says more, where there was one.
            untried = and_(late, _rows.error.is_(None))
            count = await session.run(update(alert_deliveries).where(untried).values(ended | {"error": _EXPIRED}))
            return count + await session.run(update(alert_deliveries).where(late).values(ended))

    async def begin_test(self, owner: str, message: Message, channel: str, until_us: int) -> Claim:
        """A delivery that nobody else will send, to be tried once by who asked for it. Raises `Fault` (unavailable)."""
        now = self._now_us()
        async with self._db.write() as session:
            claimed = {"claimed_by": owner, "claimed_until_us": until_us, "until_us": now}
            await put(session, message, None, channel, "test", now, **claimed)
        delivery = Delivery(message, None, channel, "test", Progress.WAITING, 0, now, now, now)
        return Claim(delivery, owner, until_us)

    # for people

    async def page(self, limit: int = 50, cursor: str | None = None) -> Page[Delivery]:
        """Newest first. Raises `Fault` (invalid) on a foreign cursor."""
        return await newest_first(self._db, _rows.number, _delivery, limit, cursor)

    async def get(self, id: str) -> Delivery:
        """Raises `Fault`: not found."""
        async with self._db.read() as session:
            return _delivery(await _require(session, id))

    async def tries(self, ids: Sequence[str]) -> dict[str, list[Try]]:
        """Every try of these deliveries, the first one first."""
        columns = alert_delivery_tries.c
        found: dict[str, list[Try]] = {id: [] for id in ids}
        async with self._db.read() as session:
            asked = select(alert_delivery_tries).where(columns.delivery.in_(ids))
            for row in await session.all(asked.order_by(columns.delivery, columns.number)):
                found[row.delivery].append(
                    Try(row.number, row.began_us, row.duration_us, row.status, row.error, row.next_us)
                )
        return found

    async def redeliver(self, id: str, actor: str) -> Delivery:
        """Send it again, or now if it waits, under the same id and for three more days.

        Raises `Fault`: not found, conflict while it is being sent.
        """
        now = self._now_us()
        async with self._db.write() as session:
            row = await _require(session, id)
            if row.claimed_until_us is not None and row.claimed_until_us > now:
                raise Fault(Kind.CONFLICT, f"the delivery {id} is being sent", hint="look again in a moment")
            again = {
                "progress": Progress.WAITING.value,
                "tries": 0,
                "next_us": now,
                "until_us": now + GIVEN_UP_AFTER_US,
                "ended_us": None,
                "claimed_by": None,
                "claimed_until_us": None,
            }
            await session.run(update(alert_deliveries).where(_rows.id == id).values(again))
            await record_change(session, AuditEntry(now, actor, "delivery.redeliver", id, {"channel": row.channel}))
            return _delivery(await _require(session, id))

    async def disabled(self, channels: Sequence[Channel]) -> dict[str, Disabled]:
        """Those of these channels whose receivers want no more, by name."""
        async with self._db.read() as session:
            known = await _disabled(session)
        return {channel.name: known[channel.name] for channel in channels if _is_disabled(channel, known)}


async def _judge(session: WriteSession, channel: str, outcome: Outcome, digest: str, now_us: int) -> None:
    """Disable a channel whose receiver wants no more, enable one that takes what it is sent."""
    state = alert_channels_state
    if outcome.gone:
        values = {"digest": digest, "disabled_us": now_us, "reason": outcome.error or "the receiver is gone"}
        added = insert(state).values(channel=channel, **values)
        await session.run(added.on_conflict_do_update(index_elements=[state.c.channel], set_=values))
    elif outcome.delivered:
        await session.run(delete(state).where(state.c.channel == channel))


async def _disabled(session: ReadSession) -> dict[str, Disabled]:
    rows = await session.all(select(alert_channels_state))
    return {row.channel: Disabled(row.channel, row.digest, row.disabled_us, row.reason) for row in rows}


def _is_disabled(channel: Channel, disabled: Mapping[str, Disabled]) -> bool:
    found = disabled.get(channel.name)
    return found is not None and found.digest == channel.digest


async def _require(session: ReadSession, id: str) -> Row[Any]:
    row = await session.first(select(alert_deliveries).where(_rows.id == id))
    if row is None:
        raise Fault(Kind.NOT_FOUND, f"there is no delivery {id}", hint="`tollkeeper alerts deliveries` names them")
    return row


def _due(channel: str, now_us: int, count: int) -> Any:
    due = and_(_rows.channel == channel, _rows.next_us <= now_us, _rows.until_us > now_us, _free(now_us))
    return select(alert_deliveries).where(due).order_by(_rows.next_us, _rows.number).limit(count)


def _free(now_us: int) -> ColumnElement[bool]:
    """Not ended, and nobody has it."""
    unclaimed = or_(_rows.claimed_until_us.is_(None), _rows.claimed_until_us <= now_us)
    return and_(_rows.next_us.is_not(None), unclaimed)


def _is_mine(claim: Claim) -> ColumnElement[bool]:
    return and_(
        _rows.id == claim.delivery.id,
        _rows.claimed_by == claim.owner,
        _rows.claimed_until_us == claim.until_us,
        _rows.tries == claim.delivery.tries,
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        Message(row.id, row.body),
        row.alert,
        row.channel,
        row.kind,
        Progress(row.progress),
        row.tries,
        row.made_us,
        row.until_us,
        row.next_us,
        row.ended_us,
        row.status,
        row.error,
    )
