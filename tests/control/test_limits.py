"""Limits over the admin API: what is set is read back and holds at once, the file's are read only."""

from typing import Any

import httpx
import pytest

from gateway.storage.audit import AuditLog
from tests.control.plane import Plane

pytestmark = pytest.mark.anyio


async def made(admin: httpx.AsyncClient, name: str = "l", **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/admin/limits", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    limit: dict[str, Any] = answer.json()
    return limit


async def test_what_was_set_is_read_back_and_holds(admin: httpx.AsyncClient, plane: Plane) -> None:
    stated = {"scope": {"team": "search", "tag": ["env=prod", "app=*"]}, "rpm": 60, "in_flight": 4}
    answer = await admin.post("/admin/limits", json={"name": "l", **stated})
    shown = {
        "name": "l", "scope": {"team": "search", "tag": ["app=*", "env=prod"]}, "rpm": 60, "tpm": None, "in_flight": 4,
        "source": "admin",
    }  # fmt: skip
    assert (answer.status_code, answer.headers["location"], answer.json()) == (201, "/admin/limits/l", shown)
    assert (await admin.get("/admin/limits/l")).json() == shown
    assert (await admin.get("/admin/limits")).json()["items"][2] == shown
    assert [one.name for one in plane.services.limits.store.limits.all] == ["each-key", "key:ci", "l"]


async def test_changes_and_the_end(admin: httpx.AsyncClient, plane: Plane) -> None:
    await made(admin, rpm=1)
    changed = (await admin.patch("/admin/limits/l", json={"rpm": None, "tpm": 5})).json()
    assert (changed["rpm"], changed["tpm"]) == (None, 5)
    assert (await admin.patch("/admin/limits/l", json={})).json() == changed
    assert (await admin.patch("/admin/limits/l", json={"tpm": None})).status_code == 422
    assert (await admin.delete("/admin/limits/l")).json() == changed
    assert (await admin.get("/admin/limits/l")).status_code == 404
    actions = [entry.action for entry in (await AuditLog(plane.database).page()).items]
    assert actions == ["limit.remove", "limit.update", "limit.create"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "l"},
        {"name": "l", "rpm": None},
        {"name": "l", "rpm": 0},
        {"name": "l", "rpm": "60"},
        {"name": "l", "rpm": True},
        {"name": "l", "tpm": 10**13},
        {"name": "key:l", "rpm": 1},
        {"name": "l", "rpm": 1, "scope": {"target": "openai/gpt-x"}},
        {"name": "l", "rpm": 1, "scope": {"team": ""}},
        {"name": "l", "rpm": 1, "scope": {"tag": ["env"]}},
        {"name": "l", "rpm": 1, "rps": 1},
    ],
)
async def test_what_makes_no_sense_is_refused(admin: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await admin.post("/admin/limits", json=body)).status_code == 422
    assert (await admin.get("/admin/limits/l")).status_code == 404


@pytest.mark.parametrize("body", [{"rpm": 0}, {"scope": {}}, {"name": "m"}, {"tpm": "1"}])
async def test_a_bad_change_changes_nothing(admin: httpx.AsyncClient, body: dict[str, Any]) -> None:
    limit = await made(admin, rpm=1)
    assert (await admin.patch("/admin/limits/l", json=body)).status_code == 422
    assert (await admin.get("/admin/limits/l")).json() == limit


async def test_those_of_the_file_are_read_only(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/admin/limits/each-key")).json()["source"] == "file"
    for name, line in (("each-key", 40), ("key:ci", 12)):
        for answer in (
            await admin.patch(f"/admin/limits/{name}", json={"rpm": 1}),
            await admin.delete(f"/admin/limits/{name}"),
        ):
            assert answer.status_code == 409
            assert f"tollkeeper.yaml, line {line}" in answer.json()["hint"]
    assert (await admin.post("/admin/limits", json={"name": "each-key", "rpm": 1})).status_code == 409


async def test_a_name_is_taken_once_and_unknown_ones_are_not_found(admin: httpx.AsyncClient) -> None:
    await made(admin, rpm=1)
    assert (await admin.post("/admin/limits", json={"name": "l", "rpm": 2})).status_code == 409
    for answer in (
        await admin.get("/admin/limits/none"),
        await admin.patch("/admin/limits/none", json={"rpm": 1}),
        await admin.delete("/admin/limits/none"),
    ):
        assert answer.status_code == 404


async def test_the_list_has_pages(admin: httpx.AsyncClient) -> None:
    for number in range(3):
        await made(admin, f"l{number}", rpm=1)
    names: list[str] = []
    cursor = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get("/admin/limits", params=params)).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == ["each-key", "key:ci", "l2", "l1", "l0"]
    assert (await admin.get("/admin/limits", params={"cursor": "x"})).status_code == 422
