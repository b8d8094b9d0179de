"""Alerts in SQL: one of each rule, subject and window, whoever raises it, and what tells of it in the same breath."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.core.alerts.event import Alert, Severity, State
from gateway.core.errors import Fault, Kind
from gateway.storage.alerts import AlertRepository
from gateway.storage.audit import AuditLog
from gateway.storage.deliveries import Outbox
from gateway.storage.engine import Database
from tests.databases import Operator, opened

pytestmark = pytest.mark.anyio

NOW = 1_793_433_600_000_000
ALERT = Alert(
    "spent", "budget.threshold", "search", "2026-11/80", NOW - 5, Severity.CRITICAL, {"percent": 80}, "80 % it is."
)


@pytest.fixture
def alerts(db: Database) -> AlertRepository:
    return AlertRepository(db, "https://g.example", lambda: NOW)


async def test_an_alert_comes_back_as_it_was_and_is_told_to_each_channel(db: Database, alerts: AlertRepository) -> None:
    assert await alerts.raise_alert(ALERT, ["ops", "team"])
    assert await alerts.get(ALERT.id) == ALERT
    assert await alerts.get("alert-0") is None
    deliveries = (await Outbox(db).page()).items
    assert [(one.channel, one.alert, one.kind) for one in deliveries] == [
        ("team", ALERT.id, ALERT.kind),
        ("ops", ALERT.id, ALERT.kind),
    ]
    data = json.loads(deliveries[0].message.body)["data"]
    assert (data["state"], data["link"]) == ("raised", f"https://g.example/admin/alerts/{ALERT.id}")


async def test_an_alert_is_raised_once_whatever_became_of_it(db: Database, alerts: AlertRepository) -> None:
    """Known faults 46 and 47: not on every request, and not never again: another window is another alert."""
    assert await alerts.raise_alert(ALERT, ["ops"])
    assert not await alerts.raise_alert(replace(ALERT, raised_us=NOW, facts={"percent": 99}), ["ops"])
    assert await alerts.resolve_alert("spent", "search", "2026-11/80")
    assert not await alerts.raise_alert(ALERT, ["ops"])
    assert await alerts.raise_alert(replace(ALERT, window="2026-12/80"), ["ops"])
    assert [one.window for one in (await alerts.page()).items] == ["2026-12/80", "2026-11/80"]
    assert len((await Outbox(db).page()).items) == 3


async def test_it_moves_on_and_every_step_is_told_and_kept(db: Database, alerts: AlertRepository) -> None:
    await alerts.raise_alert(ALERT, ["ops"])
    seen = replace(ALERT, state=State.ACKNOWLEDGED, acknowledged_us=NOW)
    for _ in range(2):
        assert await alerts.acknowledge(ALERT.id, "admin") == seen
    for _ in range(2):
        assert await alerts.resolve(ALERT.id, "cli:ana") == replace(seen, state=State.RESOLVED, resolved_us=NOW)
    assert not await alerts.resolve_alert("spent", "search", "2026-11/80")
    told = [json.loads(one.message.body)["data"]["state"] for one in (await Outbox(db).page()).items]
    assert told == ["resolved", "acknowledged", "raised"]
    entries = (await AuditLog(db).page()).items
    assert [(one.actor, one.action, one.subject) for one in entries] == [
        ("cli:ana", "alert.resolve", ALERT.id),
        ("admin", "alert.acknowledge", ALERT.id),
    ]


async def test_what_is_over_is_not_acknowledged_and_what_is_not_there_is_not_found(alerts: AlertRepository) -> None:
    await alerts.raise_alert(ALERT, [])
    await alerts.resolve(ALERT.id, "admin")
    with pytest.raises(Fault) as raised:
        await alerts.acknowledge(ALERT.id, "admin")
    assert raised.value.kind is Kind.CONFLICT
    for attempt in (alerts.acknowledge("alert-0", "admin"), alerts.resolve("alert-0", "admin")):
        with pytest.raises(Fault) as raised:
            await attempt
        assert raised.value.kind is Kind.NOT_FOUND
    assert not await alerts.resolve_alert("never", "raised", "before")


async def test_names_that_a_database_cannot_keep_do_not_stand_in_the_way(alerts: AlertRepository) -> None:
    strange = replace(ALERT, subject="a\0\udc80", facts={"name": "b\0\udc80"})
    assert await alerts.raise_alert(strange, ["ops"])
    assert not await alerts.raise_alert(strange, ["ops"])
    found = await alerts.get(strange.id)
    assert found is not None
    assert (found.id, found.subject, found.facts) == (strange.id, "a??", {"name": "b\0\udc80"})


def test_a_thousand_raises_from_two_processes_and_after_a_restart_give_one_alert_each(
    database_url: str, sql: Operator
) -> None:
    """Fifty alerts, each raised twenty times; every connection is another process to the database."""

    async def raise_all(turns: int) -> int:
        async with opened(database_url) as db:
            alerts = AlertRepository(db)
            new = [
                await alerts.raise_alert(replace(ALERT, window=f"2026-11/{number}"), ["ops", "team"])
                for _ in range(turns)
                for number in range(50)
            ]
        return sum(one is not None for one in new)

    with ThreadPoolExecutor(2) as processes:
        new = list(processes.map(lambda _: asyncio.run(raise_all(8)), range(2)))
    assert sum(new) == 50
    assert asyncio.run(raise_all(4)) == 0
    assert (sql.count("alerts"), sql.count("alert_deliveries")) == (50, 100)
    assert sql.one("SELECT count(DISTINCT id) FROM alert_deliveries") == 100
