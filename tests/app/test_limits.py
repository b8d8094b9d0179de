"""Limits of the file become limits of the core."""

from pathlib import Path

import pytest

from gateway.app.budgets import budget_places, declared_budgets
from gateway.app.limits import declared_limits, limit_places
from gateway.core.budgets import Budget
from gateway.core.limits import Limit
from gateway.core.scopes import scope_of
from gateway.core.windows import Window
from gateway.settings import load
from tests.app.building import ADMIN, built, running, until

FILE = """\
limits:
  each-key: {scope: {key: "*", tag: [env=prod]}, rpm: 600, in_flight: 50}
keys:
  ci: {secret: env:CI, tpm: 1000, budget: 5.00/week}
  free: {secret: env:FREE}
"""


def test_of_scopes_and_of_keys(tmp_path: Path) -> None:
    config = tmp_path / "tollkeeper.yaml"
    config.write_text(FILE, encoding="utf-8")
    settings = load(config, {"CI": "tk-1", "FREE": "tk-2", "HOME": str(tmp_path)})
    assert declared_limits(settings) == (
        Limit("each-key", scope_of([("key", "*"), ("tag", "env=prod")]), 600, None, 50, "file"),
        Limit("key:ci", scope_of([("key", "ci")]), None, 1000, None, "file"),
    )
    assert limit_places(settings) == {"each-key": "tollkeeper.yaml, line 2", "key:ci": "tollkeeper.yaml, line 4"}
    own = Budget("key:ci", 5_000_000_000, Window.WEEK, scope=scope_of([("key", "ci")]), source="file")
    assert declared_budgets(settings) == (own,)
    assert budget_places(settings) == {"key:ci": "tollkeeper.yaml, line 4"}


CALL = {"model": "sim/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}


@pytest.mark.anyio
async def test_a_limit_that_is_made_holds_at_once_and_ends_at_once(tmp_path: Path) -> None:
    gateway = built(tmp_path)
    async with running(gateway) as client:
        await client.post("/admin/limits", headers=ADMIN, json={"name": "l", "tpm": 1})
        assert (await client.post("/v1/chat/completions", json=CALL)).status_code == 200
        refused = await client.post("/v1/chat/completions", json=CALL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert "the limit l is reached" in refused.json()["error"]["message"]
        await client.delete("/admin/limits/l", headers=ADMIN)
        assert (await client.post("/v1/chat/completions", json=CALL)).status_code == 200


@pytest.mark.anyio
async def test_a_key_is_bound_by_its_own_limit_and_budget(tmp_path: Path) -> None:
    gateway = built(tmp_path, prices="{sim/*: {usd_per_call: 0.25}}")
    async with running(gateway) as client:
        stated = {"name": "a", "budget": "0.25/lifetime", "rpm": 2}
        made = (await client.post("/admin/keys", headers=ADMIN, json=stated)).json()
        bearer = {"authorization": f"Bearer {made['key']}"}
        codes = []
        for _ in range(3):
            answer = await client.post("/v1/chat/completions", headers=bearer, json=CALL)
            codes.append(answer.json()["error"]["code"] if answer.is_error else "")
        assert codes == ["", "insufficient_quota", "rate_limit_exceeded"]
        free = (await client.post("/admin/keys", headers=ADMIN, json={"name": "b"})).json()
        bearer = {"authorization": f"Bearer {free['key']}"}
        assert (await client.post("/v1/chat/completions", headers=bearer, json=CALL)).status_code == 200


@pytest.mark.anyio
async def test_a_change_by_somebody_else_is_in_force_soon(tmp_path: Path) -> None:
    gateway = built(tmp_path)
    async with running(gateway):
        await gateway.limits.repository.add(Limit("l", rpm=1), "cli")

        async def in_force() -> bool:
            return len(gateway.limits.store.limits.all) == 1

        await until(in_force)
