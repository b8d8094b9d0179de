from pathlib import Path

import httpx
import pytest

from tests.control import seeds
from tests.control.plane import Plane

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ledger(admin: httpx.AsyncClient, plane: Plane, tmp_path: Path) -> httpx.AsyncClient:
    """The client, with `seeds.CALLS` in the ledger."""
    await seeds.fill(plane.database, tmp_path)
    return admin


async def ids(client: httpx.AsyncClient, query: str = "") -> list[int]:
    """The numbers of the calls that are listed."""
    answer = await client.get(f"/admin/calls{query}")
    assert answer.status_code == 200, answer.text
    return [int(call["id"][-3:]) for call in answer.json()["items"]]


async def test_calls_are_listed_newest_first(ledger: httpx.AsyncClient) -> None:
    assert await ids(ledger) == [1, 2, 3, 4, 5]


async def test_pages_follow_one_another(ledger: httpx.AsyncClient) -> None:
    seen, cursor = [], ""
    while True:
        page = (await ledger.get(f"/admin/calls?limit=2{cursor}")).json()
        seen += [int(call["id"][-3:]) for call in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?team=ads", [2]),
        ("?end=failed", [4]),
        ("?status=502", [4]),
        ("?target=gpu-box/llama-3-8b", [3]),
        ("?provider=gpu-box", [3]),
        ("?session=session-5", [5]),
        ("?key=ci&since=3h", [1, 2]),
        ("?since=2026-10-30&until=2026-10-31", [3, 4]),
        ("?model=fast&team=search&until=1d", [3, 5]),
        ("?key=nobody", []),
    ],
)
async def test_filters_narrow_the_list(ledger: httpx.AsyncClient, query: str, expected: list[int]) -> None:
    assert await ids(ledger, query) == expected


async def test_a_call_alone_has_its_attempts_and_charges(ledger: httpx.AsyncClient) -> None:
    answer = await ledger.get(f"/admin/calls/{seeds.CALLS[1].facts.id}")
    assert answer.status_code == 200
    call = answer.json()
    assert [attempt["end"] for attempt in call["attempts"]] == ["failed", "completed"]
    charge = {"attempt": 1, "bucket": "input", "quantity": 200, "usd_per_million": "2", "amount_usd": "0.000400000"}
    assert call["charges"] == [charge]
    assert call["cost_usd"] is None
    listed = (await ledger.get("/admin/calls?team=ads")).json()["items"][0]
    assert "attempts" not in listed
    assert listed == {name: value for name, value in call.items() if name not in ("attempts", "charges", "corrections")}


async def test_a_call_reads_as_the_contract_writes_it(ledger: httpx.AsyncClient) -> None:
    call = (await ledger.get(f"/admin/calls/{seeds.CALLS[0].facts.id}")).json()
    expected: dict[str, object] = {
        "started_at": "2026-10-31T07:00:00Z",
        "path": "/v1/chat/completions",
        "key": "ci",
        "key_id": "key-1",
        "team": "search",
        "labels": {},
        "session": "session-1",
        "end_user": None,
        "model": "fast",
        "target": "openai/gpt-4o-mini",
        "provider": "openai",
        "stream": True,
        "end": "completed",
        "status": 200,
        "error": None,
        "cache": "off",
        "usage_basis": "provider",
        "cost_usd": "0.001600000",
        "cost_at_least_usd": None,
        "avoided_usd": "0.000000000",
        "reserve_usd": "0.000000000",
        "held_usd": "0.000000000",
        "price_book": "test 1",
        "limit_lowered_to": None,
        "downgraded_from": None,
    }
    assert {name: call[name] for name in expected} == expected
    assert call["usage"]["cache_read"] == 800
    assert call["usage"]["reasoning"] is None
    assert call["timings"]["ttft_ms"] == 151.2
    assert call["timings"]["connect_ms"] is None
    assert call["attempts"][0]["upstream_request_id"] == "req-1"


@pytest.mark.parametrize("call_id", ["nothing", "0199c0de-0000-7000-8000-00000000ffff", "%00", "'--"])
async def test_an_unknown_call_is_not_found(ledger: httpx.AsyncClient, call_id: str) -> None:
    answer = await ledger.get(f"/admin/calls/{call_id}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "query",
    ["?limit=0", "?limit=1001", "?end=broken", "?status=99", "?cursor=x", "?since=soon", "?tema=x", "?team=", "?id=1"],
)
async def test_a_question_that_makes_no_sense_is_refused(admin: httpx.AsyncClient, query: str) -> None:
    """A mistyped filter must not show everything."""
    answer = await admin.get(f"/admin/calls{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
