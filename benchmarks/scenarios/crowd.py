"""Three budgets among ten thousand, and a key among a hundred thousand: start, memory, and the speed of a call."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from statistics import median

from benchmarks.aims import CROWD_MB, CROWD_START_S, SAME_SPEED
from benchmarks.load import Loop
from benchmarks.measure import CLIENTS, Loaded, Measured, books, caught_up, load, warm_up
from benchmarks.report import Figure
from benchmarks.scenarios.budgets import THREE
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import Place, Stage, made_ready, served, set_up
from benchmarks.usage import resident_mb

_BURSTS = 5
_A_BUDGET_FOR = 10
"""One key of so many has a budget of its own."""
_NUMBERS = """CREATE TEMP TABLE numbers AS
    WITH RECURSIVE up(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM up WHERE n < :keys) SELECT n FROM up"""
_KEYS = """INSERT INTO keys (id, name, prefix, digest, created_us, team, labels)
    SELECT 'key-' || n, 'app-' || n, 'tk-' || n, printf('%064x', n), 1, 'team-' || (n % 100), '{}' FROM numbers"""
_BUDGETS = """INSERT INTO budgets (name, limit_nano, window, timezone, mode, scope, alert_at, on_exhausted,
    unpriced_allowed, raised_nano, since_us) SELECT 'key:app-' || n, 5000000000, 'month', 'UTC', 'hard',
    '[["key", "app-' || n || '"]]', '[]', 'refuse', false, 0, 1 FROM numbers WHERE n <= :budgets"""
_STARTS = """INSERT INTO budget_starts (budget, shape, since_us)
    SELECT 'key:app-' || n, 'month UTC key=app-' || n, 1 FROM numbers WHERE n <= :budgets"""


def run(setting: Setting) -> Measured:
    out = Measured()
    with (
        set_up(setting.cores, setting.command, more=THREE) as alone,
        made_ready(setting.cores, setting.command, more=THREE) as place,
    ):
        with served(place):
            pass  # makes the database
        _fill(place, setting.count)
        with served(place) as among:
            began, idle = among.first_answer_s, resident_mb(among.pid)
            rates = _rates(out, setting, alone, among)
            out.figures += [
                Figure("first_answer_s", f"start to first answer, {setting.count:,} keys", began, "s", CROWD_START_S),
                Figure("rss_idle_mb", "memory before the first call", idle, "MB"),
                Figure("rss_mb", "  after the calls", resident_mb(among.pid), "MB", CROWD_MB),
                Figure("calls_alone", f"calls, {CLIENTS} clients, one key and three budgets", rates[0], "/s"),
                Figure("calls_among", f"calls, {CLIENTS} clients, among all", rates[1], "/s"),
                Figure("share", "  of the calls without the others", 100 * rates[1] / rates[0], "%", SAME_SPEED),
                *books(out, place),
            ]
    return out


def _fill(place: Place, keys: int) -> None:
    with closing(sqlite3.connect(place.ledger)) as ledger, ledger:
        for statement in (_NUMBERS, _KEYS, _BUDGETS, _STARTS):
            ledger.execute(statement, {"keys": keys, "budgets": keys // _A_BUDGET_FOR})


def _rates(out: Measured, setting: Setting, *stages: Stage) -> list[float]:
    """Calls a second of each, measured in turn."""
    for stage in stages:
        warm_up(out, stage, min(1.0, setting.seconds))
    bursts = [list(_turn(out, setting, stages)) for _ in range(_BURSTS)]
    return [median(burst[number].per_second or 0 for burst in bursts) for number in range(len(stages))]


def _turn(out: Measured, setting: Setting, stages: tuple[Stage, ...]) -> Iterator[Loaded]:
    for stage in stages:
        caught_up(stage.place)
        yield load(out, stage, Loop(stage.door, CLIENTS, seconds=setting.seconds), "burst")


SCENARIO = Scenario(
    "crowd",
    "Three budgets among ten thousand, a key among a hundred thousand",
    run,
    seconds=2,
    count=100_000,
    counted="keys, a tenth of them with a budget",
)
