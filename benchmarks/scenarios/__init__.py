"""What can be measured, by name, in the order in which `all` does it."""

from typing import Final

from benchmarks.scenarios import (
    bodies,
    budgets,
    burst,
    crowd,
    journal,
    latency,
    million,
    overview,
    profile,
    start,
    streams,
    streams5000,
    sustained,
)
from benchmarks.setting import Scenario

DEFAULT: Final = overview.SCENARIO
SCENARIOS: Final[dict[str, Scenario]] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        overview,
        journal,
        sustained,
        burst,
        budgets,
        crowd,
        streams,
        latency,
        bodies,
        streams5000,
        million,
        start,
        profile,
    )
}
ALL: Final = [scenario for scenario in SCENARIOS.values() if scenario is not DEFAULT]
