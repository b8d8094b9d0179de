"""A clock that is set forward and back while a real gateway works: rows, hours, durations, lag and keys stay right."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.databases import Operator, new_database, operator
from tests.e2e.books import held
from tests.e2e.gateway import Served, serving, until
from tests.e2e.raw import Answers, body_for, post
from tests.e2e.shifted import PROGRAM, ShiftedClock
from tests.e2e.test_bad_databases import MODEL, call, check
from tests.e2e.upstream import PATIENCE, Line, Request, Upstream, completion, open_ended, whole

DAY = 24 * 3600
HOUR_US = 3_600_000_000
COST_NANO = 3_000_000

Arrivals = dict[str, int]
"""By the id of a call how many seconds the clock was ahead when it arrived."""


@pytest.fixture
def clock(tmp_path: Path) -> ShiftedClock:
    clock = ShiftedClock(tmp_path / "clock")
    clock.shift(0)
    return clock


def jumps(gateway: Served, clock: ShiftedClock) -> Arrivals:
    """Between calls: all of them can be seen before the next jump."""
    arrived: Arrivals = {}
    for seconds in (0, DAY, -DAY, 400 * DAY, 0):
        clock.shift(seconds)
        arrived |= {call(gateway): seconds for _ in range(2)}
        gateway.rows(len(arrived), until="2100-01-01")
    return arrived


def jumps_amid_calls(gateway: Served, clock: ShiftedClock, upstream: Upstream) -> Arrivals:
    arrived: Arrivals = {}
    for before, after in ((DAY, -DAY), (-DAY, DAY)):
        asked, go_on = Event(), Event()

        def script(_: Request, line: Line, asked: Event = asked, go_on: Event = go_on) -> None:
            asked.set()
            assert go_on.wait(PATIENCE)
            line.send(whole(completion()))

        upstream.plays("clock", script)
        clock.shift(before)
        with ThreadPoolExecutor(1) as pool:
            id = pool.submit(call, gateway, model="up/clock")
            assert asked.wait(PATIENCE)
            clock.shift(after)
            go_on.set()
        arrived[gateway.call_of(id.result())["id"]] = before
    return arrived


def jumps_while_rows_wait(gateway: Served, clock: ShiftedClock, books: str) -> Arrivals:
    """A call that ended in what is the future now has waited for no time yet, and not for less."""
    with held(books):
        clock.shift(DAY)
        ahead = call(gateway)
        until(lambda: gateway.metric("tollkeeper_journal_oldest_frame_age_seconds") > 0, "it to wait")
        clock.shift(0)
        assert gateway.metric("tollkeeper_journal_oldest_frame_age_seconds") == 0
        behind = call(gateway)
    return {ahead: DAY, behind: 0}


def test_rows_and_sums_are_right_whatever_the_clock_does(
    database_url: str, settings: str, upstream: Upstream, clock: ShiftedClock, tmp_path: Path
) -> None:
    """Each call once, in the hour in which it began, for as long as it took; also those that a dead process left."""
    begun = time.time()
    environ = {"BOOKS": database_url, "CLOCK": str(tmp_path / "clock")}
    upstream.plays("clock-open", open_ended)
    with serving(tmp_path, settings, program=PROGRAM, **environ) as gateway:
        arrived = jumps(gateway, clock)
        arrived |= jumps_amid_calls(gateway, clock, upstream)
        arrived |= jumps_while_rows_wait(gateway, clock, database_url)
        clock.shift(DAY)
        with gateway.connect() as line:
            line.sendall(post(body_for("up/clock-open", stream=True)))
            status, fields = Answers(line).head()[:2]
            assert status == 200
            gateway.kill()
    cut = fields["x-tollkeeper-call-id"]
    clock.shift(-DAY)
    with serving(tmp_path, settings, program=PROGRAM, **environ) as gateway:
        arrived[call(gateway)] = -DAY
        rows = gateway.rows(len(arrived) + 1, until="2100-01-01")
        until(lambda: check(gateway, "figures")["ok"], "the end of the replay")
        assert check(gateway, "database")["ok"]
        assert gateway.metric("tollkeeper_journal_oldest_frame_age_seconds") == 0
    ends = {row["id"]: row["end"] for row in rows}
    assert ends == {cut: "interrupted"} | dict.fromkeys(arrived, "completed")
    with operator(database_url) as sql:
        books_are_right(sql, {**arrived, cut: DAY}, begun)


def books_are_right(sql: Operator, arrived: Arrivals, begun: float) -> None:
    took = time.time() - begun
    rows = sql.rows("SELECT id, started_us, duration_ms FROM calls")
    assert len(rows) == len(arrived), "a call is lost, or there twice"
    for id, started_us, duration_ms in rows:
        assert 0 <= started_us / 1e6 - arrived[id] - begun <= took, id
        assert duration_ms is None or 0 <= duration_ms <= 1000 * took, id
    assert sql.count("attempts") == len(rows)
    assert sql.one("SELECT min(duration_ms) FROM attempts") >= 0
    counted = f"SELECT started_us / {HOUR_US} * {HOUR_US}, count(*), sum(cost_nano) FROM calls GROUP BY 1 ORDER BY 1"  # noqa: S608
    summed = "SELECT hour_us, sum(calls), sum(cost_nano) FROM rollups_hourly GROUP BY hour_us ORDER BY hour_us"
    assert sql.rows(summed) == sql.rows(counted)


def test_a_key_lives_by_the_clock_and_stays_revoked(settings: str, clock: ShiftedClock, tmp_path: Path) -> None:
    """One that a wrong clock held to be expired is in force again when it is set right; a revoked one never is."""
    environ = {"BOOKS": new_database(tmp_path), "CLOCK": str(tmp_path / "clock")}
    with serving(tmp_path, settings, program=PROGRAM, **environ) as gateway:
        key = {"name": "ci", "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
        made: dict[str, Any] = gateway.admin.post("/admin/keys", json=key).json()
        headers = {"authorization": f"Bearer {made['key']}"}

        def answered() -> int:
            return gateway.post(MODEL, headers=headers).status_code

        until(lambda: answered() == 200, "the key to be known")
        for seconds, status in ((DAY, 401), (0, 200), (-DAY, 200), (0, 200)):
            clock.shift(seconds)
            assert answered() == status, seconds
        assert gateway.admin.delete(f"/admin/keys/{made['id']}").status_code == 200
        until(lambda: answered() == 401, "the key to be gone")
        for seconds in (-DAY, DAY, 0):
            clock.shift(seconds)
            assert answered() == 401, seconds
