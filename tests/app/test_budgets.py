"""From the file to budgets in force: what it says is what holds, from the start on."""

import json
from pathlib import Path

import pytest

from gateway.app.budgets import budget_places, declared_budgets
from gateway.core.budgets import Budget, Exhausted, Mode
from gateway.core.scopes import scope_of
from gateway.core.windows import Window
from gateway.settings import load
from tests.app.building import ADMIN, built, running, settings_file, until

STATED = """
  everything: {limit_usd: "500", window: week, timezone: Europe/Berlin, mode: soft, alert_at: [50, 80]}
  search:
    limit_usd: 0.5
    scope: {tag: [env=prod], key: "*"}
    on_exhausted: downgrade
    downgrade_to: sim/small
    unpriced: allow"""


def test_budgets_are_as_the_file_says(tmp_path: Path) -> None:
    settings = load(settings_file(tmp_path, budgets=STATED), {})
    everything = Budget(
        "everything", 500_000_000_000, Window.WEEK, "Europe/Berlin", Mode.SOFT, alert_at=(50, 80), source="file"
    )
    search = Budget(
        "search", 500_000_000, Window.MONTH, scope=scope_of([("key", "*"), ("tag", "env=prod")]),
        exhausted=Exhausted.DOWNGRADE, downgrade_to="sim/small", unpriced_allowed=True, source="file",
    )  # fmt: skip
    assert declared_budgets(settings) == (everything, search)
    assert budget_places(settings) == {"everything": "tollkeeper.yaml, line 5", "search": "tollkeeper.yaml, line 6"}
    assert declared_budgets(load(settings_file(tmp_path), {})) == ()


@pytest.mark.anyio
async def test_a_gateway_begins_with_the_files_budgets_and_takes_others(tmp_path: Path) -> None:
    """Spent is what its calls have cost so far, whether they came before the budget or it before them."""
    prices = "{sim/*: {usd_per_call: 0.25}}"
    call = {"model": "sim/m", "messages": [{"role": "user", "content": "hi"}]}
    async with running(built(tmp_path, prices=prices)) as client:
        answer = await client.post("/v1/chat/completions", json=call)
        assert answer.headers["x-tollkeeper-cost-usd"] == "0.250000000"
    gateway = built(tmp_path, prices=prices, budgets="{all: {limit_usd: 1, window: lifetime}}")
    async with running(gateway) as client:
        shown = (await client.get("/admin/budgets/all", headers=ADMIN)).json()
        assert (shown["spent_usd"], shown["remaining_usd"], shown["source"]) == ("0.250000000", "0.750000000", "file")
        new = {"name": "per-provider", "limit_usd": "2", "window": "lifetime", "scope": {"provider": "*"}}
        made = (await client.post("/admin/budgets", headers=ADMIN, json=new)).json()
        assert (made["spent_usd"], made["remaining_usd"]) == ("0.250000000", "1.750000000")
        names = [one.name for one in gateway.budgets.budgets.all]
        assert names == ["all", "per-provider"], json.dumps(made)


@pytest.mark.anyio
async def test_a_hard_budget_ends_at_its_limit_and_goes_on_with_a_higher_one(tmp_path: Path) -> None:
    """Known fault 44: the refusal names the budget, what is spent, held and left, and when it begins anew."""
    call = {"model": "sim/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    gateway = built(tmp_path, prices="{sim/*: {usd_per_call: 0.25}}")
    async with running(gateway) as client:
        new = {"name": "b", "limit_usd": "0.6", "timezone": "Europe/Berlin", "window": "year"}
        resets_at = (await client.post("/admin/budgets", headers=ADMIN, json=new)).json()["resets_at"]
        statuses = [(await client.post("/v1/chat/completions", json=call)).status_code for _ in range(2)]
        refused = await client.post("/v1/chat/completions", json=call)
        assert (statuses, refused.status_code) == ([200, 200], 429)
        message = refused.json()["error"]["message"]
        assert all(words in message for words in ("budget b", "$0.600000000", resets_at[:10])), message
        raised = {"raised": {"usd": "0.2", "until": "2099-01-01T00:00:00Z"}}
        await client.patch("/admin/budgets/b", headers=ADMIN, json=raised)
        assert (await client.post("/v1/chat/completions", json=call)).status_code == 200

        async def spent() -> bool:
            shown = (await client.get("/admin/budgets/b", headers=ADMIN)).json()
            left = shown["spent_usd"], shown["held_usd"], shown["remaining_usd"], shown["over_usd"]
            return left == ("0.750000000", "0.000000000", "0.050000000", "0.000000000")

        await until(spent)


@pytest.mark.anyio
async def test_a_change_by_somebody_else_is_in_force_soon(tmp_path: Path) -> None:
    gateway = built(tmp_path)
    async with running(gateway):
        await gateway.budget_desk.repository.add(Budget("b", 1, Window.DAY), "cli")

        async def in_force() -> bool:
            return len(gateway.budgets.budgets) == 1

        await until(in_force)
