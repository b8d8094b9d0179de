"""Where the time of a call goes: `benchmarks.steps` in a process of its own, and figures of what it prints."""

import json
import subprocess
import sys

from benchmarks.failed import Failed
from benchmarks.machine import on_core
from benchmarks.measure import Measured
from benchmarks.processes import HOUSE, environment
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting

PATIENCE = 60.0
"""Seconds beyond the asked ones, for the start and for shipping the rows."""


def run(setting: Setting) -> Measured:
    """Median microseconds of every step, plain and streamed."""
    with on_core(setting.cores.gateway):
        done = subprocess.run(  # noqa: S603  our own interpreter, and a number
            [sys.executable, "-m", "benchmarks.steps", str(setting.seconds)],
            env=environment(),
            cwd=HOUSE,
            capture_output=True,
            text=True,
            timeout=setting.seconds + PATIENCE,
            check=False,
        )
    if done.returncode != 0:
        raise Failed(f"the steps could not be timed; the end of the log:\n{done.stderr[-2000:]}")
    told: dict[str, dict[str, float]] = json.loads(done.stdout)
    figures = [figure for kind, steps in told.items() for figure in _figures(kind, steps)]
    return Measured(figures, ["these are the modules of the Python that runs this, whatever --command names"])


def _figures(kind: str, steps: dict[str, float]) -> list[Figure]:
    *names, together = steps
    around = steps[together] - sum(steps[name] for name in names)
    values = {
        **{name: steps[name] for name in names},
        "around the steps (ASGI, header fields, the watch)": around,
        together: steps[together],
    }
    return [
        Figure(f"{kind}.{name.partition(' (')[0].replace(' ', '_')}", f"{kind}: {name}", value, "µs")
        for name, value in values.items()
    ]


SCENARIO = Scenario("profile", "One call, step by step in one process, medians", run, seconds=20)
