"""Budgets over the admin API: what is set is read back, the figures are the accounts', the file's are read only."""

from typing import Any

import httpx
import pytest

from gateway.core.accounts import Account
from gateway.core.budgets import Budget
from gateway.core.escrow import Charged
from gateway.core.windows import Window
from gateway.storage.accounts import charge
from gateway.storage.audit import AuditLog
from tests.control.plane import FILE_BUDGET, Plane

pytestmark = pytest.mark.anyio

MONTH = 1_790_812_800_000_000
"""2026-10-01T00:00:00Z; the plane's clock shows the 31st, 08:00."""
NANO = 1_000_000_000
NOTHING = "0.000000000"


async def made(admin: httpx.AsyncClient, name: str = "b", **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/admin/budgets", json={"name": name, "limit_usd": "100", **fields})
    assert answer.status_code == 201, answer.text
    budget: dict[str, Any] = answer.json()
    return budget


async def spend(plane: Plane, subject: str, spent: int, reserve: int = 0, name: str = "b") -> None:
    """As the ledger does, in whole dollars."""
    async with plane.database.write() as session:
        charged = Charged(spent * NANO, reserve * NANO, held=False)
        await charge(session, "journal", {Account(name, subject, MONTH): charged})


async def test_what_was_set_is_read_back_whole(admin: httpx.AsyncClient, plane: Plane) -> None:
    """Known fault 34: a budget that was given was silently not stored."""
    stated = {
        "limit_usd": "500.5",
        "window": "quarter",
        "timezone": "Europe/Berlin",
        "mode": "hard",
        "scope": {"team": "search", "key": "*", "tag": ["env=prod", "app=*"]},
        "alert_at": [50, 80, 100],
        "on_exhausted": "downgrade",
        "downgrade_to": "small",
        "unpriced": "allow",
        "raised": {"usd": "100", "until": "2026-12-01T00:00:00+01:00"},
    }
    answer = await admin.post("/admin/budgets", json={"name": "search", **stated})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/admin/budgets/search"
    shown = {
        **stated,
        "name": "search",
        "limit_usd": "500.500000000",
        "spent_usd": NOTHING,
        "reserve_usd": NOTHING,
        "held_usd": NOTHING,
        "remaining_usd": "600.500000000",
        "over_usd": NOTHING,
        "over_because": [],
        "resets_at": "2026-12-31T23:00:00Z",
        "scope": {"team": "search", "key": "*", "tag": ["app=*", "env=prod"]},
        "source": "admin",
        "raised": {"usd": "100.000000000", "until": "2026-11-30T23:00:00Z"},
        "lowered_to_usd": None,
        "lowered_by": None,
    }
    assert answer.json() == shown
    assert (await admin.get("/admin/budgets/search")).json() == {**shown, "subjects": [], "subject_count": 0}
    assert (await admin.get("/admin/budgets")).json()["items"][1] == shown
    assert [one.name for one in plane.services.budgets.store.budgets.all] == ["everything", "search"]


async def test_what_is_not_sent_has_its_default(admin: httpx.AsyncClient) -> None:
    budget = await made(admin)
    defaults: dict[str, Any] = {
        "mode": "hard", "window": "month", "timezone": "UTC", "scope": {}, "alert_at": [], "on_exhausted": "refuse",
        "downgrade_to": None, "unpriced": "refuse", "raised": None, "resets_at": "2026-11-01T00:00:00Z",
    }  # fmt: skip
    assert {field: budget[field] for field in defaults} == defaults
    assert (await made(admin, "ever", window="lifetime"))["resets_at"] is None


async def test_the_figures_are_those_of_its_account(admin: httpx.AsyncClient, plane: Plane) -> None:
    """Known fault 44: what was spent, held and is left, and when it begins anew, are all told."""
    await made(admin)
    await spend(plane, "everything", 70, 5)
    shown = (await admin.get("/admin/budgets/b")).json()
    assert (shown["spent_usd"], shown["reserve_usd"]) == ("70.000000000", "5.000000000")
    assert (shown["remaining_usd"], shown["over_usd"]) == ("25.000000000", NOTHING)
    assert (shown["subjects"], shown["subject_count"]) == (None, None)
    lowered = (await admin.patch("/admin/budgets/b", json={"limit_usd": "50"})).json()
    assert (lowered["remaining_usd"], lowered["over_usd"]) == (NOTHING, "25.000000000")
    assert lowered["over_because"] == ["lowered"]


async def test_one_that_counts_values_apart_shows_the_dearest(admin: httpx.AsyncClient, plane: Plane) -> None:
    await made(admin, scope={"key": "*"})
    for number in range(60):
        await spend(plane, f"key=k{number}", number)
    shown = (await admin.get("/admin/budgets/b")).json()
    assert shown["subject_count"] == 60
    assert [one["subject"] for one in shown["subjects"]] == [f"key=k{number}" for number in range(59, 9, -1)]
    assert shown["subjects"][0] == {
        "subject": "key=k59", "spent_usd": "59.000000000", "reserve_usd": NOTHING, "held_usd": NOTHING,
        "remaining_usd": "41.000000000", "over_usd": NOTHING, "over_because": [],
    }  # fmt: skip
    assert (shown["spent_usd"], shown["remaining_usd"]) == ("1770.000000000", "41.000000000")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"limit_usd": 100}, "body.limit_usd"),
    ({"limit_usd": "0"}, "body.limit_usd"),
    ({"limit_usd": "-1"}, "body.limit_usd"),
    ({"limit_usd": "NaN"}, "body.limit_usd"),
    ({"limit_usd": "1e30"}, "body.limit_usd"),
    ({"limit_usd": "0.0000000001"}, "body.limit_usd"),
    ({"limit_usd": None}, "body.limit_usd"),
    ({"window": "monthly"}, "body.window"),
    ({"timezone": "Berlin"}, "body.timezone"),
    ({"timezone": "/etc/passwd"}, "body.timezone"),
    ({"timezone": None}, "body.timezone"),
    ({"mode": "firm"}, "body.mode"),
    ({"scope": {"taem": "x"}}, "body.scope.taem"),
    ({"scope": {"tag": "env=prod"}}, "body.scope.tag"),
    ({"scope": None}, "body.scope"),
    ({"scope": {"key": None}}, "body.scope.key"),
    ({"alert_at": ["50"]}, "body.alert_at.0"),
    ({"on_exhausted": "cry"}, "body.on_exhausted"),
    ({"unpriced": True}, "body.unpriced"),
    ({"raised": {"usd": "5"}}, "body.raised.until"),
    ({"raised": {"usd": "5", "until": "tomorrow"}}, "body.raised.until"),
    ({"limit": "5"}, "body.limit"),
    ({"name": "two words"}, "body.name"),
    ({"name": "x" * 65}, "body.name"),
]


async def test_a_field_that_is_wrong_is_named_and_nothing_is_made(admin: httpx.AsyncClient) -> None:
    for fields, pointer in WRONG:
        answer = await admin.post("/admin/budgets", json={"name": "b", "limit_usd": "1", **fields})
        assert (answer.status_code, fields) == (422, fields)
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert len((await admin.get("/admin/budgets")).json()["items"]) == 1


APART: list[tuple[dict[str, Any], str, str]] = [
    ({"alert_at": [80, 50]}, "alert_at", "going up"),
    ({"alert_at": [0]}, "alert_at", "from 1 to 1000"),
    ({"scope": {"key": ""}}, "scope", "from 1 to 256"),
    ({"scope": {"tag": ["env"]}}, "scope", "is no tag"),
    ({"scope": {"tag": ["a=1", "a=2"]}}, "scope", "twice"),
    ({"raised": {"usd": "5", "until": "2020-01-01T00:00:00Z"}}, "raised", "has not passed"),
    ({"downgrade_to": "small"}, "downgrade_to", "a budget that refuses"),
    ({"on_exhausted": "downgrade"}, "downgrade_to", "needs the model"),
    ({"on_exhausted": "downgrade", "downgrade_to": "smal"}, "downgrade_to", "'smal' is neither"),
    ({"on_exhausted": "downgrade", "downgrade_to": "opnai/x"}, "downgrade_to", "neither"),
    ({"on_exhausted": "downgrade", "downgrade_to": "small", "mode": "soft"}, "on_exhausted", "soft"),
]


async def test_what_does_not_go_together_is_said(admin: httpx.AsyncClient) -> None:
    for fields, param, says in APART:
        answer = await admin.post("/admin/budgets", json={"name": "b", "limit_usd": "1", **fields})
        assert (answer.status_code, answer.json()["param"], fields) == (422, param, fields)
        assert says in answer.json()["detail"]


async def test_a_zone_nearly_right_is_told_its_name(admin: httpx.AsyncClient) -> None:
    for zone in ("berlin", "Europe/Berln"):
        answer = await admin.post("/admin/budgets", json={"name": "b", "limit_usd": "1", "timezone": zone})
        assert "did you mean Europe/Berlin?" in answer.json()["detail"]


async def test_only_what_is_sent_changes_and_null_clears(admin: httpx.AsyncClient) -> None:
    before = await made(admin, on_exhausted="downgrade", downgrade_to="gpu-box/llama", alert_at=[50])
    raised = {"usd": "7", "until": "2026-11-01T00:00:00Z"}
    changed = (await admin.patch("/admin/budgets/b", json={"raised": raised, "alert_at": []})).json()
    assert changed == {
        **before, "alert_at": [], "remaining_usd": "107.000000000",
        "raised": {"usd": "7.000000000", "until": "2026-11-01T00:00:00Z"},
    }  # fmt: skip
    changed = (await admin.patch("/admin/budgets/b", json={"raised": None, "on_exhausted": "refuse"})).json()
    assert changed == {**before, "alert_at": [], "on_exhausted": "refuse", "downgrade_to": None}
    assert (await admin.patch("/admin/budgets/b", json={})).json() == changed
    same = {"window": "month", "timezone": "UTC", "scope": {}, "limit_usd": "100.00"}
    assert (await admin.patch("/admin/budgets/b", json=same)).json() == changed


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"window": "day"}, "window"), ({"timezone": "Europe/Berlin"}, "timezone"), ({"scope": {"key": "*"}}, "scope")],
)
async def test_another_window_zone_or_scope_is_another_budget(
    admin: httpx.AsyncClient, fields: dict[str, Any], param: str
) -> None:
    before = await made(admin)
    answer = await admin.patch("/admin/budgets/b", json={**fields, "limit_usd": "1"})
    assert (answer.status_code, answer.json()["param"]) == (422, param)
    assert "remove this one and set it anew" in answer.json()["hint"]
    assert (await admin.get("/admin/budgets")).json()["items"][1] == before


@pytest.mark.parametrize("body", [{"limit_usd": "x"}, {"name": "c"}, {"mode": None}, {"downgrade_to": "small"}, []])
async def test_a_bad_change_changes_nothing(admin: httpx.AsyncClient, body: Any) -> None:
    before = await made(admin)
    assert (await admin.patch("/admin/budgets/b", json=body)).status_code == 422
    assert (await admin.get("/admin/budgets")).json()["items"][1] == before


async def test_a_name_is_taken_once_and_free_after_its_end(admin: httpx.AsyncClient, plane: Plane) -> None:
    await made(admin)
    await spend(plane, "everything", 70)
    again = await admin.post("/admin/budgets", json={"name": "b", "limit_usd": "1"})
    assert (again.status_code, again.json()["param"]) == (409, "name")
    removed = await admin.delete("/admin/budgets/b")
    assert (removed.status_code, removed.json()["spent_usd"]) == (200, "70.000000000")
    assert (await admin.get("/admin/budgets/b")).status_code == 404
    assert (await made(admin))["spent_usd"] == NOTHING


async def test_budgets_of_the_file_are_read_only_and_their_line_is_told(admin: httpx.AsyncClient, plane: Plane) -> None:
    await plane.services.budgets.repository.add(Budget("everything", 1, Window.DAY), "cli")
    shown = (await admin.get("/admin/budgets/everything")).json()
    assert (shown["source"], shown["limit_usd"], shown["timezone"]) == ("file", "500.000000000", "Europe/Berlin")
    assert [one["source"] for one in (await admin.get("/admin/budgets")).json()["items"]] == ["file"]
    for answer in (
        await admin.patch("/admin/budgets/everything", json={"limit_usd": "1"}),
        await admin.delete("/admin/budgets/everything"),
    ):
        assert answer.status_code == 409
        assert answer.json()["hint"] == "change it there: tollkeeper.yaml, line 30"
    taken = await admin.post("/admin/budgets", json={"name": "everything", "limit_usd": "1"})
    assert (taken.status_code, taken.json()["param"]) == (409, "name")
    assert plane.services.budgets.declared == (FILE_BUDGET,)


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {}), ("DELETE", None)])
async def test_one_that_there_is_not_is_not_found(admin: httpx.AsyncClient, method: str, body: object) -> None:
    answer = await admin.request(method, "/admin/budgets/nobody", json=body)
    assert answer.status_code == 404
    assert "nobody" in answer.json()["detail"]


async def test_the_list_has_pages_and_begins_with_those_of_the_file(admin: httpx.AsyncClient) -> None:
    for number in range(3):
        await made(admin, f"b{number}")
    names, cursor = [], None
    while True:
        page = (await admin.get("/admin/budgets", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == ["everything", "b2", "b1", "b0"]


@pytest.mark.parametrize("query", ["cursor=x", "cursor=file.x", "limit=0", "limit=1001", "team=x"])
async def test_a_question_that_makes_no_sense_is_refused(admin: httpx.AsyncClient, query: str) -> None:
    assert (await admin.get(f"/admin/budgets?{query}")).status_code == 422


async def test_every_change_leaves_an_audit_entry(admin: httpx.AsyncClient, plane: Plane) -> None:
    await made(admin)
    await admin.patch("/admin/budgets/b", json={"limit_usd": "7"})
    await admin.delete("/admin/budgets/b")
    entries = (await AuditLog(plane.database).page()).items
    assert [entry.action for entry in entries] == ["budget.remove", "budget.update", "budget.create"]
    assert entries[1].details == {"limit_nano": 7 * NANO}
    assert {(entry.actor, entry.subject) for entry in entries} == {("admin", "b")}
