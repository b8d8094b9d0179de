"""`python -m benchmarks`: how fast the gateway is on this machine, with everything on."""

import argparse
import re
import signal
import sys

from benchmarks.machine import cores, described
from benchmarks.measures import measure
from benchmarks.profile import profile
from benchmarks.report import Report
from benchmarks.stage import Failed


def main() -> int:
    """0; 1 if the figures cannot be believed: an answer was not whole, rows and calls differ."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    places = cores()
    machine = f"{described()}; {places.sentence}"
    try:
        if asked.profile:
            report = Report("one call, step by step, medians", machine, profile(asked.seconds, places.gateway))
        else:
            measured = measure(asked.seconds, places)
            report = Report("the gateway with everything on", machine, measured.figures, measured.notes, measured.wrong)
    except Failed as failed:
        print(f"nothing was measured: {failed}", file=sys.stderr)
        return 1
    sys.stdout.write(report.json() if asked.json else report.table())
    if asked.save:
        print(f"saved as {report.save(asked.save)}", file=sys.stderr)
    return 1 if report.wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog="See benchmarks/README.md."
    )
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="of load in all, besides starts (default: 20)")
    parser.add_argument("--profile", action="store_true", help="instead: where the time of a call goes, step by step")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument(
        "--save", type=_name, metavar="NAME", help="also write benchmarks/results/DATE-NAME.md and .json"
    )
    return parser.parse_args()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError("more than 0, at most 600")
    return seconds


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+", text):
        raise argparse.ArgumentTypeError("letters, digits, dots, dashes and underscores")
    return text


if __name__ == "__main__":
    sys.exit(main())
