"""The workers of a gateway, as one of them sees the others."""

from pathlib import Path
from typing import Any

import pytest

from gateway.app.team import Team, check_room
from gateway.control.dependencies import Check
from gateway.core.errors import Fault, Kind
from gateway.settings import load
from gateway.telemetry.board import Board
from tests.app.building import settings_file


def show(team: Team, metrics: dict[str, Any], checks: dict[str, Check]) -> None:
    team.show(lambda: metrics, lambda: checks)


WELL = {"database": Check(True, "fine"), "journal": Check(True, "fine")}
ILL = WELL | {"journal": Check(False, "no room")}


def told(calls: int) -> dict[str, Any]:
    return {"counts": calls}


def test_each_sees_what_the_others_showed_last() -> None:
    board = Board(3)
    one, two = Team(board, 0), Team(board, 1)
    show(one, told(1), WELL)
    show(one, told(2), WELL)
    show(two, told(5), WELL)
    assert one.metrics() == two.metrics() == [told(2), told(5)]
    assert one.size == 3


def test_a_replacement_knows_what_its_predecessor_told() -> None:
    board = Board(2)
    first = Team(board, 1)
    assert first.before is None
    show(first, told(7), WELL)
    assert Team(board, 1).before == told(7)
    assert Team(board, 0).before is None


def test_whichever_is_asked_says_that_one_is_ill() -> None:
    board = Board(2)
    well, ill = Team(board, 0), Team(board, 1)
    show(well, told(0), WELL)
    show(ill, told(0), ILL)
    assert well.weighed("journal", WELL["journal"]) == Check(False, "worker 1: no room")
    assert ill.weighed("journal", ILL["journal"]) == Check(False, "no room")
    assert well.weighed("database", WELL["database"]) == WELL["database"]
    show(ill, told(0), WELL)
    assert well.weighed("journal", WELL["journal"]) == WELL["journal"]


def test_one_that_is_silent_is_not_believed_any_more() -> None:
    """It was ill when it died; who takes its place will say how it is."""
    now = [100.0]
    board = Board(2)
    well, ill = Team(board, 0, lambda: now[0]), Team(board, 1, lambda: now[0])
    show(ill, told(0), ILL)
    now[0] += 2
    assert not well.weighed("journal", WELL["journal"]).ok
    now[0] += 2
    assert well.weighed("journal", WELL["journal"]).ok


def test_where_showing_takes_long_it_is_done_less_often() -> None:
    ticks = iter([0.0, 0.1, 1.0, 6.0])
    team = Team(Board(1), 0, lambda: next(ticks))
    show(team, told(0), WELL)
    assert not team.due, "a tenth of a second is worth five"
    assert team.due


@pytest.mark.parametrize(("workers", "enough"), [(16, True), (17, False)])
def test_each_worker_needs_its_share_of_the_journal(workers: int, enough: bool, tmp_path: Path) -> None:
    settings = load(settings_file(tmp_path, database="{journal_max: 16MiB}"), {})
    if enough:
        check_room(settings, workers)
    else:
        with pytest.raises(Fault, match="too small for 17 workers") as refusal:
            check_room(settings, workers)
        assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, "database.journal_max")
