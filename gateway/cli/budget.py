"""`tollkeeper budget`: limits in USD, set, shown with how they stand, and removed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import budget_uncertain, when
from gateway.cli.actor import actor
from gateway.cli.frame import AsJson, Config, group, opened, read_settings, run
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from gateway.core.budgets import Budget
    from gateway.settings import Settings
    from gateway.storage.budget_standings import BudgetStanding, SubjectStanding
    from gateway.storage.engine import Database

app = group("Limits in USD: how much calls may cost.")

BudgetName = Annotated[str, typer.Argument(metavar="NAME", help="The budget's name.")]
_OPTIONS = {
    "name": "NAME",
    "limit_usd": "--limit",
    "window": "--window",
    "scope": "--scope",
    "timezone": "--timezone",
    "alert_at": "--alert-at",
    "on_exhausted": "--on-exhausted",
    "downgrade_to": "--downgrade-to",
    "raised": "--until",
}
"""Which option sets a field of the admin API."""
_SUBJECTS = 50


@app.command("set")
def set_budget(
    name: BudgetName,
    limit: Annotated[str | None, typer.Option("--limit", metavar="USD", help="Of each window: 500, 0.50.")] = None,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="NAME", help="hour, day, week, month, quarter, year, lifetime; else month."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="WHAT=VALUE", help="team=search, tag=env=prod, key=*; repeatable. Else all."),
    ] = None,
    mode: Annotated[str | None, typer.Option("--mode", metavar="NAME", help="hard (never passed) or soft.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Of its calendar: Europe/Berlin; else UTC.")
    ] = None,
    alert_at: Annotated[
        str | None, typer.Option("--alert-at", metavar="PERCENT", help="50,80,100; none clears.")
    ] = None,
    on_exhausted: Annotated[
        str | None, typer.Option("--on-exhausted", metavar="NAME", help="What a call gets: refuse or downgrade.")
    ] = None,
    downgrade_to: Annotated[
        str | None, typer.Option("--downgrade-to", metavar="MODEL", help="The model that is asked instead.")
    ] = None,
    unpriced: Annotated[
        str | None, typer.Option("--unpriced", metavar="NAME", help="Calls without a known price: refuse or allow.")
    ] = None,
    raise_by: Annotated[
        str | None, typer.Option("--raise", metavar="USD", help="More for a while, with --until; 0 ends it.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="24h, 2026-12-01.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Set a budget, or change one: what is named changes.

    In force everywhere within 2 seconds. A new one begins with what the calls of its window have cost already. Its
    window, time zone and scope stay as they are.
    """
    from gateway.cli.budget_sheet import print_budget
    from gateway.cli.budget_stated import stated_raise, stated_terms

    now = when.now_us()
    with _options_named():
        terms = stated_terms(
            limit=limit, window=window, scope=scope, mode=mode, timezone=timezone, alert_at=alert_at,
            on_exhausted=on_exhausted, downgrade_to=downgrade_to, unpriced=unpriced,
        ) | stated_raise(raise_by, until, now)  # fmt: skip
        standing, subjects, done = run(_set(config, name, terms, now))
    print_budget(standing, subjects, now, as_json)
    if not as_json:
        print(f"{name} {done}")


@app.command("list")
def list_budgets(config: Config = None, as_json: AsJson = False) -> None:
    """List the budgets, and how they stand now.

    Those of the settings file too.
    """
    from gateway.cli.budget_sheet import print_budgets

    print_budgets(run(_all(config)), when.now_us(), as_json)


@app.command("show")
def show(name: BudgetName, config: Config = None, as_json: AsJson = False) -> None:
    """Show one budget, with the dearest that it counts apart."""
    from gateway.cli.budget_sheet import print_budget

    standing, subjects = run(_find(config, name))
    print_budget(standing, subjects, when.now_us(), as_json)


@app.command("remove")
def remove(name: BudgetName, config: Config = None, as_json: AsJson = False) -> None:
    """End a budget, and forget what it counted.

    In force everywhere within 2 seconds.
    """
    from gateway.cli.budget_sheet import print_budget

    standing, subjects = run(_remove(config, name))
    if as_json:
        print_budget(standing, subjects, when.now_us(), as_json)
    else:
        print(f"removed {name}")


async def _set(
    config: Path | None, name: str, terms: dict[str, Any], now_us: int
) -> "tuple[BudgetStanding, Sequence[SubjectStanding], str]":
    from gateway.control.budget_terms import Models, changes_to, new_budget
    from gateway.storage.budgets import BudgetRepository

    settings = read_settings(config)
    _require_not_declared(settings, name)
    models = Models(tuple(settings.models), tuple(settings.providers))
    async with opened(config, read_only=False) as db:
        repository = BudgetRepository(db)
        budget = await repository.get(name)
        done = "stays as it was"
        if budget is None:
            await repository.add(new_budget(name, terms, models, now_us), actor())
            done = "was made; it holds everywhere within 2 seconds"
        elif changes := changes_to(budget, terms, models):
            await repository.update(name, changes, actor())
            done = "was changed; that holds everywhere within 2 seconds"
        return *await _stands(db, await repository.get(name), name), done  # as it was stored, and not as it was meant


async def _all(config: Path | None) -> "list[BudgetStanding]":
    from gateway.app.budgets import declared_budgets
    from gateway.storage.budget_standings import BudgetStandings
    from gateway.storage.budgets import BudgetRepository

    declared = declared_budgets(read_settings(config))
    names = {budget.name for budget in declared}
    async with opened(config, read_only=True) as db:
        stored = [budget for budget in await BudgetRepository(db).all() if budget.name not in names]
        return await BudgetStandings(db).of([*declared, *stored])


async def _find(config: Path | None, name: str) -> "tuple[BudgetStanding, Sequence[SubjectStanding]]":
    from gateway.app.budgets import declared_budgets
    from gateway.storage.budgets import BudgetRepository

    declared = next((one for one in declared_budgets(read_settings(config)) if one.name == name), None)
    async with opened(config, read_only=True) as db:
        return await _stands(db, declared or await BudgetRepository(db).get(name), name)


async def _remove(config: Path | None, name: str) -> "tuple[BudgetStanding, Sequence[SubjectStanding]]":
    from gateway.storage.budgets import BudgetRepository

    _require_not_declared(read_settings(config), name)
    async with opened(config, read_only=False) as db:
        repository = BudgetRepository(db)
        last = await _stands(db, await repository.get(name), name)
        await repository.remove(name, actor())
        return last


async def _stands(
    db: "Database", budget: "Budget | None", name: str
) -> "tuple[BudgetStanding, Sequence[SubjectStanding]]":
    """Raises `Fault` (not found) without a budget."""
    from gateway.storage.budget_standings import BudgetStandings

    if budget is None:
        raise Fault(Kind.NOT_FOUND, f"there is no budget {name}", hint="`tollkeeper budget list` names them")
    standings = BudgetStandings(db)
    (standing,) = await standings.of([budget])
    return standing, await standings.subjects(budget, _SUBJECTS) if budget.scope.counted else []


def _require_not_declared(settings: "Settings", name: str) -> None:
    from gateway.app.budgets import budget_places

    places = budget_places(settings)
    if name in places:
        hint = f"change it there: {places[name]}" if places[name] else "change it there"
        raise Fault(Kind.CONFLICT, f"the budget {name} is declared in the settings file", hint=hint)


@contextmanager
def _options_named() -> Iterator[None]:
    """A fault names the option, not the field of the admin API."""
    try:
        yield
    except Fault as fault:
        param = None if fault.param is None else _OPTIONS.get(fault.param, fault.param)
        raise Fault(fault.kind, fault.message, hint=fault.hint, param=param) from None


budget_uncertain.register(app)
