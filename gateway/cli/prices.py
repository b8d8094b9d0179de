"""`tollkeeper prices`: what targets cost, prices set by hand, newer price maps, and a second look at old calls."""

from typing import Annotated, Any

import typer

from gateway.cli import when
from gateway.cli.actor import actor
from gateway.cli.frame import AsJson, Config, group, run
from gateway.control import times
from gateway.core.errors import Fault, Kind

app = group("What targets cost, and what old calls did.")

TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="PROVIDER/MODEL, or PROVIDER/* for all others.")]
Force = Annotated[bool, typer.Option("--force", help="Although it can hardly be meant.")]


@app.command("list")
def list_prices(
    everything: Annotated[
        bool, typer.Option("--all", help="Everything that the book knows of the configured providers, too.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the prices in force.

    Those that were stated or set, and those of every target that an alias leads to.
    """
    from gateway.cli.prices_sheet import print_prices
    from gateway.control.prices_shown import price_facts

    async def read() -> tuple[list[dict[str, Any]], str]:
        from gateway.cli.prices_desk import price_desk

        async with price_desk(config, read_only=True) as (desk, _):
            names = set(desk.book.patterns())
            names |= {target for model in desk.settings.models.values() for target in model.targets}
            for provider in desk.providers.values() if everything else ():
                if provider.at_home:
                    names |= {f"{provider.name}/{model}" for model in desk.book.models(provider.kind)}
            return [price_facts(desk.book, desk.target(name)) for name in sorted(names)], desk.book.version

    facts, book = run(read())
    print_prices(facts, book, as_json)


@app.command("show")
def show(target: TargetName, config: Config = None, as_json: AsJson = False) -> None:
    """Show one price with all that decides about it."""
    from gateway.cli.prices_sheet import print_price
    from gateway.control.prices_shown import price_facts

    async def read() -> dict[str, Any]:
        from gateway.cli.prices_desk import price_desk

        async with price_desk(config, read_only=True) as (desk, _):
            return price_facts(desk.book, desk.target(target))

    print_price(run(read()), as_json)


@app.command("set")
def set_price(
    target: TargetName,
    usd_per_million: Annotated[
        list[str] | None,
        typer.Option("--usd-per-million", metavar="BUCKET=USD", help="input=2.50; repeatable, also with commas."),
    ] = None,
    usd_per_call: Annotated[
        str | None, typer.Option("--usd-per-call", metavar="USD", help="For each call, whatever its length.")
    ] = None,
    free: Annotated[bool, typer.Option("--free", help="It costs nothing.")] = False,
    like: Annotated[
        str | None, typer.Option("--like", metavar="KIND", help="The book's price of this kind for the same model.")
    ] = None,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Take back what was set; what else is known holds again.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From when on: 2026-11-01, 7d ago; else from now on.")
    ] = None,
    force: Force = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Set a price, in USD per million.

    It is in force everywhere within 2 seconds, or from --since on. What held before stays in the history. Calls that
    were priced already stay as they are; see `reprice`.
    """
    from gateway.cli.prices_changes import stated_price, store_price
    from gateway.cli.prices_sheet import print_history
    from gateway.core.pricing.doubts import preview

    entry = None
    if not take_back:
        entry = stated_price(target, usd_per_million or [], usd_per_call, free, like)
    elif usd_per_million or usd_per_call or free or like:
        raise Fault(Kind.INVALID, "--take-back goes with no price", hint="leave one of them out", param="--take-back")
    now = when.now_us()
    since_us = now if since is None else times.past_us(since, "--since", now)
    stored = run(store_price(config, target, entry, since_us, actor(), force=force))
    print_history([stored], target, as_json)
    if entry is not None and entry.usd_per_million and not as_json:
        print(preview(entry.usd_per_million))


@app.command("history")
def history(target: TargetName, config: Config = None, as_json: AsJson = False) -> None:
    """Show every price that was set for a target."""
    from gateway.cli.prices_sheet import print_history

    async def read() -> list[Any]:
        from gateway.cli.prices_desk import price_desk
        from gateway.storage.prices import PriceRepository

        async with price_desk(config, read_only=True) as (desk, db):
            desk.target(target)
            return await PriceRepository(db).history(target)

    print_history(run(read()), target, as_json)


@app.command("sync")
def sync(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A file, an http(s) address, or `bundled`; else litellm's newest map."),
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX", help="The digest that it must have.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it changes, and change nothing.")] = False,
    force: Force = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take over a newer price map.

    It is in force everywhere within 2 seconds. It must be readable and believable beside the one in force, which is
    kept. A map that is not is refused, and the old one stays.
    """
    from gateway.cli.prices_changes import take_over
    from gateway.cli.prices_sheet import print_changes

    changes, before, after, taken = run(take_over(config, source, sha256, actor(), dry_run=dry_run, force=force))
    print_changes(changes, before, after, taken, as_json)


@app.command("reprice")
def reprice(
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="7d, 12h, 2026-10-01, 2026-10-01T08:00:00Z.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="As --since; not included.")] = "now",
    target: Annotated[str | None, typer.Option("--target", metavar="TARGET", help="Calls of this target only.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the corrections.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Price old calls again, and show the difference.

    By the prices that are known now, for the moment at which each of them ended.

    With --apply, corrections are written beside the calls: both figures stay, and all sums follow. Safe to repeat.
    """
    from gateway.cli.prices_changes import repriced
    from gateway.cli.prices_sheet import print_repriced

    now = when.now_us()
    since_us, until_us = times.past_us(since, "--since", now), times.past_us(until, "--until", now)
    if since_us >= until_us:
        raise Fault(Kind.INVALID, "the period ends before it starts", param="--since")
    print_repriced(run(repriced(config, since_us, until_us, target, actor() if apply else None)), as_json)
