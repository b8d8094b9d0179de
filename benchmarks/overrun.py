"""`python -m benchmarks.overrun`: many clients spend a hard budget of $1.00 at once; the upstream's bill is the judge.

Ours runs as people run it, several workers over one database. A rival is whatever already listens at an address and has
a budget of its own of the same size: `--rival NAME URL MODEL [KEY]`, started and told of the upstream beforehand.
"""

import argparse
import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from urllib.parse import urlsplit

from benchmarks.failed import Failed
from benchmarks.machine import described
from benchmarks.processes import end, start, start_module
from benchmarks.setting import tollkeeper
from benchmarks.spending import USD_PER_MILLION_IN, USD_PER_MILLION_OUT
from benchmarks.spending.clients import Crowd, Spent

LIMIT_NANO = 10**9
START = 60.0
SETTLED = 10.0
"""Seconds until the last row is there, at most."""
SETTINGS = f"""\
server: {{{{keys: optional, data: "{{data}}"}}}}
providers: {{{{up: {{{{kind: openai, base_url: "http://127.0.0.1:{{port}}/v1"}}}}}}}}
prices:
  up/*: {{{{usd_per_million: {{{{input: "{USD_PER_MILLION_IN}", output: "{USD_PER_MILLION_OUT}"}}}}}}}}
budgets:
  dollar: {{{{limit_usd: "1.00", window: month}}}}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Of the table."""

    what: str
    billed_nano: int
    """By the upstream."""
    told_nano: int | None
    """Spent and reserve, as the gateway says; null of a rival."""
    answers: int
    refused: int
    seconds: float

    @property
    def over_nano(self) -> int:
        return max(0, self.billed_nano - LIMIT_NANO)


def main() -> int:
    """0; 1 if ours was billed beyond its budget, or says another amount than the upstream."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overrun", description=__doc__)
    parser.add_argument("--clients", type=int, default=400, metavar="N", help="at once (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="processes of ours (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--command", default=tollkeeper(), help="the `tollkeeper` to measure")
    parser.add_argument(
        "--cut", type=float, default=0.0, help="share of calls whose client leaves (default: %(default)s)"
    )
    parser.add_argument(
        "--upstream-port", action="store_true", help="print an upstream's port and wait: what a rival is told to ask"
    )
    parser.add_argument(
        "--rival", nargs="+", metavar="WORD", help="NAME URL MODEL FILE [KEY]; FILE: its upstream's bill"
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.upstream_port:
        return _lend_upstream()
    try:
        rows = [_ours(asked, number) for number in range(asked.rounds)]
        if asked.rival:
            rows.append(_rival(asked))
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    _print(rows, asked)
    ours = [row for row in rows if row.told_nano is not None]
    wrong = any(row.over_nano or (not asked.cut and row.told_nano != row.billed_nano) for row in ours)
    return 1 if wrong else 0


def _ours(asked: argparse.Namespace, number: int) -> Row:
    with TemporaryDirectory(prefix="tollkeeper-overrun-") as place:
        folder = Path(place)
        bill = folder / "bill"
        with _upstream(bill) as port:
            config = folder / "tollkeeper.yaml"
            config.write_text(SETTINGS.format(data=folder, port=port), encoding="utf-8")
            words = [
                _found(asked.command),
                "serve",
                "--config",
                str(config),
                "--port",
                "0",
                "--workers",
                str(asked.workers),
            ]
            with (folder / "log").open("wb") as log, (folder / "out").open("wb") as out:
                gateway = start(words, folder, stdout=out, stderr=log)
            try:
                crowd = Crowd([_port(folder, gateway)], asked.clients, "up/any", cut=asked.cut, seed=number)
                seen, seconds = _spend(crowd)
                told = _told(folder / "tollkeeper.db")
            finally:
                end(gateway)
        return _row(f"ours, round {number + 1}", bill, told, seen, seconds)


def _found(command: str) -> str:
    """As it can be started from another folder."""
    return str(Path(command).absolute()) if Path(command).exists() else command


def _rival(asked: argparse.Namespace) -> Row:
    name, url, model, bill, *key = asked.rival
    before = _billed(Path(bill))
    port = urlsplit(url).port or 80
    seen, seconds = _spend(Crowd([port], asked.clients, model, key[0] if key else None, asked.cut))
    row = _row(name, Path(bill), None, seen, seconds)
    return Row(row.what, row.billed_nano - before, None, row.answers, row.refused, row.seconds)


def _spend(crowd: Crowd) -> tuple[Spent, float]:
    begun = perf_counter()
    seen = asyncio.run(crowd.spend())
    return seen, perf_counter() - begun


def _row(what: str, bill: Path, told: int | None, seen: Spent, seconds: float) -> Row:
    refused = seen.answers["insufficient_quota"] + seen.answers["rate_limit_exceeded"]
    return Row(what, _billed(bill), told, seen.whole, refused, seconds)


def _billed(bill: Path) -> int:
    return sum(map(int, bill.read_text(encoding="ascii").split())) if bill.exists() else 0


def _told(ledger: Path) -> int:
    """What the budget says, once nothing is held any more."""
    deadline = perf_counter() + SETTLED
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as books:
        while True:
            held = books.execute("SELECT coalesce(sum(held_nano), 0) FROM budget_leases").fetchone()[0]
            if not held or perf_counter() > deadline:
                sleep(0.5)  # the last rows come within 300 ms
                spent: int = books.execute("SELECT sum(spent_nano + reserve_nano) FROM budget_accounts").fetchone()[0]
                return spent
            sleep(0.05)


@contextmanager
def _upstream(bill: Path) -> Iterator[int]:
    program = start_module("benchmarks.spending.upstream", str(bill))
    try:
        assert program.stdout is not None
        yield int(program.stdout.readline())
    finally:
        end(program)


def _lend_upstream() -> int:
    with TemporaryDirectory(prefix="tollkeeper-overrun-") as place, _upstream(Path(place) / "bill") as port:
        print(json.dumps({"base_url": f"http://127.0.0.1:{port}/v1", "bill": str(Path(place) / "bill")}), flush=True)
        try:
            while True:
                sleep(3600)
        except KeyboardInterrupt:
            return 0


def _port(folder: Path, gateway: "subprocess.Popen[bytes]") -> int:
    deadline = perf_counter() + START
    while perf_counter() < deadline and gateway.poll() is None:
        told = re.search(r"http://[\d.]+:(\d+)/v1", (folder / "out").read_text(encoding="utf-8"))
        if told is not None:
            return int(told[1])
        sleep(0.01)
    raise Failed(f"the gateway did not come up:\n{(folder / 'log').read_text(encoding='utf-8')[-2000:]}")


def _print(rows: list[Row], asked: argparse.Namespace) -> None:
    if asked.json:
        print(json.dumps([{name: getattr(row, name) for name in (*Row.__slots__, "over_nano")} for row in rows]))
        return
    print(f"{asked.clients} clients at once, a hard budget of $1.00; {described()}\n")
    print("| who | billed by the upstream | as the gateway says | beyond | answers | refused | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        told = "–" if row.told_nano is None else f"${row.told_nano / 1e9:.6f}"
        billed, over = f"${row.billed_nano / 1e9:.6f}", f"${row.over_nano / 1e9:.6f}"
        print(f"| {row.what} | {billed} | {told} | {over} | {row.answers} | {row.refused} | {row.seconds:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
