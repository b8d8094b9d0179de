"""The gateway as the composition root builds it, from settings to an answer and a row."""

import asyncio
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.core.pricing import FilePrice
from gateway.storage.engine import Database
from gateway.storage.prices import PriceRepository
from tests.app.building import ADMIN, built, running, until
from tests.databases import operator
from tests.postgres_server import PostgresServer

CHAT = {"model": "sim/m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.anyio
async def test_a_call_in_an_answer_out_a_row_with_an_exact_cost(tmp_path: Path) -> None:
    prices = "\n  sim/m: {usd_per_million: {input: 1, output: 10, cache_read: 0.1, reasoning: 10}}"
    async with running(built(tmp_path, prices=prices)) as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)
        assert answer.status_code == 200
        assert answer.headers["x-tollkeeper-simulated"] == "true"

        async def rows() -> Any:
            return (await client.get("/admin/calls", headers=ADMIN)).json()["items"]

        (row,) = await until(rows)
        usage = answer.json()["usage"]
        cost = usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 10_000
        assert row["cost_usd"] == answer.headers["x-tollkeeper-cost-usd"] == f"0.{cost:09d}"
        totals = (await client.get("/admin/usage", headers=ADMIN)).json()["totals"]
        assert totals["cost_usd"] == row["cost_usd"]
        assert (await client.get("/readyz")).json()["status"] == "ok"


@pytest.mark.anyio
async def test_a_key_of_the_file_is_known_and_keys_are_then_needed(tmp_path: Path) -> None:
    keys = "\n  ci: {secret: env:CI_KEY, team: platform, models: [sim/m]}"
    gateway = built(tmp_path, {"CI_KEY": "tk-from-the-file"}, keys=keys)
    async with running(gateway) as client:
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 401
        bearer = {"authorization": "Bearer tk-from-the-file"}
        assert (await client.post("/v1/chat/completions", json=CHAT, headers=bearer)).status_code == 200
        other = await client.post("/v1/chat/completions", json={**CHAT, "model": "sim/x"}, headers=bearer)
        assert (other.status_code, other.json()["error"]["code"]) == (403, "model_not_allowed")
        (item,) = (await client.get("/admin/keys", headers=ADMIN)).json()["items"]
        assert (item["name"], item["source"]) == ("ci", "file")


@pytest.mark.anyio
async def test_nothing_but_keys_budgets_limits_and_prices_can_be_changed_over_the_network(tmp_path: Path) -> None:
    """Known faults 78, 80: configuration, and with it every outbound address, comes from the file alone.

    What can be done about alerts goes to the addresses of the file.
    """
    async with running(built(tmp_path)) as client:
        described = (await client.get("/admin/openapi.json", headers=ADMIN)).json()["paths"]
    changing = {path for path, verbs in described.items() if set(verbs) - {"get"}}
    assert changing
    changeable = ("/admin/keys", "/admin/budgets", "/admin/limits", "/admin/prices", "/admin/alerts")
    assert {path for path in changing if not path.startswith(changeable)} == set()


@pytest.mark.anyio
@pytest.mark.timed
async def test_a_price_that_is_set_holds_from_the_next_call_on(tmp_path: Path) -> None:
    """By the API at once; by another process, with a database of its own, within two seconds."""
    gateway = built(tmp_path)
    async with running(gateway) as client:
        assert "x-tollkeeper-cost-usd" not in (await client.post("/v1/chat/completions", json=CHAT)).headers
        set_price = {"json": {"usd_per_call": "0.25"}, "headers": ADMIN}
        assert (await client.put("/admin/prices/sim/m", **set_price)).status_code == 200  # type: ignore[arg-type]
        answer = await client.post("/v1/chat/completions", json=CHAT)
        assert answer.headers["x-tollkeeper-cost-usd"] == "0.250000000"

        elsewhere = Database(gateway.settings.database.url)
        await PriceRepository(elsewhere).set("sim/m", FilePrice("sim/m", usd_per_call=Decimal("0.5")), 0, "cli")
        await PriceRepository(elsewhere).set("sim/m", FilePrice("sim/m", free=True), time.time_ns() // 1000, "cli")
        await elsewhere.close()

        async def free() -> bool:
            answer = await client.post("/v1/chat/completions", json=CHAT)
            return answer.headers["x-tollkeeper-cost-usd"] == "0.000000000"

        await until(free, patience=2.0)

        async def rows() -> Any:
            items = (await client.get("/admin/calls", headers=ADMIN)).json()["items"]
            return items if items[-1]["cost_usd"] is None and items[0]["price_book"] == "set price 3" else None

        assert (await until(rows))[-2]["price_book"] == "set price 1"


@pytest.mark.anyio
async def test_an_unpriced_call_raises_a_counter_and_shows_its_tokens(tmp_path: Path) -> None:
    """Known fault 22: an unknown model is no zero; it is counted where an alert can see it."""
    async with running(built(tmp_path)) as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)

        async def totals() -> Any:
            found = (await client.get("/admin/usage", headers=ADMIN)).json()["totals"]
            return found if found["calls"] else None

        found = await until(totals)
        assert (found["cost_usd"], found["unpriced_calls"]) == (None, 1)
        usage = answer.json()["usage"]
        assert (found["usage"]["input"], found["usage"]["output"]) == (
            usage["prompt_tokens"], usage["completion_tokens"],
        )  # fmt: skip
        metrics = (await client.get("/metrics", headers=ADMIN)).text
    counted = [line for line in metrics.splitlines() if line.startswith("tollkeeper_unpriced_calls_total{")]
    assert [line.rpartition(" ")[2] for line in counted] == ["1.0"]


@pytest.mark.anyio
async def test_simulated_models_are_listed(tmp_path: Path) -> None:
    async with running(built(tmp_path)) as client:
        listed = (await client.get("/v1/models")).json()["data"]
    assert "sim/simulated" in [model["id"] for model in listed]


@pytest.mark.anyio
async def test_targets_that_deserve_a_label_in_the_metrics(tmp_path: Path) -> None:
    """A client can ask for any name: names that nobody knows share one label."""
    async with running(built(tmp_path, models="\n  fast: {targets: [sim/aliased]}")) as client:
        for model in ("fast", "sim/made-up-1", "sim/made-up-2"):
            await client.post("/v1/chat/completions", content=json.dumps({**CHAT, "model": model}))
        metrics = (await client.get("/metrics", headers=ADMIN)).text
    assert 'target="sim/aliased"' in metrics
    assert "made-up" not in metrics


@pytest.mark.anyio
async def test_a_gateway_makes_the_months_of_its_ledger(tmp_path: Path, postgres: PostgresServer) -> None:
    """On PostgreSQL, as soon as it starts and beside its first calls."""
    url = postgres.new_database()
    async with running(built(tmp_path, database=f"{{url: '{url}'}}")) as client:
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
        with operator(url) as sql:

            async def month_of_the_call() -> Any:
                # In a thread: the gateway is in this one, and may have the tables alone.
                placed = "SELECT tableoid::regclass::text FROM calls WHERE tableoid <> 'calls_other'::regclass"
                return await asyncio.to_thread(sql.one, placed)

            assert await until(month_of_the_call) == f"calls_{datetime.now(UTC):%Y%m}"
    postgres.drop(url)
