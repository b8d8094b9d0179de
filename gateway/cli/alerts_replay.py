"""`tollkeeper alerts replay`: when a rule would have fired over the past, and why, before one trusts it.

The command is put into the group `alerts` by `register`, which is told where rules and budgets are declared.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from gateway.cli import when
from gateway.cli.frame import AsJson, Config, opened, read_settings, run
from gateway.cli.tables import Column, console, count, print_facts, print_json, print_table
from gateway.control import times
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.core.alerts.finding import Armed, Finding
    from gateway.core.alerts.replay import Replayed
    from gateway.core.budgets import Budget
    from gateway.settings import Settings
    from gateway.settings.alert_rules import AlertRuleSettings

RulesOf: TypeAlias = "Callable[[Settings], Mapping[str, AlertRuleSettings]]"
BudgetsOf: TypeAlias = "Callable[[Settings], Sequence[Budget]]"

_DAY_US = 86_400_000_000
_COLUMNS = (
    Column("when UTC", 100),
    Column("subject", 95),
    Column("severity", 50),
    Column("why", 90),
)


def register(app: typer.Typer, rules_of: RulesOf, budgets_of: BudgetsOf) -> None:
    """Add `replay` to the group: `rules_of` and `budgets_of` take what the settings file declares."""

    @app.command("replay")
    def replay(
        rule: Annotated[
            str, typer.Argument(metavar="RULE", help="A rule of the settings file; or a kind, with its defaults.")
        ],
        since: Annotated[
            str, typer.Option("--since", metavar="TIME", help="7d, 12h, 2026-10-01, 2026-10-01T08:00:00Z.")
        ] = "30d",
        until: Annotated[str, typer.Option("--until", metavar="TIME", help="As --since; not included.")] = "now",
        explain: Annotated[
            str | None,
            typer.Option("--explain", metavar="SUBJECT", help="Why it is quiet, or not, in the end: key=ci."),
        ] = None,
        config: Config = None,
        as_json: AsJson = False,
    ) -> None:
        """List when a rule would have fired, and why. Nothing is sent and nothing is done; times are UTC."""
        now = when.now_us()
        period = times.past_us(since, "--since", now), times.past_us(until, "--until", now)
        if period[1] <= period[0]:
            raise Fault(Kind.INVALID, "the period ends before it starts", param="--until")
        settings = read_settings(config)
        armed = _armed(rule, rules_of(settings))
        told = run(replayed(config, armed, budgets_of(settings), *period, explain))
        if as_json:
            print_json(told)
        else:
            print_replay(console(), told)


def _armed(name: str, rules: "Mapping[str, AlertRuleSettings]") -> "Armed":
    """The rule of this name, or of this kind. Raises `Fault` (not found)."""
    from gateway.app.alert_rules import WITHOUT_PARAMETERS, armed, default_rule

    if name in rules:
        return armed(name, rules[name])
    if name in WITHOUT_PARAMETERS:
        return default_rule(name)
    known = ", ".join(rules) or "none is declared"
    hint = f"rules of the settings file: {known}; kinds: {', '.join(WITHOUT_PARAMETERS)}"
    raise Fault(Kind.NOT_FOUND, f"there is no alert rule {name}", hint=hint)


async def replayed(
    config: Path | None,
    armed: "Armed",
    declared: "Sequence[Budget]",
    since_us: int,
    until_us: int,
    explain: str | None = None,
) -> dict[str, Any]:
    """What a rule would have found in [since, until), as JSON. Raises `Fault` for a budget that there is not."""
    from gateway.core.alerts.replay import replay_async
    from gateway.storage.budgets import BudgetRepository
    from gateway.storage.minutes import Minutes

    async with opened(config, read_only=True) as db:
        budgets = {budget.name: budget for budget in [*await BudgetRepository(db).all(), *declared]}
        watched = _watched(armed, budgets)
        begin_us = _learn_from(armed, watched, since_us)
        minutes = Minutes(db)
        kept_us = await minutes.kept_since()
        facts = minutes.between(begin_us, until_us, prices=_needs_prices(armed))
        done = await replay_async(armed.rule, facts, since_us, _courses(watched))
    return _as_json(armed, watched, done, (since_us, until_us), max(begin_us, kept_us), explain)


def _watched(armed: "Armed", budgets: "Mapping[str, Budget]") -> "Budget | None":
    """The budget that a rule watches, if it watches one."""
    name = getattr(armed.rule, "budget", None)
    if name is None:
        return None
    if name not in budgets:
        known = ", ".join(sorted(budgets)) or "there is none yet"
        raise Fault(Kind.NOT_FOUND, f"the rule watches the budget {name}, which there is not", hint=f"known: {known}")
    return budgets[name]


def _courses(budget: "Budget | None") -> Any:
    from zoneinfo import ZoneInfo

    from gateway.core.alerts.courses import Courses

    return None if budget is None else Courses([budget], {budget.zone: ZoneInfo(budget.zone)})


def _learn_from(armed: "Armed", budget: "Budget | None", since_us: int) -> int:
    """As far back as a watch must have seen to judge the first minute; for a budget to the begin of its window."""
    from zoneinfo import ZoneInfo

    from gateway.core.windows import span_of

    begin_us = since_us - armed.rule.history_days * _DAY_US
    if budget is not None:
        begin_us = min(begin_us, span_of(budget.window, ZoneInfo(budget.zone), since_us).start_us)
    return max(0, begin_us)


def _needs_prices(armed: "Armed") -> bool:
    from gateway.core.alerts.prices import PriceChanged

    return isinstance(armed.rule, PriceChanged)


def _as_json(
    armed: "Armed",
    budget: "Budget | None",
    done: "Replayed",
    period: tuple[int, int],
    learned_us: int,
    explain: str | None,
) -> dict[str, Any]:
    from gateway.storage.moments import moment

    return {
        "rule": armed.rule.name,
        "since": moment(period[0]),
        "until": moment(period[1]),
        "learned_from": moment(learned_us),
        "calls": done.calls,
        "findings": [_finding(one, armed, budget) for one in done.findings],
        "explained": None if explain is None else done.watch.explain(explain),
    }


def _would(one: "Finding", armed: "Armed", budget: "Budget | None") -> str | None:
    """What the rule would have done; null if it only tells."""
    from gateway.core.actions import action_of, effect_of
    from gateway.core.alerts.raising import alert_of

    if armed.deed is None:
        return None
    scope = getattr(armed.rule, "scope", None) if budget is None else budget.scope
    action = action_of(armed.deed, one, alert_of(one), scope)
    if isinstance(action, str):
        return action
    return f"would ask to confirm that {effect_of(action)}" if armed.deed.asks else f"would act: {effect_of(action)}"


def _finding(one: "Finding", armed: "Armed", budget: "Budget | None") -> dict[str, Any]:
    from gateway.core.alerts.event import outside
    from gateway.storage.moments import moment

    return {
        "at": moment(one.at_us),
        "type": one.type,
        "subject": one.subject,
        "window": one.window,
        "severity": one.severity,
        "because": one.because,
        "facts": outside(one.facts),
        "action": _would(one, armed, budget),
    }


def print_replay(out: "Console", told: Mapping[str, Any]) -> None:
    """A line for each finding, then how much was looked at."""
    rows = [[one["at"].replace("T", " ")[:16], one["subject"], one["severity"], _why(one)] for one in told["findings"]]
    if rows:
        print_table(out, _COLUMNS, rows)
    begin, end = (told[edge].replace("T", " ")[:16] for edge in ("since", "until"))
    fired = "never have fired" if not rows else f"have fired {'once' if len(rows) == 1 else f'{len(rows)} times'}"
    out.print(f"{told['rule']} would {fired} from {begin} to {end} UTC.")
    print_facts(out, [("calls seen", count(told["calls"])), ("learned from", told["learned_from"][:10])])
    if told["explained"] is not None:
        out.print(told["explained"])


def _why(finding: Mapping[str, Any]) -> str:
    action = finding["action"]
    return str(finding["because"]) if action is None else f"{finding['because']}; {action}"
