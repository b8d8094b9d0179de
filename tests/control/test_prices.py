"""Prices over the admin API: what holds, what was set, and what is refused."""

import httpx
import pytest

from gateway.storage.audit import AuditLog
from tests.control.plane import Plane

pytestmark = pytest.mark.anyio

RATES = {"input": "2.50", "output": "10"}


async def test_prices_by_name_with_their_source(admin: httpx.AsyncClient) -> None:
    answer = (await admin.get("/admin/prices")).json()
    assert answer["price_book"].startswith("map of the tests sha256:")
    by_name = {item["target"]: item for item in answer["items"]}
    assert list(by_name) == ["gpu-box/llama-3-8b", "gpu-box/other", "openai/gpt-x"]
    assert by_name["gpu-box/llama-3-8b"]["source"] == "file"
    assert by_name["gpu-box/llama-3-8b"]["usd_per_million"] == {"input": "0.05", "output": "0.2"}
    assert by_name["gpu-box/other"] == {
        "target": "gpu-box/other", "source": None, "price_book": None,
        "unknown_because": "no price is known for this target",
    }  # fmt: skip
    known = by_name["openai/gpt-x"]
    assert (known["source"], known["free"], known["usd_per_call"], known["unknown_because"]) == (
        "map", False, None, None,
    )  # fmt: skip
    assert known["steps"] == [{"above_prompt_tokens": 200_000, "usd_per_million": {"input": "3"}}]
    assert known["tiers"] == {
        "flex": {
            "usd_per_million": {"output": "1"},
            "steps": [{"above_prompt_tokens": 200_000, "usd_per_million": None}],
        }
    }


async def test_a_list_has_pages(admin: httpx.AsyncClient) -> None:
    names, page = [], (await admin.get("/admin/prices?limit=1")).json()
    while True:
        names += [item["target"] for item in page["items"]]
        if page["next"] is None:
            break
        page = (await admin.get("/admin/prices", params={"limit": 1, "cursor": page["next"]})).json()
    assert names == ["gpu-box/llama-3-8b", "gpu-box/other", "openai/gpt-x"]
    of_one = (await admin.get("/admin/prices?provider=openai")).json()["items"]
    assert [item["target"] for item in of_one] == ["openai/gpt-x"]


async def test_a_price_that_is_set_holds_at_once_and_stays_in_the_history(
    admin: httpx.AsyncClient, plane: Plane
) -> None:
    answer = await admin.put("/admin/prices/openai/gpt-x", json={"usd_per_million": RATES})
    assert answer.status_code == 200
    assert answer.json() == {
        "number": 1, "target": "openai/gpt-x", "since": "2026-10-31T08:00:00Z", "made_at": "2026-10-31T08:00:00Z",
        "actor": "admin", "taken_back": False, "usd_per_million": RATES, "usd_per_call": None, "free": False,
        "like": None,
    }  # fmt: skip
    shown = (await admin.get("/admin/prices/openai/gpt-x")).json()
    assert (shown["source"], shown["price_book"], shown["usd_per_million"]["input"]) == ("set", "set price 1", "2.5")
    await admin.put("/admin/prices/openai/gpt-x", json={"free": True, "since": "2026-11-30T00:00:00Z"})
    assert (await admin.get("/admin/prices/openai/gpt-x")).json()["free"] is False
    taken = await admin.delete("/admin/prices/openai/gpt-x")
    assert taken.json()["taken_back"] is True
    assert (await admin.get("/admin/prices/openai/gpt-x")).json()["source"] == "map"
    history = (await admin.get("/admin/prices/openai/gpt-x/history")).json()["items"]
    assert [one["number"] for one in history] == [3, 2, 1]
    actions = [entry.action for entry in (await AuditLog(plane.database).page()).items]
    assert actions == ["price.take_back", "price.set", "price.set"]


async def test_a_borrowed_price_names_its_lender(admin: httpx.AsyncClient) -> None:
    await admin.put("/admin/prices/gpu-box/*", json={"like": "openai"})
    shown = (await admin.get("/admin/prices/gpu-box/gpt-x")).json()
    assert (shown["source"], shown["like"], shown["usd_per_million"]["input"]) == ("set", "openai", "1")
    assert shown["price_book"].endswith("like openai by set price 1")
    every = (await admin.get("/admin/prices/gpu-box/*")).json()
    assert (every["like"], every["unknown_because"]) == ("openai", None)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({}, "not exactly one"),
        ({"free": True, "usd_per_call": "1"}, "not exactly one"),
        ({"usd_per_million": {"inputs": "1"}}, "unknown bucket"),
        ({"usd_per_million": {"input": "0"}}, "nothing but zeros"),
        ({"usd_per_million": {"input": 2.5}}, "money is a text"),
        ({"usd_per_million": {"input": "-1"}}, "from 0 to"),
        ({"usd_per_million": {"input": "1e99"}}, "from 0 to"),
        ({"usd_per_million": {"input": "two"}}, "not a decimal"),
        ({"like": "vllm"}, "without known prices"),
        ({"usd_per_million": {"input": "0.000001"}}, "was it meant per token?"),
        ({"free": True, "since": "soon"}, "not a point in time"),
        ({"free": True, "per_million": {}}, "Extra inputs"),
    ],
)
async def test_what_makes_no_sense_is_refused(admin: httpx.AsyncClient, body: dict[str, object], what: str) -> None:
    """Known faults 6 and 21."""
    answer = await admin.put("/admin/prices/openai/gpt-x", json=body)
    assert (answer.status_code, what in answer.text) == (422, True), answer.text
    assert (await admin.get("/admin/prices/openai/gpt-x/history")).json()["items"] == []


@pytest.mark.parametrize(
    ("target", "body", "param", "words"),
    [
        ("openai/gpt-x", {"usd_per_million": {"input": "0.000001"}}, "usd_per_million", "was it meant per token?"),
        ("gpu-box/gpt-y", {"like": "openai"}, "like", "no price of openai/gpt-y is known, so calls would have none"),
    ],
)
async def test_a_price_that_can_hardly_be_meant_needs_force(
    admin: httpx.AsyncClient, target: str, body: dict[str, object], param: str, words: str
) -> None:
    """Known faults 21 and 23, in the words of `tollkeeper prices set`."""
    path = f"/admin/prices/{target}"
    refused = await admin.put(path, json=body)
    told = refused.json()
    assert (refused.status_code, told["param"], words in told["detail"]) == (422, param, True), told
    assert "send `force: true` if it is meant" in told["hint"]
    assert (await admin.get(f"{path}/history")).json()["items"] == []
    assert (await admin.put(path, json={**body, "force": True})).status_code == 200


async def test_what_the_file_declares_is_read_only(admin: httpx.AsyncClient) -> None:
    path = "/admin/prices/gpu-box/llama-3-8b"
    for answer in (await admin.put(path, json={"free": True}), await admin.delete(path)):
        assert answer.status_code == 409
        assert answer.json()["hint"] == "change it there: tollkeeper.yaml, line 20"


@pytest.mark.parametrize("target", ["nobody/x", "openai", "openai/"])
async def test_targets_of_nobody_are_not_found(admin: httpx.AsyncClient, target: str) -> None:
    assert (await admin.get(f"/admin/prices/{target}")).status_code == 404
    assert (await admin.put(f"/admin/prices/{target}", json={"free": True})).status_code == 404


async def test_there_must_be_something_to_take_back(admin: httpx.AsyncClient) -> None:
    assert (await admin.delete("/admin/prices/openai/gpt-x")).status_code == 404
