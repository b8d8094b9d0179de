from typing import Any

import httpx
import pytest

from gateway.core.keys import digest
from gateway.storage.audit import AuditLog
from tests.control.plane import FILE_KEY, SECRET_OF_THE_FILE, Plane

pytestmark = pytest.mark.anyio


async def made(admin: httpx.AsyncClient, name: str = "alpha", **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/admin/keys", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def test_a_new_key_shows_its_secret_once_and_works_at_once(admin: httpx.AsyncClient, plane: Plane) -> None:
    answer = await admin.post(
        "/admin/keys",
        json={
            "name": "alpha",
            "team": "search",
            "models": ["gpt-4o*", "fast"],
            "labels": {"env": "prod"},
            "required_labels": ["feature", "session", "feature"],
            "max_cost_usd": "0.05",
            "expires_at": "2026-12-31T00:00:00+01:00",
        },
    )
    assert answer.status_code == 201
    key = answer.json()
    secret = key.pop("key")
    assert secret.startswith("tk-")
    assert len(secret) > 40
    assert secret.startswith(key["prefix"])
    assert answer.headers["location"] == f"/admin/keys/{key['id']}"
    assert key == {
        "id": key["id"],
        "name": "alpha",
        "prefix": key["prefix"],
        "team": "search",
        "models": ["gpt-4o*", "fast"],
        "labels": {"env": "prod"},
        "required_labels": ["feature", "session"],
        "max_cost_usd": "0.050000000",
        **NO_TERMS,
        "created_at": "2026-10-31T08:00:00Z",
        "expires_at": "2026-12-30T23:00:00Z",
        "revoked_at": None,
        "old_secret_until": None,
        "source": "admin",
    }
    caller = plane.services.ring.find(secret)
    assert caller is not None
    assert caller.key == "alpha"

    for shown in (await admin.get(f"/admin/keys/{key['id']}"), await admin.get("/admin/keys/alpha")):
        assert shown.json() == key
        assert secret not in shown.text
        assert digest(secret) not in shown.text


async def test_every_change_leaves_an_audit_entry_without_secrets(admin: httpx.AsyncClient, plane: Plane) -> None:
    key = await made(admin)
    await admin.patch(f"/admin/keys/{key['id']}", json={"team": "ads"})
    await admin.post(f"/admin/keys/{key['id']}/rotate", json={})
    await admin.delete(f"/admin/keys/{key['id']}")
    entries = (await AuditLog(plane.database).page()).items
    assert [entry.action for entry in entries] == ["key.revoke", "key.rotate", "key.update", "key.create"]
    assert {(entry.actor, entry.subject) for entry in entries} == {("admin", key["id"])}
    assert key["key"] not in repr(entries)


TERMS = {"budget": "5.000000000/month", "rpm": 10, "tpm": 2000, "in_flight": 3, "frozen": None}
NO_TERMS = dict.fromkeys(TERMS)


def terms_of(shown: dict[str, Any]) -> dict[str, Any]:
    return {field: shown[field] for field in TERMS}


async def test_a_keys_own_terms_are_read_back_and_hold_at_once(admin: httpx.AsyncClient, plane: Plane) -> None:
    """Known fault 34: a budget given at the creation of a key was silently not stored."""
    key = await made(admin, rpm=10, tpm=2000, in_flight=3, budget="5.00/month")
    assert terms_of(key) == TERMS
    assert terms_of((await admin.get("/admin/keys/alpha")).json()) == TERMS
    assert terms_of((await admin.get("/admin/keys")).json()["items"][1]) == TERMS
    budget = (await admin.get("/admin/budgets/key:alpha")).json()
    stated = (budget["limit_usd"], budget["window"], budget["mode"], budget["scope"], budget["timezone"])
    assert stated == ("5.000000000", "month", "hard", {"key": "alpha"}, "UTC")
    assert (await admin.get("/admin/limits/key:alpha")).json()["scope"] == {"key": "alpha"}
    assert "key:alpha" in [one.name for one in plane.services.budgets.store.budgets.all]
    assert "key:alpha" in [one.name for one in plane.services.limits.store.limits.all]
    rotated = (await admin.post("/admin/keys/alpha/rotate")).json()
    assert terms_of(rotated) == TERMS


async def test_a_keys_rates_change_and_go_with_it(admin: httpx.AsyncClient, plane: Plane) -> None:
    await made(admin)
    changed = (await admin.patch("/admin/keys/alpha", json={"rpm": 5})).json()
    assert terms_of(changed) == {**NO_TERMS, "rpm": 5}
    changed = (await admin.patch("/admin/keys/alpha", json={"rpm": None, "tpm": 7, "team": "ads"})).json()
    assert (terms_of(changed), changed["team"]) == ({**NO_TERMS, "tpm": 7}, "ads")
    await admin.patch("/admin/keys/alpha", json={"name": "beta"})
    assert (await admin.get("/admin/limits/key:beta")).json()["scope"] == {"key": "beta"}
    assert (await admin.get("/admin/limits/key:alpha")).status_code == 404
    assert terms_of((await admin.patch("/admin/keys/beta", json={"tpm": None})).json()) == NO_TERMS
    assert (await admin.get("/admin/limits/key:beta")).status_code == 404

    await made(admin, rpm=10, budget="1/day")
    assert terms_of((await admin.delete("/admin/keys/alpha")).json()) == NO_TERMS
    for path in ("/admin/limits/key:alpha", "/admin/budgets/key:alpha"):
        assert (await admin.get(path)).status_code == 404
    assert [one.name for one in plane.services.limits.store.limits.all] == ["each-key", "key:ci"]
    assert terms_of(await made(admin)) == NO_TERMS


async def test_a_key_with_a_budget_keeps_its_name(admin: httpx.AsyncClient) -> None:
    """Under another one its window would begin with nothing spent."""
    await made(admin, budget="1/day")
    refused = await admin.patch("/admin/keys/alpha", json={"name": "beta"})
    assert (refused.status_code, refused.json()["param"]) == (409, "name")
    assert (await admin.get("/admin/keys/beta")).status_code == 404


async def test_the_files_keys_show_the_files_terms(admin: httpx.AsyncClient) -> None:
    assert terms_of((await admin.get("/admin/keys/ci")).json()) == {**NO_TERMS, "tpm": 1000}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "two words"},
        {"name": "a/b"},
        {"name": "a" * 65},
        {"name": "a", "nmae": "b"},
        {"name": "a", "models": []},
        {"name": "a", "models": ["gpt 4"]},
        {"name": "a", "models": ["*gpt"]},
        {"name": "a", "models": "gpt-4o"},
        {"name": "a", "labels": {"env": 1}},
        {"name": "a", "labels": {"bad name": "x"}},
        {"name": "a", "expires_at": "tomorrow"},
        {"name": "a", "expires_at": "2026-12-31"},
        {"name": "a", "expires_at": "2026-12-31T00:00:00"},
        {"name": "a", "expires_at": 1_800_000_000},
        {"name": "a", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "a", "team": ""},
        {"name": "a", "rpm": 0},
        {"name": "a", "rpm": "5"},
        {"name": "a", "tpm": 1.5},
        {"name": "a", "in_flight": 10**7},
        {"name": "a", "budget": "5"},
        {"name": "a", "budget": 5},
        {"name": "a", "budget": "0/month"},
        {"name": "a", "budget": "5/fortnight"},
        [],
        None,
    ],
)
async def test_bad_fields_are_named(admin: httpx.AsyncClient, body: object) -> None:
    answer = await admin.post("/admin/keys", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_request"
    assert problem.get("errors") or problem["param"] == "expires_at"
    assert [key["name"] for key in (await admin.get("/admin/keys")).json()["items"]] == ["ci"]


async def test_a_name_is_taken_once_until_it_is_revoked(admin: httpx.AsyncClient) -> None:
    first = await made(admin)
    again = await admin.post("/admin/keys", json={"name": "alpha"})
    assert again.status_code == 409
    assert again.json()["param"] == "name"
    await admin.delete(f"/admin/keys/{first['id']}")
    await made(admin)


async def test_the_list_has_pages_and_begins_with_the_keys_of_the_file(admin: httpx.AsyncClient) -> None:
    for number in range(5):
        await made(admin, f"key-{number}")
    names, cursor, pages = [], None, 0
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get("/admin/keys", params=params)).json()
        assert len(page["items"]) <= 2
        names += [key["name"] for key in page["items"]]
        cursor, pages = page["next"], pages + 1
        if cursor is None:
            break
    assert names == ["ci", "key-4", "key-3", "key-2", "key-1", "key-0"]
    assert pages == 3


async def test_a_page_filled_by_the_file_leads_on_to_the_others(admin: httpx.AsyncClient) -> None:
    await made(admin)
    first = (await admin.get("/admin/keys", params={"limit": 1})).json()
    assert [key["source"] for key in first["items"]] == ["file"]
    second = (await admin.get("/admin/keys", params={"limit": 1, "cursor": first["next"]})).json()
    assert [key["name"] for key in second["items"]] == ["alpha"]


@pytest.mark.parametrize("cursor", ["x", "file.", "file.x", "-1", "1.2.3", "9" * 40, ""])
async def test_a_foreign_cursor_is_refused(admin: httpx.AsyncClient, cursor: str) -> None:
    answer = await admin.get("/admin/keys", params={"cursor": cursor})
    assert answer.status_code == 422


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1"])
async def test_a_limit_out_of_bounds_is_refused(admin: httpx.AsyncClient, limit: str) -> None:
    assert (await admin.get("/admin/keys", params={"limit": limit})).status_code == 422


async def test_a_change_sets_what_is_sent_and_null_clears(admin: httpx.AsyncClient, plane: Plane) -> None:
    key = await made(admin, team="search", models=["fast"], labels={"env": "prod"})
    path = f"/admin/keys/{key['id']}"
    changed = (await admin.patch(path, json={"team": None, "expires_at": "2026-11-01T00:00:00Z"})).json()
    assert (changed["team"], changed["models"], changed["expires_at"]) == (None, ["fast"], "2026-11-01T00:00:00Z")
    changed = (await admin.patch(path, json={"name": "beta", "models": None, "labels": {}, "expires_at": None})).json()
    assert (changed["name"], changed["models"], changed["labels"], changed["expires_at"]) == ("beta", None, {}, None)
    assert (await admin.get(path)).json() == changed
    assert (await admin.patch(path, json={})).json() == changed
    caller = plane.services.ring.find(key["key"])
    assert caller is not None
    assert caller.key == "beta"


@pytest.mark.parametrize(
    "body", [{"name": None}, {"labels": None}, {"budget": "5/month"}, {"rpm": 0}, {"team": 3}, {"prefix": "x"}]
)
async def test_a_bad_change_changes_nothing(admin: httpx.AsyncClient, body: dict[str, object]) -> None:
    key = await made(admin, labels={"env": "prod"})
    before = (await admin.get(f"/admin/keys/{key['id']}")).json()
    assert (await admin.patch(f"/admin/keys/{key['id']}", json=body)).status_code == 422
    assert (await admin.get(f"/admin/keys/{key['id']}")).json() == before


async def test_a_name_cannot_be_changed_to_one_that_the_file_declares(admin: httpx.AsyncClient) -> None:
    key = await made(admin)
    answer = await admin.patch(f"/admin/keys/{key['id']}", json={"name": "ci"})
    assert answer.status_code == 409


async def test_a_revoked_key_stops_working_and_stays_in_the_list(admin: httpx.AsyncClient, plane: Plane) -> None:
    key = await made(admin)
    revoked = await admin.delete(f"/admin/keys/{key['id']}")
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] == "2026-10-31T08:00:00Z"
    assert plane.services.ring.find(key["key"]) is None
    plane.clock.forward(60)
    assert (await admin.delete(f"/admin/keys/{key['id']}")).json() == revoked.json()
    assert "alpha" in [item["name"] for item in (await admin.get("/admin/keys")).json()["items"]]
    assert (await admin.patch(f"/admin/keys/{key['id']}", json={"team": "ads"})).status_code == 409
    assert (await admin.post(f"/admin/keys/{key['id']}/rotate")).status_code == 409


async def test_rotation_ends_the_old_secret_at_once_or_after_the_grace(admin: httpx.AsyncClient, plane: Plane) -> None:
    find = plane.services.ring.find
    key = await made(admin)
    answer = await admin.post(f"/admin/keys/{key['id']}/rotate")
    assert answer.status_code == 200
    second = answer.json()["key"]
    assert second != key["key"]
    assert find(second) is not None
    assert find(key["key"]) is None

    answer = await admin.post(f"/admin/keys/{key['id']}/rotate", json={"grace": "24h"})
    third = answer.json()["key"]
    assert answer.json()["old_secret_until"] == "2026-11-01T08:00:00Z"
    plane.clock.forward(24 * 3600 - 1)
    assert find(second) is not None
    plane.clock.forward(2)
    assert find(second) is None
    assert find(third) is not None


@pytest.mark.parametrize("body", [{"grace": "soon"}, {"grace": "24"}, {"grace": 5}, {"grcae": "24h"}, {"grace": "٣h"}])
async def test_a_bad_grace_is_refused(admin: httpx.AsyncClient, body: dict[str, object]) -> None:
    key = await made(admin)
    assert (await admin.post(f"/admin/keys/{key['id']}/rotate", json=body)).status_code == 422


@pytest.mark.parametrize("name", ["nobody", "key-000000000000", "%00", "%F0%9F%98%80", "'; DROP TABLE keys; --"])
async def test_an_unknown_key_is_not_found(admin: httpx.AsyncClient, name: str) -> None:
    """Known fault 76: whatever stands in the path is a bound parameter."""
    for answer in (
        await admin.get(f"/admin/keys/{name}"),
        await admin.patch(f"/admin/keys/{name}", json={"team": "x"}),
        await admin.delete(f"/admin/keys/{name}"),
        await admin.post(f"/admin/keys/{name}/rotate"),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


async def test_keys_of_the_file_are_shown_and_read_only(admin: httpx.AsyncClient, plane: Plane) -> None:
    for name in (FILE_KEY.id, FILE_KEY.name):
        shown = await admin.get(f"/admin/keys/{name}")
        assert (shown.status_code, shown.json()["source"], shown.json()["team"]) == (200, "file", "platform")
        assert shown.json()["created_at"] is None
        for answer in (
            await admin.patch(f"/admin/keys/{name}", json={"team": "x"}),
            await admin.delete(f"/admin/keys/{name}"),
            await admin.post(f"/admin/keys/{name}/rotate"),
        ):
            assert answer.status_code == 409
            assert "tollkeeper.yaml, line 12" in answer.json()["hint"]
    assert (await admin.post("/admin/keys", json={"name": "ci"})).status_code == 409
    assert plane.services.ring.find(SECRET_OF_THE_FILE) is not None
