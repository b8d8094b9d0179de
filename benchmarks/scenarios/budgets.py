"""What holding costs: the same bursts past a gateway without budgets and one with three that apply to every call."""

from statistics import median

from benchmarks.aims import HOLDING_US, WITH_BUDGETS
from benchmarks.load import Loop
from benchmarks.measure import CLIENTS, Loaded, Measured, books, caught_up, load, warm_up
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import set_up

THREE = """\
budgets:
  everything: {limit_usd: "100000", window: month}
  each-key: {limit_usd: "100000", window: day, scope: {key: "*"}}
  bench-team: {limit_usd: "100000", window: week, scope: {team: bench}}
"""


def run(setting: Setting) -> Measured:
    out = Measured()
    with set_up(setting.cores, setting.command) as plain, set_up(setting.cores, setting.command, more=THREE) as held:
        for stage in (plain, held):
            warm_up(out, stage, min(1.0, setting.seconds))
        bursts: dict[str, list[Loaded]] = {"plain": [], "held": []}
        for _ in range(setting.count):
            for name, stage in (("plain", plain), ("held", held)):
                caught_up(stage.place)
                bursts[name].append(load(out, stage, Loop(stage.door, CLIENTS, seconds=setting.seconds), "burst"))
        without, with_three = (_cpu(bursts[name]) for name in ("plain", "held"))
        added = None if without is None or with_three is None else with_three - without
        rates = {name: median(burst.per_second or 0 for burst in some) for name, some in bursts.items()}
        out.figures += [
            Figure("cpu_us_plain", "CPU of the gateway per call, without budgets", without, "µs"),
            Figure("cpu_us_held", "CPU of the gateway per call, three budgets apply", with_three, "µs"),
            Figure("cpu_us_added", "  added by holding, the ledger's part included", added, "µs", HOLDING_US),
            Figure("calls_plain", f"calls, {CLIENTS} clients, without budgets", rates["plain"], "/s"),
            Figure("calls_held", f"calls, {CLIENTS} clients, three budgets apply", rates["held"], "/s"),
            Figure("share", "  of the calls without", 100 * rates["held"] / rates["plain"], "%", WITH_BUDGETS),
            *books(out, held.place),
        ]
    return out


def _cpu(bursts: list[Loaded]) -> float | None:
    costs = [burst.used.cpu_us for burst in bursts if burst.used.cpu_us is not None]
    return median(costs) if costs else None


SCENARIO = Scenario(
    "budgets", "Whole answers with three hard budgets that apply", run, seconds=2, count=5, counted="bursts of each"
)
