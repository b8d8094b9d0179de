from decimal import Decimal
from pathlib import Path
from typing import Any

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


async def usage(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/admin/usage{query}")
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def test_an_empty_ledger_has_no_rows_and_spent_nothing(admin: httpx.AsyncClient) -> None:
    report = await usage(admin, "?group_by=team,model")
    assert report["rows"] == []
    assert report["totals"]["calls"] == 0
    assert report["totals"]["ttft_ms"] == {"p50": None, "p95": None, "p99": None}


async def test_the_last_thirty_days_unless_a_period_is_given(ledger: httpx.AsyncClient) -> None:
    assert (await usage(ledger))["totals"]["calls"] == 4
    assert (await usage(ledger, "?since=50d"))["totals"]["calls"] == 5
    assert (await usage(ledger, "?since=3h"))["totals"]["calls"] == 2
    assert (await usage(ledger, "?since=2026-10-30&until=2026-10-31"))["totals"]["calls"] == 2
    assert (await usage(ledger, "?since=2026-10-31T06:00:00Z&until=now"))["totals"]["calls"] == 2
    assert (await usage(ledger, "?since=2026-10-31T07:30:00%2B01:00"))["totals"]["calls"] == 1


async def test_totals_hold_what_is_known_and_count_what_is_not(ledger: httpx.AsyncClient) -> None:
    totals = (await usage(ledger))["totals"]
    assert (totals["calls"], totals["attempts"], totals["errors"]) == (4, 5, 1)
    assert (totals["unpriced_calls"], totals["estimated_calls"]) == (3, 1)
    assert totals["usage"]["cache_read"] == 2400
    assert totals["usage"]["audio_in"] is None


async def test_rows_by_team_add_up_to_the_totals(ledger: httpx.AsyncClient) -> None:
    """Known fault 31: the total is the sum of its rows."""
    report = await usage(ledger, "?group_by=team")
    assert {row["team"] for row in report["rows"]} == {"search", "ads", None}
    for field in ("calls", "attempts", "errors", "unpriced_calls", "estimated_calls"):
        assert sum(row[field] for row in report["rows"]) == report["totals"][field]
    known = [Decimal(row["cost_usd"]) for row in report["rows"] if row["cost_usd"] is not None]
    assert sum(known) == Decimal(report["totals"]["cost_usd"])


async def test_an_interval_splits_rows_by_their_start(ledger: httpx.AsyncClient) -> None:
    rows = (await usage(ledger, "?group_by=target&interval=day"))["rows"]
    assert {row["start"] for row in rows} == {"2026-10-30T00:00:00Z", "2026-10-31T00:00:00Z"}
    assert all("target" in row for row in rows)


async def test_filters_narrow_the_sum(ledger: httpx.AsyncClient) -> None:
    assert (await usage(ledger, "?team=ads"))["totals"]["calls"] == 1
    assert (await usage(ledger, "?end=failed&provider=openai"))["totals"]["calls"] == 1
    assert (await usage(ledger, "?target=gpu-box/llama-3-8b"))["totals"]["calls"] == 1
    assert (await usage(ledger, "?team=nobody"))["totals"]["calls"] == 0
    assert (await usage(ledger, "?team=%27%20OR%201=1--"))["totals"]["calls"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "?group_by=tema",
        "?group_by=team,",
        "?group_by=id",
        "?tema=search",
        "?team=",
        "?end=broken",
        "?interval=week",
        "?since=yesterday",
        "?since=2026-10-31T08:00:00+01:00",
        "?since=1d&until=2d",
        "?since=now&until=now",
        "?since=2000d&interval=hour",
        "?since=99999w&interval=month",
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(admin: httpx.AsyncClient, query: str) -> None:
    """A mistyped filter must not return a total of something else."""
    answer = await admin.get(f"/admin/usage{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
