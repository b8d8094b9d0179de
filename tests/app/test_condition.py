"""How a gateway says it is, to whoever asks for readiness and metrics."""

from pathlib import Path

import pytest

from gateway.app.team import Team
from gateway.control.dependencies import Check
from gateway.telemetry.board import Board
from tests.app.building import ADMIN, built, running

pytestmark = pytest.mark.anyio


async def test_all_is_well_and_the_journal_tells_its_size(tmp_path: Path) -> None:
    gateway = built(tmp_path)
    async with running(gateway) as client:
        checks = (await client.get("/readyz", headers=ADMIN)).json()["checks"]
        assert all(check["ok"] for check in checks.values())
        size = int(checks["journal"]["detail"].split()[0])
        assert size == gateway.condition.storage().journal_bytes
        assert checks["providers"]["detail"] == "sim"


async def test_without_a_provider_it_is_not_ready(tmp_path: Path) -> None:
    async with running(built(tmp_path, providers="{}")) as client:
        assert (await client.get("/readyz")).status_code == 503


async def test_another_worker_that_cannot_take_calls_is_told_of(tmp_path: Path) -> None:
    board = Board(2)
    gateway = built(tmp_path, team=Team(board, 0))
    async with running(gateway) as client:
        assert (await client.get("/readyz")).status_code == 200
        full = {**gateway.condition.checks(), "journal": Check(False, "no room")}
        Team(board, 1).show(gateway.metrics.told, lambda: full)
        answer = await client.get("/readyz", headers=ADMIN)
        assert answer.status_code == 503
        assert answer.json()["checks"]["journal"] == {"ok": False, "detail": "worker 1: no room"}
