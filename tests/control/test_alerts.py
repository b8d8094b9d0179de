"""Alerts, channels and deliveries over the admin API."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from gateway.control.alerts_desk import AlertDesk, DeclaredChannel
from gateway.core.actions import Action, Stage
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Alert, Severity
from gateway.core.deliveries import Outcome
from gateway.core.keys import Key
from gateway.storage.audit import AuditLog
from tests.control.plane import Plane
from tests.fakes.channel import FakeChannel

pytestmark = pytest.mark.anyio

ALERT = Alert("spent", "budget.exhausted", "search", "2026-11", 1_793_433_600_000_000, Severity.CRITICAL, {"a": 1})


@pytest.fixture
def ops() -> FakeChannel:
    return FakeChannel("ops")


@pytest.fixture
def desk(plane: Plane, ops: FakeChannel) -> AlertDesk:
    declared = {"ops": DeclaredChannel(ops, True, "tollkeeper.yaml, line 3")}
    return replace(plane.services.alerts, channels=declared, base="https://g.example")


@pytest.fixture
async def admin(plane: Plane, desk: AlertDesk) -> AsyncIterator[httpx.AsyncClient]:
    async with plane.client(alerts=desk) as client:
        yield client


async def test_an_alert_is_listed_shown_acknowledged_and_resolved(
    admin: httpx.AsyncClient, desk: AlertDesk, plane: Plane
) -> None:
    await desk.repository.raise_alert(ALERT, ["ops"])
    await desk.repository.raise_alert(replace(ALERT, window="2026-12"), ["ops"])
    first = (await admin.get("/admin/alerts?limit=1")).json()
    second = (await admin.get("/admin/alerts", params={"limit": 1, "cursor": first["next"]})).json()
    assert [one["window"] for one in (*first["items"], *second["items"])] == ["2026-12", "2026-11"]
    shown = (await admin.get(f"/admin/alerts/{ALERT.id}")).json()
    assert shown == second["items"][0] == {
        "id": ALERT.id, "state": "raised", "title": "Budget search is spent", "type": "budget.exhausted",
        "severity": "critical", "rule": "spent", "subject": "search", "window": "2026-11", "because": None,
        "facts": {"a": 1}, "raised_at": "2026-10-31T08:00:00Z", "acknowledged_at": None, "resolved_at": None,
        "link": f"https://g.example/admin/alerts/{ALERT.id}",
    }  # fmt: skip
    seen = (await admin.post(f"/admin/alerts/{ALERT.id}/acknowledge")).json()
    assert (seen["state"], seen["acknowledged_at"]) == ("acknowledged", "2026-10-31T08:00:00Z")
    over = (await admin.post(f"/admin/alerts/{ALERT.id}/resolve")).json()
    assert (over["state"], over["title"]) == ("resolved", "Resolved: Budget search is spent")
    assert (await admin.post(f"/admin/alerts/{ALERT.id}/acknowledge")).status_code == 409
    actions = [(one.actor, one.action) for one in (await AuditLog(plane.database).page()).items]
    assert actions == [("admin", "alert.resolve"), ("admin", "alert.acknowledge")]


async def test_channels_are_shown_without_what_is_secret(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/admin/alerts/channels")).json() == {
        "items": [
            {
                "name": "ops", "kind": "webhook", "address": "https://ops.example", "allow_private": True,
                "disabled_at": None, "disabled_because": None, "source": "file",
            }
        ],
        "next": None,
    }  # fmt: skip


async def test_a_test_says_at_once_what_came_of_it(admin: httpx.AsyncClient, ops: FakeChannel) -> None:
    answer = await admin.post("/admin/alerts/channels/ops/test")
    assert answer.status_code == 200
    delivery = answer.json()
    assert (delivery["state"], delivery["status"], delivery["type"], delivery["alert"]) == (
        "delivered", 200, "test", None,
    )  # fmt: skip
    (message,) = ops.messages
    assert message.id == delivery["id"]
    assert json.loads(message.body)["data"]["link"] == "https://g.example/admin/alerts"
    ops.answer = Outcome(False, 500, "answered 500: no")
    failed = (await admin.post("/admin/alerts/channels/ops/test")).json()
    assert (failed["state"], failed["error"], len(failed["tries"])) == ("given_up", "answered 500: no", 1)


async def test_a_channel_that_is_gone_is_shown_so_until_a_test_arrives(
    admin: httpx.AsyncClient, ops: FakeChannel
) -> None:
    ops.answer = Outcome(False, 410, "answered 410", gone=True)
    await admin.post("/admin/alerts/channels/ops/test")
    (shown,) = (await admin.get("/admin/alerts/channels")).json()["items"]
    assert (shown["disabled_at"], shown["disabled_because"]) == ("2026-10-31T08:00:00Z", "answered 410")
    ops.answer = Outcome(True, 204)
    await admin.post("/admin/alerts/channels/ops/test")
    (shown,) = (await admin.get("/admin/alerts/channels")).json()["items"]
    assert (shown["disabled_at"], shown["disabled_because"]) == (None, None)


async def test_deliveries_are_listed_with_every_try_and_can_be_asked_for_again(
    admin: httpx.AsyncClient, desk: AlertDesk, plane: Plane
) -> None:
    await desk.repository.raise_alert(ALERT, ["ops"])
    test = (await admin.post("/admin/alerts/channels/ops/test")).json()
    items = (await admin.get("/admin/alerts/deliveries")).json()["items"]
    assert [(one["channel"], one["alert_state"], one["state"], len(one["tries"])) for one in items] == [
        ("ops", None, "delivered", 1),
        ("ops", "raised", "waiting", 0),
    ]
    again = (await admin.post(f"/admin/alerts/deliveries/{test['id']}/redeliver")).json()
    assert (again["id"], again["state"], again["next_try_at"]) == (test["id"], "waiting", "2026-10-31T08:00:00Z")
    assert len(again["tries"]) == 1
    (entry,) = (await AuditLog(plane.database).page()).items
    assert (entry.actor, entry.action, entry.subject) == ("admin", "delivery.redeliver", test["id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/alerts/alert-0"),
        ("POST", "/admin/alerts/alert-0/resolve"),
        ("POST", "/admin/alerts/alert-0/acknowledge"),
        ("POST", "/admin/alerts/channels/other/test"),
        ("POST", "/admin/alerts/deliveries/msg-0/redeliver"),
    ],
)
async def test_what_there_is_not_is_not_found(admin: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await admin.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_rules_are_listed_and_come_from_the_file_alone(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/admin/alerts/rules")).json() == {"items": [], "next": None}
    assert (await admin.post("/admin/alerts/rules", json={})).status_code == 405


async def test_nothing_is_told_without_the_token(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        for path in ("", "/channels", "/deliveries", "/alert-0", "/rules"):
            assert (await client.get(f"/admin/alerts{path}")).status_code == 401
        assert (await client.post("/admin/alerts/channels/ops/test")).status_code == 401


FREEZE = Action("action-1", ALERT.id, "loops", Deed(Act.FREEZE, asks=True), "web", ALERT.raised_us, Stage.ASKED)


async def test_what_is_decided_is_logged(
    admin: httpx.AsyncClient, desk: AlertDesk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await desk.repository.raise_alert(ALERT, [], FREEZE)
    for word in ("confirm", "undo"):
        await admin.post(f"/admin/alerts/actions/action-1/{word}")
    said = "admin has decided what the rule loops does:"
    assert [one.getMessage() for one in caplog.records if one.name == "gateway.control.alerts"] == [
        f"{said} the key web is frozen; to undo it: tollkeeper alerts undo action-1",
        f"{said} no longer in force: the key web is frozen (action-1); it is done again when its rule fires again",
    ]


async def test_an_action_is_confirmed_seen_and_undone(admin: httpx.AsyncClient, desk: AlertDesk, plane: Plane) -> None:
    await plane.services.keys.add(Key("k9", "web", "tk-web", "d" * 64, 1), "me")
    await desk.repository.raise_alert(ALERT, ["ops"], FREEZE)
    (listed,) = (await admin.get("/admin/alerts/actions")).json()["items"]
    assert listed == {
        "id": "action-1", "state": "asked", "action": "freeze", "subject": "web", "effect": "the key web is frozen",
        "lower_to_usd": None, "downgrade_to": None, "asks": True, "rule": "loops", "alert": ALERT.id,
        "made_at": "2026-10-31T08:00:00Z", "decided_at": None, "decided_by": None,
    }  # fmt: skip
    assert (await admin.get("/admin/keys/web")).json()["frozen"] is None
    for _ in range(2):
        confirmed = (await admin.post("/admin/alerts/actions/action-1/confirm")).json()
        assert (confirmed["state"], confirmed["decided_by"]) == ("in_force", "admin")
    assert "frozen by the rule loops" in (await admin.get("/admin/keys/web")).json()["frozen"]
    assert list(desk.acting.in_force.frozen) == ["web"], "here at once"
    refused = await admin.post("/admin/alerts/actions/action-1/decline")
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "the action action-1 is in force, and cannot be declined",
    )
    assert (await admin.post("/admin/alerts/actions/action-1/undo")).json()["state"] == "undone"
    assert (await admin.get("/admin/keys/web")).json()["frozen"] is None
    assert desk.acting.in_force.frozen == {}
    assert (await admin.post("/admin/alerts/actions/action-9/undo")).status_code == 404


async def test_what_is_in_force_already_is_named(admin: httpx.AsyncClient, desk: AlertDesk) -> None:
    await desk.repository.raise_alert(ALERT, [], FREEZE)
    other = replace(FREEZE, id="action-2", rule="other", deed=Deed(Act.FREEZE), stage=Stage.IN_FORCE)
    await desk.repository.raise_alert(replace(ALERT, window="w2"), [], other)
    refused = await admin.post("/admin/alerts/actions/action-1/confirm")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert refused.json()["detail"] == "the key web is frozen already, by the action action-2 of the rule other"
    assert "tollkeeper alerts undo action-2" in refused.text


async def test_what_a_rule_lowers_is_seen_with_the_budget(admin: httpx.AsyncClient, desk: AlertDesk) -> None:
    lower = replace(FREEZE, deed=Deed(Act.LOWER, limit_nano=1_000_000_000), subject="b", stage=Stage.IN_FORCE)
    made = (await admin.post("/admin/budgets", json={"name": "b", "limit_usd": "5"})).json()
    assert (made["lowered_to_usd"], made["lowered_by"]) == (None, None)
    await desk.repository.raise_alert(ALERT, [], lower)
    shown = (await admin.get("/admin/budgets/b")).json()
    assert (shown["limit_usd"], shown["lowered_to_usd"], shown["remaining_usd"]) == (
        "5.000000000",
        "1.000000000",
        "1.000000000",
    )
    assert shown["lowered_by"] == {"rule": "loops", "action_id": "action-1"}
    assert (await admin.get("/admin/budgets")).json()["items"][-1]["lowered_by"] == shown["lowered_by"]
    await admin.post("/admin/alerts/actions/action-1/undo")
    assert (await admin.get("/admin/budgets/b")).json()["lowered_by"] is None
