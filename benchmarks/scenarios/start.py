"""From the start of the process to its first good answer, on a database that is there already; and `--help`."""

import subprocess
from statistics import median
from time import perf_counter

from benchmarks.aims import HELP_S, START_S
from benchmarks.failed import Failed
from benchmarks.load import Loop
from benchmarks.machine import on_core
from benchmarks.measure import Measured, books, caught_up, load
from benchmarks.processes import environment
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import made_ready, served
from benchmarks.usage import cpu_seconds

CALLS = 2_000
"""In the database that is there already."""


def run(setting: Setting) -> Measured:
    out = Measured()
    with made_ready(setting.cores, setting.command) as place:
        with served(place) as stage:
            first = stage.first_answer_s
            load(out, stage, Loop(stage.door, 16, calls=CALLS))
            caught_up(place)
        starts, costs = [], []
        for _ in range(setting.count):
            with served(place) as stage:
                starts.append(stage.first_answer_s)
                costs.append(cpu_seconds(stage.pid))
        helps = [_help(setting) for _ in range(setting.count)]
        known = [cost for cost in costs if cost is not None]
        out.figures += [
            Figure("first_answer_s", f"start to first answer, median of {setting.count}", median(starts), "s", START_S),
            Figure("first_answer_least_s", "  the fastest", min(starts), "s"),
            Figure("first_answer_most_s", "  the slowest", max(starts), "s"),
            Figure("cpu_s", "  CPU of it, median", median(known) if known else None, "s"),
            Figure("first_answer_empty_s", "  on an empty folder, with the making of a database", first, "s"),
            Figure("help_s", f"tollkeeper --help, median of {setting.count}", median(helps), "s", HELP_S),
            *books(out, place),
        ]
    return out


def _help(setting: Setting) -> float:
    begun = perf_counter()
    with on_core(setting.cores.gateway):
        done = subprocess.run(  # noqa: S603  what the one who measures named
            [setting.command, "--help"], env=environment(), capture_output=True, text=True, check=False
        )
    seconds = perf_counter() - begun
    if done.returncode != 0 or "serve" not in done.stdout:
        raise Failed(f"--help ended with {done.returncode}: {done.stderr[-500:]}")
    return seconds


SCENARIO = Scenario("start", "Start to first answer with an existing database", run, count=7, counted="starts")
