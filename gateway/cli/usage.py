"""`tollkeeper usage`: what was used, what it took and cost, summed by whatever one asks for."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gateway.cli import energy, when
from gateway.cli.energy import GCo2PerKwh, Overhead, WhPer1k
from gateway.cli.frame import AsJson, Config, opened, read_settings, run
from gateway.cli.tables import Column, console, count, decimal, money, print_json, print_table, word
from gateway.control import times
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from rich.console import Console

_INTERVALS = ("hour", "day", "month")
_SHOWN_OF_START = {"hour": 16, "day": 10, "month": 7}
"""How much of `2026-10-31 08:00` names an interval."""

_DOUBTS = {"estimated": 50, "unpriced": 99}
"""What may be said of calls whose figures are not certain, and the worth of its column."""
_COLUMNS = (
    Column("calls", 95, right=True),
    Column("errors", 60, right=True),
    Column("input", 90, right=True),
    Column("of it\ncached", 40, right=True),
    Column("output", 90, right=True),
    Column("TTFT\np50 ms", 80, right=True),
    Column("TTFT\np95 ms", 70, right=True),
    Column("tokens\nper s", 75, right=True),
    Column("cost", 100, right=True),
)


def usage(
    by: Annotated[
        str,
        typer.Option(
            "--by", metavar="NAMES", help="Any of key, team, model, target, provider, path, end; with commas."
        ),
    ] = "team,model",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="7d, 12h, 2026-10-01, 2026-10-01T08:00:00Z.")
    ] = "30d",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="As --since; not included.")] = "now",
    interval: Annotated[
        str | None, typer.Option("--interval", metavar="NAME", help="A row for each hour, day or month.")
    ] = None,
    wh_per_1k: WhPer1k = None,
    g_co2_per_kwh: GCo2PerKwh = None,
    overhead: Overhead = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show usage, timings and cost of a period.

    The last 30 days if none is named; times are UTC. With --wh-per-1k also an estimate of its energy, and with
    --g-co2-per-kwh of its CO2e.
    """
    if interval is not None and interval not in _INTERVALS:
        raise Fault(Kind.INVALID, f"{interval!r} is not known", hint="write hour, day or month", param="--interval")
    now = when.now_us()
    period = times.past_us(since, "--since", now), times.past_us(until, "--until", now)
    group_by = [name.strip() for name in by.split(",") if name.strip()]
    _check(group_by, *period, interval)
    factors = energy.factors(wh_per_1k, g_co2_per_kwh, overhead)
    report, notes = run(_read(config, group_by, *period, interval))
    if factors is not None:
        report = energy.of_report(report, factors)
    if as_json:
        print_json(report)
    elif not report["rows"]:
        begin, end = (when.shown(moment, seconds=False) for moment in period)
        print(f"No calls from {begin} to {end} UTC. `tollkeeper serve` takes them, --since looks further back.")
    else:
        print_usage(console(), report, group_by, interval)
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)


def _check(group_by: Sequence[str], since_us: int, until_us: int, interval: str | None) -> None:
    """Raises a `Fault` that names the option if the question makes no sense, whatever state the database is in."""
    from gateway.storage.reports import check_usage

    try:
        check_usage(group_by, since_us, until_us, interval)
    except Fault as fault:
        option = "--by" if fault.param == "group_by" else f"--{fault.param}"
        raise Fault(fault.kind, fault.message, hint=fault.hint, param=option) from None


async def _read(
    config: Path | None, group_by: Sequence[str], since_us: int, until_us: int, interval: str | None
) -> tuple[dict[str, Any], list[str]]:
    """The report as the admin API states it, so that both show the same figures; and what is not in them."""
    from gateway.cli.doctor import journals
    from gateway.cli.doctor.finding import State
    from gateway.storage.reports import Interval, Reports

    async with opened(config, read_only=True) as db:
        report = (await Reports(db).usage(group_by, since_us, until_us, cast(Interval | None, interval))).as_json()
        found = await journals.check(read_settings(config), db)
    notes = [f"{one.check}: {one.detail}; {one.advice}" for one in found if one.state is not State.OK]
    if "whole_hours_before" in report:
        edge = f"before {report['whole_hours_before']}, of which only sums are left"
        notes.append(f"the period cuts an hour {edge}; it counts whole")
    return report, notes


def print_usage(
    out: "Console", report: Mapping[str, Any], group_by: Sequence[str], interval: str | None = None
) -> None:
    """A table of `{rows, totals}` of contract §5 with a line of totals, and of its energy if that was added."""
    rows, totals = report["rows"], report["totals"]
    every = [*rows, totals]
    names = [*(["start UTC"] if interval else []), *group_by]
    added = [*energy.columns(every), *_doubtful(every)]
    costs = money([row["cost_usd"] for row in every])
    figures = [[*_figures(row), *more] for row, *more in zip(every, costs, *(texts for _, texts in added), strict=True)]
    lines = []
    for row, shown in zip(rows, figures[:-1], strict=True):
        start = [_interval_name(row["start"], interval)] if interval else []
        lines.append([*start, *(word(row[name]) for name in group_by), *shown])
    blank = [""] * (len(names) - 1) if names else []
    total = [*(["total"] if names else []), *blank, *figures[-1]]
    columns = [*map(Column, names), *_COLUMNS, *(column for column, _ in added)]
    print_table(out, columns, lines if names else [], total)
    shares = [f"{totals[f'{name}_calls'] / totals['calls']:.1%} {name}" for name in _DOUBTS if totals[f"{name}_calls"]]
    if shares:
        out.print(f"Of {count(totals['calls'])} calls {', '.join(shares)}.", style="dim")
    if "energy_method" in report:
        out.print(f"Energy: {report['energy_method']}.", style="dim")


def _doubtful(every: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Column, list[str]]]:
    """Columns of what cannot be trusted to the last digit, if there is any; the totals come last."""
    for name, worth in _DOUBTS.items():
        counts = [row[f"{name}_calls"] for row in every]
        if counts[-1]:
            yield Column(f"{name}\ncalls", worth, right=True), [count(calls) for calls in counts]


def _figures(row: Mapping[str, Any]) -> list[str]:
    from gateway.core.usage import Usage

    used = Usage(**row["usage"])
    return [
        count(row["calls"]),
        count(row["errors"]),
        count(used.prompt_tokens),
        count(used.cache_read),
        count(used.generated_tokens),
        decimal(row["ttft_ms"]["p50"], 0),
        decimal(row["ttft_ms"]["p95"], 0),
        decimal(row["output_tokens_per_second"]),
    ]


def _interval_name(start: str, interval: str) -> str:
    return start.replace("T", " ")[: _SHOWN_OF_START[interval]]
