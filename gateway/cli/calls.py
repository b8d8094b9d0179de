"""`tollkeeper calls`: single calls, the newest ones, as they come, or one with everything about it."""

import contextlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from typer.core import TyperGroup

from gateway.cli import when
from gateway.cli.call_sheet import print_call
from gateway.cli.frame import AsJson, Config, group, opened, read_settings, run
from gateway.cli.tables import Column, Lines, console, count, decimal, money, print_json, print_table, word
from gateway.control import times
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from gateway.storage.reports import CallFilter


class _Calls(TyperGroup):
    """`calls` alone, or with options, lists; so its help shows those options."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS] | show ID"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.commands["list"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        verb = args[0] if args else None
        return super().parse_args(ctx, args if verb == "--help" or verb in self.commands else ["list", *args])


app = group("List the newest calls, or show one.", _Calls)

_POLL_SECONDS = 0.2
_PAGE = 200

_Tell: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], None]

_COLUMNS = (
    Column("started UTC", 70, least=19),
    Column("id", 85, least=36),
    Column("key", 30, least=10),
    Column("team", 50, least=10),
    Column("model", 60, least=16),
    Column("target", 90, least=24),
    Column("end", 80, least=13),
    Column("status", 55, right=True),
    Column("input", 65, right=True),
    Column("output", 66, right=True),
    Column("TTFT ms", 52, right=True),
    Column("ms", 54, right=True, least=6),
    Column("cost", 95, right=True, least=12),
)


@app.command("list")
def list_calls(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with calls as they end.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="How many.")] = 20,
    key: Annotated[str | None, typer.Option("--key", metavar="NAME", help="The key's name.")] = None,
    team: Annotated[str | None, typer.Option("--team", metavar="NAME", help="The team that it counted for.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="As the client asked for it.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="PROVIDER/MODEL", help="Who answered.")] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="NAME", help="How it ended: completed, failed, …")] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="TEXT", help="What the client sent as x-tollkeeper-session.")
    ] = None,
    status: Annotated[
        int | None, typer.Option("--status", metavar="N", help="The HTTP status that the client was told.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="7d, 12h, 2026-10-01, 2026-10-01T08:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="As --since; not included.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the newest calls; times are UTC."""
    _require_end(end)
    now = when.now_us()
    since_us = None if since is None else times.past_us(since, "--since", now)
    until_us = None if until is None else times.past_us(until, "--until", now)
    asked = {"key": key, "team": team, "model": model, "target": target, "end": end, "session": session}
    wanted = {**asked, "status": status, "since_us": since_us, "until_us": until_us}
    if follow:
        _follow(config, wanted, limit, as_json)
    else:
        _list(config, wanted, limit, as_json)


def _require_end(end: str | None) -> None:
    from gateway.core.calls import End

    if end is not None and end not in list(End):
        raise Fault(Kind.INVALID, f"{end!r} is not an end of a call", hint=f"one of {', '.join(End)}", param="--end")


@app.command("show")
def show(
    call: Annotated[str, typer.Argument(metavar="ID", help="A call's id, from the list or `x-tollkeeper-call-id`.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one call: timings, usage, attempts, charges."""
    found = run(_one(config, call))
    if as_json:
        print_json(found)
    else:
        print_call(console(), found)


async def _one(config: Path | None, call_id: str) -> dict[str, Any]:
    from gateway.storage.reports import Reports

    async with opened(config, read_only=True) as db:
        reports = Reports(db)
        found = await reports.call(call_id)
        if found is None:
            raise await reports.absent(call_id)
    return found.as_json(alone=True)


def _list(config: Path | None, wanted: Mapping[str, Any], limit: int, as_json: bool) -> None:
    found, cursor = run(_newest(config, wanted, limit))
    if as_json:
        print_json({"items": found, "next": cursor})
    elif not found:
        print("No such calls.")
    else:
        print_table(console(), _COLUMNS, _rows(found))


async def _newest(
    config: Path | None, wanted: Mapping[str, Any], limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    from gateway.storage.reports import CallFilter, Reports

    async with opened(config, read_only=True) as db:
        page = await Reports(db).calls(CallFilter(**wanted), limit)
    return [call.as_json(alone=False) for call in page.items], page.next


def _follow(config: Path | None, wanted: Mapping[str, Any], limit: int, as_json: bool) -> None:
    from gateway.storage.reports import CallFilter

    # An interrupt is the way to end it.
    with contextlib.suppress(KeyboardInterrupt):
        run(_watch(config, CallFilter(**wanted), limit, _as_lines() if not as_json else _as_json_lines))


async def _watch(config: Path | None, wanted: "CallFilter", limit: int, tell: _Tell) -> None:
    """Tell the last calls, oldest first, then each new one, until interrupted."""
    import asyncio

    from gateway.storage.reports import Reports

    await _until_made(config)
    async with opened(config, read_only=True) as db:
        reports = Reports(db)
        seen = await reports.last_seq()
        page = await reports.calls(wanted, limit)
        tell([call.as_json(alone=False) for call in reversed(page.items) if call.seq <= seen])
        while True:
            last = await reports.last_seq()
            fresh = await reports.calls_after(seen, wanted, _PAGE)
            tell([call.as_json(alone=False) for call in fresh])
            if len(fresh) == _PAGE:
                seen = fresh[-1].seq
                continue
            # Past the calls that were not wanted too, so that no look goes over them again.
            seen = max([last, *(call.seq for call in fresh)])
            await asyncio.sleep(_POLL_SECONDS)


async def _until_made(config: Path | None) -> None:
    """Wait for the first `serve`, whose calls are the ones to follow."""
    import asyncio

    from gateway.storage.engine import current, exists

    url = read_settings(config).database.url
    if exists(url):
        return
    print("There is no database yet: waiting for `tollkeeper serve`.", file=sys.stderr)
    while current(url) is None:  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(_POLL_SECONDS)


def _as_json_lines(calls: Sequence[Mapping[str, Any]]) -> None:
    """One JSON object a line, for programs that read along."""
    for call in calls:
        print(json.dumps(call, ensure_ascii=False), flush=True)


def _as_lines() -> _Tell:
    lines = Lines(console(), _COLUMNS)

    def tell(calls: Sequence[Mapping[str, Any]]) -> None:
        for call in calls:
            cost = call["cost_usd"]
            lines.print([*_row(call), "unknown" if cost is None else f"${cost}"])

    return tell


def _rows(calls: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    costs = money([call["cost_usd"] for call in calls])
    return [[*_row(call), cost] for call, cost in zip(calls, costs, strict=True)]


def _row(call: Mapping[str, Any]) -> list[str]:
    """Everything but the cost."""
    from gateway.core.usage import Usage

    used, timings = Usage(**call["usage"]), call["timings"]
    return [
        call["started_at"].replace("T", " ")[:19],
        call["id"],
        word(call["key"]),
        word(call["team"]),
        word(call["model"]),
        word(call["target"]),
        call["end"],
        word(call["status"]),
        count(used.prompt_tokens),
        count(used.generated_tokens),
        decimal(timings["ttft_ms"], 0),
        decimal(timings["duration_ms"], 0),
    ]
