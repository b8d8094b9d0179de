"""Actions in SQL: made with their alert, once; decided by people; in force in memory."""

import asyncio
from dataclasses import replace

import pytest

from gateway.core.actions import Action, Stage
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Alert
from gateway.core.errors import Fault, Kind
from gateway.storage.actions import ActionRepository, ActionStore, in_force, make
from gateway.storage.alerts import AlertRepository
from gateway.storage.audit import AuditLog
from gateway.storage.engine import Database
from tests.databases import opened
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

ALERT = Alert("loops", "spend.runaway", "key=ci", "2026-11-27", 1_793_433_600_000_000)
FREEZE = Action("action-1", ALERT.id, "loops", Deed(Act.FREEZE), "ci", ALERT.raised_us)
ASKED = replace(FREEZE, deed=Deed(Act.FREEZE, asks=True), stage=Stage.ASKED)


async def raised(db: Database, action: Action, window: str = "w") -> Alert:
    alerts = AlertRepository(db, now_us=FakeClock().now_us)
    alert = replace(ALERT, window=window)
    assert await alerts.raise_alert(alert, ["ops"], replace(action, alert=alert.id))
    found = await alerts.get(alert.id)
    assert found is not None
    return found


async def test_it_is_made_with_its_alert_and_once(db: Database) -> None:
    alert = await raised(db, FREEZE)
    repository, alerts = ActionRepository(db), AlertRepository(db)
    assert not await alerts.raise_alert(replace(ALERT, window="w"), ["ops"], replace(FREEZE, id="action-9"))
    (made,) = await repository.all()
    assert made == replace(FREEZE, alert=alert.id)
    assert alert.facts["action_id"] == "action-1"
    assert "the key ci is frozen; to undo it" in str(alert.facts["action"])
    (entry,) = (await AuditLog(db).page()).items
    assert (entry.actor, entry.action, entry.subject) == ("rule:loops", "action.in_force", "action-1")


async def test_what_is_in_force_already_is_not_done_again(db: Database) -> None:
    """The next window's alert says what holds, and undoing that is enough."""
    await raised(db, FREEZE)
    again = await raised(db, replace(FREEZE, id="action-2"), "w2")
    assert again.facts["action_id"] == "action-1"
    other = await raised(db, replace(FREEZE, id="action-3", subject="cd"), "w3")
    assert other.facts["action_id"] == "action-3"
    repository = ActionRepository(db)
    assert [one.id for one in (await repository.page()).items] == ["action-3", "action-1"]
    await repository.decide("action-1", Stage.UNDONE, "me")
    assert (await raised(db, replace(FREEZE, id="action-4"), "w4")).facts["action_id"] == "action-4"


async def test_what_was_asked_before_is_done_by_a_rule_that_does_not_ask(db: Database) -> None:
    await raised(db, ASKED)
    assert (await raised(db, replace(ASKED, id="action-2"), "w2")).facts["action_id"] == "action-1"
    assert (await raised(db, replace(FREEZE, id="action-3"), "w3")).facts["action_id"] == "action-3"
    assert [one.id for one in await ActionRepository(db).all()] == ["action-3"]


async def test_what_is_in_force_already_is_not_confirmed_again(db: Database) -> None:
    """Whoever undid one of two would be left with the other."""
    await raised(db, ASKED)
    await raised(db, replace(FREEZE, id="action-2", rule="other"), "w2")
    repository = ActionRepository(db)
    before = await repository.revision()
    with pytest.raises(
        Fault, match="the key ci is frozen already, by the action action-2 of the rule other"
    ) as refused:
        await repository.decide("action-1", Stage.IN_FORCE, "me")
    assert (refused.value.kind, refused.value.hint) == (
        Kind.CONFLICT,
        "decline this one; to undo what is in force: tollkeeper alerts undo action-2",
    )
    assert await repository.revision() == before
    await repository.decide("action-2", Stage.UNDONE, "me")
    assert (await repository.decide("action-1", Stage.IN_FORCE, "me")).stage is Stage.IN_FORCE


async def test_of_two_that_are_confirmed_at_once_one_is_in_force(db: Database, database_url: str) -> None:
    """They wait for the same row, in two processes too."""
    await raised(db, ASKED)
    other = replace(ASKED, id="action-2", deed=FREEZE.deed)
    async with db.write() as session:
        await make(session, other)
    async with opened(database_url) as second:
        both = [ActionRepository(db).decide("action-1", Stage.IN_FORCE, "me")]
        both.append(ActionRepository(second).decide("action-2", Stage.IN_FORCE, "you"))
        done = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Action", "Fault"], done
    assert len(await ActionRepository(db).all()) == 1


@pytest.mark.parametrize("stage", [Stage.IN_FORCE, Stage.DECLINED])
async def test_what_asks_is_confirmed_or_declined(db: Database, stage: Stage) -> None:
    await raised(db, ASKED)
    store = ActionStore(ActionRepository(db))
    await store.refresh()
    assert not store.in_force.frozen
    decided = [await ActionRepository(db, lambda: 5).decide("action-1", stage, "me") for _ in range(2)]
    assert decided[0] == decided[1], "safe to repeat"
    assert (decided[0].stage, decided[0].decided_us, decided[0].decided_by) == (stage, 5, "me")
    assert await store.refresh()
    assert bool(store.in_force.frozen) is (stage is Stage.IN_FORCE)
    async with db.read() as session:
        assert (await in_force(session)).frozen == store.in_force.frozen
    actions = [(one.actor, one.action) for one in (await AuditLog(db).page()).items]
    assert actions == [("me", f"action.{stage}"), ("rule:loops", "action.asked")]


async def test_what_cannot_follow_is_refused_and_changes_nothing(db: Database) -> None:
    await raised(db, FREEZE)
    repository = ActionRepository(db)
    for stage, said in ((Stage.DECLINED, "is in force, and cannot be declined"), (Stage.IN_FORCE, None)):
        if said is not None:
            with pytest.raises(Fault, match=said) as refused:
                await repository.decide("action-1", stage, "me")
            assert refused.value.kind is Kind.CONFLICT
        else:
            assert (await repository.decide("action-1", stage, "me")).decided_by is None, "it was never asked"
    await repository.decide("action-1", Stage.UNDONE, "me")
    with pytest.raises(Fault, match="is undone, and cannot be in force"):
        await repository.decide("action-1", Stage.IN_FORCE, "me")
    with pytest.raises(Fault, match="there is no action action-0") as missing:
        await repository.decide("action-0", Stage.UNDONE, "me")
    assert missing.value.kind is Kind.NOT_FOUND


async def test_a_budget_is_lowered_in_every_store(db: Database) -> None:
    lower = replace(FREEZE, deed=Deed(Act.LOWER, limit_nano=7), subject="all")
    await raised(db, lower)
    store = ActionStore(ActionRepository(db))
    assert store.lowered() == {}
    await store.refresh()
    assert store.lowered() == {"all": 7}
    assert not await store.refresh()
