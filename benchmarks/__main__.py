"""`python -m benchmarks`: how fast the gateway is on this machine, with everything on."""

import argparse
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.failed import Failed
from benchmarks.machine import Cores, cores, described, on_core
from benchmarks.measure import Measured
from benchmarks.processes import environment
from benchmarks.report import Report, Section
from benchmarks.scenarios import ALL, DEFAULT, SCENARIOS
from benchmarks.setting import Scenario, Setting, tollkeeper

_MOST_SECONDS = 3600.0
_MOST = 100_000_000


def main() -> int:
    """0; 1 if the figures cannot be believed: an answer was not whole, rows and calls differ, nothing came up."""
    parser = _parser()
    asked = parser.parse_args()
    if asked.list:
        sys.stdout.write(_listed())
        return 0
    chosen = _chosen(parser, asked)
    command = shutil.which(asked.command)
    if command is None:
        parser.error(f"there is no command {asked.command}; see --command")
    asked.command = str(Path(command).absolute())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    places = cores()
    report = Report(f"{_version(asked.command)}; {described()}; {places.sentence}", [])
    if not asked.json:
        print(report.head(), flush=True)
    with on_core(places.client):  # what we do meanwhile is not the gateway's to bear
        sections = [_measured(scenario, asked, places) for scenario in chosen]
    report = Report(report.machine, sections, report.moment)
    if asked.json:
        sys.stdout.write(report.json())
    if asked.save:
        print(f"saved as {report.save(asked.save)}", file=sys.stderr)
    return 1 if any(section.wrong for section in sections) else 0


def _measured(scenario: Scenario, asked: argparse.Namespace, places: Cores) -> Section:
    seconds = scenario.seconds if asked.seconds is None or scenario.seconds is None else asked.seconds
    count = scenario.count if asked.count is None or scenario.count is None else asked.count
    try:
        out = scenario.run(Setting(places, asked.command, seconds or 0.0, count or 0))
    except Failed as failed:
        out = Measured(wrong=[f"nothing was measured: {failed}"])
    section = Section(scenario.name, scenario.about, out.figures, out.notes, out.wrong)
    if not asked.json:
        print(section.table(), flush=True)
    return section


def _version(command: str) -> str:
    done = subprocess.run(  # noqa: S603  what the one who measures named
        [command, "--version"], env=environment(), capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "of no known version"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog="See benchmarks/README.md."
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"see --list; 'all' of them, or by default {DEFAULT.name}"
    )
    parser.add_argument("--list", action="store_true", help="what can be measured")
    parser.add_argument("--seconds", type=_seconds, help="of load in all, besides starts; else the scenario's own")
    parser.add_argument("--count", type=_count, metavar="N", help="calls, streams, bursts or starts; see --list")
    parser.add_argument(
        "--command",
        default=tollkeeper(),
        metavar="PATH",
        help="the tollkeeper that is measured (default: the one beside this Python)",
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    parser.add_argument(
        "--save", type=_name, metavar="NAME", help="also write benchmarks/results/DATE-NAME.md and .json"
    )
    return parser


def _chosen(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> Sequence[Scenario]:
    names: list[str] = asked.scenarios
    unknown = [name for name in names if name not in SCENARIOS and name != "all"]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]!r}; --list tells which there are")
    chosen = ALL if "all" in names else [SCENARIOS[name] for name in names] or [DEFAULT]
    if asked.seconds is not None and not any(scenario.seconds for scenario in chosen):
        parser.error("--seconds means nothing to what is asked for; see --list")
    if asked.count is not None and not any(scenario.count for scenario in chosen):
        parser.error("--count means nothing to what is asked for; see --list")
    return chosen


def _listed() -> str:
    width = max(map(len, SCENARIOS))
    lines = []
    for scenario in SCENARIOS.values():
        measures = [f"--seconds {scenario.seconds:g}"] if scenario.seconds else []
        measures += [f"--count {scenario.count} {scenario.counted}"] if scenario.count else []
        lines.append(f"{scenario.name:{width}}  {scenario.about} ({', '.join(measures)})\n")
    return "".join(lines)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"more than 0, at most {_MOST_SECONDS:g}")
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= _MOST:
        raise argparse.ArgumentTypeError(f"1 to {_MOST}")
    return count


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+", text):
        raise argparse.ArgumentTypeError("letters, digits, dots, dashes and underscores")
    return text


if __name__ == "__main__":
    sys.exit(main())
