"""The budgets in force, with what alert rules have lowered."""

from pathlib import Path

import pytest

from gateway.app.budget_desk import budget_desk
from gateway.control.budget_terms import Models
from gateway.core.actions import Action, Stage
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Alert
from gateway.settings import load
from gateway.storage.actions import ActionRepository, ActionStore
from gateway.storage.alerts import AlertRepository
from gateway.storage.engine import Database
from tests.app.building import settings_file
from tests.fakes.clock import FakeClock

ALERT = Alert("spent", "budget.threshold", "all", "w", 1)
LOWER = Action("action-1", ALERT.id, "spent", Deed(Act.LOWER, limit_nano=3_000_000_000), "all", 1)


@pytest.mark.anyio
async def test_a_rule_lowers_a_budget_everywhere_until_that_is_undone(db: Database, tmp_path: Path) -> None:
    clock, acting = FakeClock(), ActionStore(ActionRepository(db))
    stated = '{all: {limit_usd: "5"}, other: {limit_usd: "7"}}'
    settings = load(settings_file(tmp_path, budgets=stated), {})
    desk = budget_desk(settings, db, acting, Models((), ()), clock.now_us)
    await AlertRepository(db, now_us=clock.now_us).raise_alert(ALERT, [], LOWER)
    assert await acting.refresh()
    assert await desk.store.refresh()
    assert not await desk.store.refresh()

    def limits() -> dict[str, int]:
        return {one.name: one.limit_at(clock.now_us()) // 1_000_000_000 for one in desk.store.budgets.all}

    assert limits() == {"all": 3, "other": 7}
    (standing, _) = await desk.standings.of(desk.declared)
    assert (standing.limit, standing.budget.lowered_nano) == (3_000_000_000, 3_000_000_000)
    assert standing.lowered_by == LOWER
    assert standing.figures is not None
    assert standing.figures.remaining == 3_000_000_000
    await ActionRepository(db).decide("action-1", Stage.UNDONE, "me")
    assert await acting.refresh()
    assert await desk.store.refresh()
    assert limits() == {"all": 5, "other": 7}
