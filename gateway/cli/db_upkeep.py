"""`tollkeeper db rebuild-rollups` and `db prune`: long work on the ledger beside a server that goes on."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import when
from gateway.cli.actor import actor
from gateway.cli.frame import FAILED, AsJson, Config, opened, run
from gateway.cli.progress import bar
from gateway.cli.tables import print_json
from gateway.control import times
from gateway.core.errors import Fault, Kind

_LEAST_KEPT_US = times.DAY_US
"""What is younger is what calls are still looked up in, and where late ones arrive."""


def rebuild_rollups(
    check: Annotated[bool, typer.Option("--check", help="Compare only; exit 1 if an hour differs.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From this hour on: 7d, 12h, 2026-10-01; else all.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="As --since; not included.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make the hourly sums anew from the ledger.

    Hour by hour while the server runs; no total is wrong in between, and it may be stopped and repeated. Hours whose
    detail was deleted keep their sums.
    """
    now = when.now_us()
    since_us = 0 if since is None else times.past_us(since, "--since", now)
    until_us = None if until is None else times.past_us(until, "--until", now)
    told = run(_rebuilt(config, since_us, until_us, change=not check))
    if as_json:
        print_json(told)
    else:
        _print_rebuilt(told)
    if check and told["differing"]:
        raise typer.Exit(FAILED)


async def _rebuilt(config: Path | None, since_us: int, until_us: int | None, *, change: bool) -> dict[str, Any]:
    from gateway.storage.rebuild import Rebuild

    begun, hours, differing = time.monotonic(), 0, []
    async with opened(config, read_only=not change) as db:
        rebuild = Rebuild(db, since_us, until_us)
        kept_us = await rebuild.kept_since()
        with bar(await rebuild.expected_hours()) as advance:
            async for hour in rebuild.run() if change else rebuild.compare():
                hours += 1
                if hour.differed:
                    differing.append(times.rfc3339(hour.hour_us))
                advance(hours, f"{when.shown(hour.hour_us, seconds=False)} UTC")
    return {
        "hours": hours,
        "differing": differing,
        "rebuilt": change,
        "sums_alone_before": times.rfc3339(kept_us or None),
        "seconds": round(time.monotonic() - begun, 1),
    }


def _print_rebuilt(told: dict[str, Any]) -> None:
    done = "put right" if told["rebuilt"] else "not the sum of its calls"
    for hour in told["differing"]:
        print(f"{hour}  {done}")
    count, seconds = f"{told['hours']:,} hours", f"{told['seconds']:g} s"
    if not told["differing"]:
        print(f"{count} compared in {seconds}: all sums are those of their calls")
    elif told["rebuilt"]:
        print(f"{count} compared in {seconds}, {len(told['differing']):,} put right")
    else:
        print(f"{count} compared in {seconds}, {len(told['differing']):,} differ; the same without --check mends them")
    if told["sums_alone_before"]:
        print(f"Hours before {told['sums_alone_before']} have their sums alone and were left as they are.")


def prune(
    before: Annotated[
        str, typer.Option("--before", metavar="TIME", help="What started before: 90d, 2026-10-01; cut to a full hour.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go, and delete nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Delete old calls and keep their sums.

    Totals of `tollkeeper usage` stay; single calls, attempts, charges and corrections go for good. In small
    transactions while the server runs; may be stopped and repeated.
    """
    now = when.now_us()
    before_us = times.past_us(before, "--before", now)
    if before_us > now - _LEAST_KEPT_US:
        raise Fault(Kind.INVALID, "the last 24 hours stay", hint="name an earlier time", param="--before")
    told = run(_prospect(config, before_us))
    if not dry_run:
        if told["calls"] and not yes:
            _confirm(told)
        told = {**told, **run(_pruned(config, before_us, told["calls"]))}
    if as_json:
        print_json({**told, "deleted": not dry_run})
    else:
        done = "would be deleted" if dry_run else "deleted"
        print(f"{told['calls']:,} calls that started before {told['before']} {done}; their hourly sums stay")


def _confirm(told: dict[str, Any]) -> None:
    what = f"the detail of {told['calls']:,} calls, from {told['oldest']} to {told['before']}"
    if not sys.stdin.isatty():
        raise Fault(Kind.CONFLICT, f"this deletes {what}", hint="add --yes to do it, --dry-run to look only")
    typer.confirm(f"Delete {what}?", abort=True)


async def _prospect(config: Path | None, before_us: int) -> dict[str, Any]:
    from gateway.storage.retention import Retention

    async with opened(config, read_only=True) as db:
        found = await Retention(db).prospect(before_us)
    return {
        "before": times.rfc3339(found.before_us),
        "calls": found.calls,
        "oldest": times.rfc3339(found.oldest_us),
    }


async def _pruned(config: Path | None, before_us: int, expected: int) -> dict[str, Any]:
    from gateway.storage.retention import Retention

    deleted = 0
    async with opened(config, read_only=False) as db:
        with bar(expected) as advance:
            async for progress in Retention(db).prune(before_us, actor()):
                deleted = progress.calls
                advance(deleted, f"{deleted:,} calls")
    return {"calls": deleted}
