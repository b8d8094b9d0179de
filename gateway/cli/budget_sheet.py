"""Budgets on a terminal: a list or one alone, with a bar of how much of each is used."""

from collections.abc import Sequence

from gateway.cli import when
from gateway.cli.tables import UNKNOWN, Column, console, count, money, print_facts, print_json, print_table
from gateway.control.budgets_shown import budget_facts, subject_facts
from gateway.core.money import Nano, usd_text
from gateway.storage.budget_standings import BudgetStanding, Figures, Over, SubjectStanding

_FIGURES = (
    Column("used", 95),
    Column("limit", 99, right=True),
    Column("spent", 98, right=True),
    Column("reserve", 50, right=True),
    Column("held", 60, right=True),
    Column("remaining", 97, right=True),
    Column("over", 55, right=True),
)
_COLUMNS = (
    Column("name"),
    *_FIGURES,
    Column("resets UTC", 80),
    Column("mode", 70),
    Column("scope", 75),
    Column("from", 40),
)
_WHY = {
    Over.SOFT: "it is soft, and refuses nothing",
    Over.LOWERED: "the limit is below what was spent before",
    Over.CORRECTED: "corrections found that old calls cost more",
    Over.BILLED_BEYOND: "a provider billed more than was held",
}
_WIDTH = 16
"""Characters of a bar."""
_SPENT, _RESERVE, _HELD, _LEFT = "█▓▒░"
_LEGEND = f"{_SPENT} spent  {_RESERVE} reserve  {_HELD} held  {_LEFT} left"


def print_budgets(standings: Sequence[BudgetStanding], now_us: int, as_json: bool) -> None:
    """A list."""
    if as_json:
        print_json({"items": [budget_facts(one, now_us) for one in standings], "next": None})
    elif not standings:
        print("There is no budget. `tollkeeper budget set NAME --limit USD` makes one.")
    else:
        print_table(console(), _COLUMNS, [_row(one) for one in standings])
        _print_notes(standings)


def print_budget(standing: BudgetStanding, subjects: Sequence[SubjectStanding], now_us: int, as_json: bool) -> None:
    """One alone, with those that it counts apart."""
    if as_json:
        print_json({**budget_facts(standing, now_us), **subject_facts(standing, subjects)})
        return
    out = console()
    facts = list(zip([column.title for column in _COLUMNS], _row(standing), strict=True))
    print_facts(out, [*facts, *_terms(standing, now_us)])
    if subjects:
        rows = [[one.subject, *_figures(standing.limit, one.figures)] for one in subjects]
        print_table(out, [Column("counted apart"), *_FIGURES], rows)
        if standing.subjects > len(subjects):
            print(f"The dearest {len(subjects)} of {count(standing.subjects)}.")
    _print_notes([standing])


def _print_notes(standings: Sequence[BudgetStanding]) -> None:
    print(_LEGEND)
    if any(one.budget.scope.counted for one in standings):
        print("Of those with a limit each: sums; used and remaining are of the one with the least left.")
    waiting = [one.budget.name for one in standings if one.figures is None]
    if waiting:
        names = ", ".join(waiting)
        print(f"Not counted yet, until `tollkeeper serve` starts with this settings file: {names}")


def _row(standing: BudgetStanding) -> list[str]:
    budget, figures = standing.budget, standing.figures
    apart = bool(budget.scope.counted)
    shown = [UNKNOWN, _usd(standing.limit), *[UNKNOWN] * 5]
    if figures is not None:
        shown = _figures(standing.limit, figures, apart=apart)
    if apart:
        shown[1] += " each"
    resets = "never" if standing.span.end_us is None else when.shown(standing.span.end_us, seconds=False)
    return [budget.name, *shown, resets, str(budget.mode), budget.scope.as_text() or "every call", budget.source]


def _terms(standing: BudgetStanding, now_us: int) -> list[tuple[str, str]]:
    """What a list has no room for."""
    facts = budget_facts(standing, now_us)
    percentages = ", ".join(f"{percentage}%" for percentage in standing.budget.alert_at)
    raised = facts["raised"]
    over = [] if standing.figures is None else [_WHY[one] for one in standing.figures.because]
    lines = [
        ("window", f"{facts['window']}, by the calendar of {facts['timezone']}"),
        ("on exhausted", f"{facts['on_exhausted']} to {facts['downgrade_to']}" if facts["downgrade_to"] else "refuse"),
        ("unpriced calls", facts["unpriced"]),
        ("alert at", percentages or UNKNOWN),
    ]
    if over:
        lines.append(("over because", "; ".join(over)))
    if raised is not None:
        lines.append(("raised", f"by {money([raised['usd']])[0]} until {raised['until']}, in the limit above"))
    if (lowered := facts["lowered_to_usd"]) is not None:
        by = facts["lowered_by"]
        told = f"by the rule {by['rule']}; to undo it: tollkeeper alerts undo {by['action_id']}"
        lines.append(("lowered", f"to {money([lowered])[0]} {told}"))
    return lines


def _figures(limit: Nano, figures: Figures, *, apart: bool = False) -> list[str]:
    """`apart`: sums over those that are counted apart; then what is used is that of the one that has the least left."""
    amounts = (limit, figures.spent, figures.reserve, figures.held, figures.remaining, figures.over)
    return [_used(limit, figures, apart), *(_usd(amount) for amount in amounts)]


def _usd(nano: Nano) -> str:
    return money([usd_text(nano)])[0]


def _used(limit: Nano, figures: Figures, apart: bool) -> str:
    """A bar and the percentage, rounded down: 100 % is all of it."""
    parts = [(_SPENT, figures.spent), (_RESERVE, figures.reserve), (_HELD, figures.held)]
    if apart:
        parts = [(_SPENT, limit - figures.remaining)]
    used = sum(amount for _, amount in parts)
    return f"{_bar(limit, parts)} {used * 100 // limit:>3}%"


def _bar(limit: Nano, parts: Sequence[tuple[str, Nano]]) -> str:
    """Each part to scale; what there is has a mark at least, as long as there is room."""
    drawn = ""
    done = 0
    for mark, amount in parts:
        done += amount
        wanted = min(_WIDTH, max(done * _WIDTH // limit, len(drawn) + 1 if amount else 0))
        drawn += mark * (wanted - len(drawn))
    return drawn.ljust(_WIDTH, _LEFT)
