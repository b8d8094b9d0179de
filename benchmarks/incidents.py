"""`python -m benchmarks.incidents`: how soon the rules find what goes wrong in a simulated month, and how often they
find something where nothing is wrong.

Fifty keys, the rules as they come, no history before the month. The seeds reported (21 to 26) are not those that the
defaults of the rules were chosen with (1 to 16, 101 to 108), though one late alarm of theirs was looked at; at those of
31 to 36 nobody has looked. An incident counts as found by a finding about its key, a session of it or, except for a
creep, its target, once it has cost a dollar. Any other finding is a false alarm.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from benchmarks.month import DAYS, START_US, Incident, Month
from gateway.core.alerts.anomaly import Anomaly
from gateway.core.alerts.facts import MINUTE_US
from gateway.core.alerts.finding import Finding, Rule
from gateway.core.alerts.prices import PriceChanged
from gateway.core.alerts.runaway import Runaway
from gateway.core.money import NANO_PER_USD
from gateway.core.scopes import Scope

SEEDS = tuple(range(21, 27))
RULES: tuple[Rule, ...] = (
    Anomaly("spend-by-key"),
    Anomaly("spend-by-target", scope=Scope((("target", "*"),))),
    Runaway("loops"),
    PriceChanged("prices"),
)
ALLOWED_MINUTES = 5
"""After an incident's tenth dollar."""
ALLOWED_A_WEEK = 1.0
_AFTERMATH = 1440
"""Minutes after its end in which a finding may still be about an incident."""


@dataclass(frozen=True, slots=True)
class Found:
    """One incident, and what found it first."""

    seed: int
    kind: str
    victim: str
    usd_a_day: float
    """What the victim spends on an ordinary day."""
    by: str | None
    late: int | None
    """Minutes from the tenth dollar to the finding; less than 0: before it."""
    late_by_spend: int | None
    """… to the first finding of another rule than `price_changed`."""
    usd: float
    """What it had cost when it was found; if it never was, in the end."""

    @property
    def in_time(self) -> bool:
        return self.late is not None and self.late <= ALLOWED_MINUTES


@dataclass(frozen=True, slots=True)
class Told:
    """One month."""

    seed: int
    calls: int
    found: tuple[Found, ...]
    false: tuple[Finding, ...]
    days: int
    seconds: float

    @property
    def false_a_week(self) -> float:
        return len(self.false) * 7 / self.days


def watched(seed: int, days: int = DAYS, *, calm: bool = False, rules: Sequence[Rule] = RULES) -> Told:
    """A month under the rules."""
    begun, calls = perf_counter(), 0
    month = Month(seed, days, calm=calm)
    watches = [rule.watch() for rule in rules]
    first: dict[int, list[tuple[Finding, float]]] = {}
    false = []
    for minute in month.minutes():
        calls += len(minute.calls)
        for watch in watches:
            for finding in watch.see(minute):
                hit = _about(finding, month)
                if not hit:
                    false.append(finding)
                for place in hit:
                    first.setdefault(place, []).append((finding, month.incidents[place].nano))
    found = tuple(_found(seed, month, place, first.get(place, ())) for place in range(len(month.incidents)))
    return Told(seed, calls, found, tuple(false), days, perf_counter() - begun)


def _about(finding: Finding, month: Month) -> list[int]:
    """The places of the incidents that a finding is about."""
    minute = (finding.at_us - START_US) // MINUTE_US
    return [
        place
        for place, incident in enumerate(month.incidents)
        if incident.begin < minute <= incident.end + _AFTERMATH
        and (incident.nano >= NANO_PER_USD or finding.kind == "price_changed")
        and _touches(finding, incident, month)
    ]


def _touches(finding: Finding, incident: Incident, month: Month) -> bool:
    key, target = finding.concerns.get("key"), finding.concerns.get("target")
    if incident.kind == "price change":
        return target == incident.victim or (key is not None and month.key(key).target == incident.victim)
    if key is None and incident.kind != "creep":
        return target == month.key(incident.victim).target
    return key == incident.victim


def _found(seed: int, month: Month, place: int, hits: Sequence[tuple[Finding, float]]) -> Found:
    incident = month.incidents[place]
    keys = [key for key in month.keys if incident.victim in (key.name, key.target)]
    usd_a_day = sum(key.usd_a_day() for key in keys)
    if not hits:
        usd = incident.nano / NANO_PER_USD
        return Found(seed, incident.kind, incident.victim, usd_a_day, None, None, None, usd)
    finding, nano = hits[0]
    unpriced = next((one for one, _ in hits if one.kind != "price_changed"), None)
    late, late_by_spend = _late(incident, finding), _late(incident, unpriced)
    usd = nano / NANO_PER_USD
    return Found(seed, incident.kind, incident.victim, usd_a_day, finding.rule, late, late_by_spend, usd)


def _late(incident: Incident, finding: Finding | None) -> int | None:
    """Minutes from the tenth dollar to a finding; an incident that never cost ten dollars was found in time."""
    if finding is None:
        return None
    at = (finding.at_us - START_US) // MINUTE_US
    return at - (incident.tenth_dollar if incident.tenth_dollar is not None else at)


def _by_spend(one: Found) -> str:
    """How late it would have been without the rule that knows the price."""
    if one.kind != "price change":
        return ""
    return (
        " (by what is spent: never)" if one.late_by_spend is None else f" (by what is spent: {one.late_by_spend:+,d})"
    )


def main() -> int:
    """0; 1 if an incident was found too late or there were too many false alarms."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents", description=__doc__)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), metavar="N,…", help="(default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="(default: %(default)s)")
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.processes) as pool:
        months = list(pool.map(watched, map(int, asked.seeds.split(","))))
    print("seed  what went wrong  who             usual $/day  found by             at $  minutes after $10")
    for month in months:
        for one in month.found:
            late = "never" if one.late is None else f"{one.late:+,d}"
            print(
                f"{one.seed:>4}  {one.kind:<17}{one.victim:<16}{one.usd_a_day:>11.2f}  {one.by or '–':<16}"
                f"{one.usd:>9.2f}  {late}{_by_spend(one)}{'' if one.in_time else '  TOO LATE'}"
            )
    print()
    for month in months:
        print(
            f"seed {month.seed}: {month.calls:,} calls, {len(month.false)} false alarms in {month.days} days, "
            f"{month.false_a_week:.2f} a week, {month.seconds:.1f} s"
        )
        for finding in month.false:
            print(f"    {finding.rule}: {finding.because}")
    every = [one for month in months for one in month.found]
    good = sum(one.in_time for one in every)
    mean = sum(month.false_a_week for month in months) / len(months)
    worst = max(month.false_a_week for month in months)
    print(f"\n{good} of {len(every)} incidents within {ALLOWED_MINUTES} minutes of their tenth dollar;", end=" ")
    print(f"false alarms a week: {mean:.2f} on average, {worst:.2f} in the worst month")
    return 0 if good == len(every) and worst <= ALLOWED_A_WEEK else 1


if __name__ == "__main__":
    sys.exit(main())
