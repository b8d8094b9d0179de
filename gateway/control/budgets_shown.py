"""A budget as the admin API and the command line write it: money as decimal text, times in RFC 3339."""

from collections.abc import Sequence
from typing import Any

from gateway.control import times
from gateway.core.actions import Action
from gateway.core.budgets import Raise
from gateway.core.money import usd_text
from gateway.storage.budget_standings import BudgetStanding, Figures, SubjectStanding


def budget_facts(standing: BudgetStanding, now_us: int) -> dict[str, Any]:
    """The fields of a budget and its figures in this window, in the order in which they are written."""
    budget = standing.budget
    return {
        "name": budget.name,
        "limit_usd": usd_text(budget.limit_nano),
        **_figures(standing.figures),
        "resets_at": times.rfc3339(standing.span.end_us),
        "mode": str(budget.mode),
        "scope": budget.scope.as_dict(),
        "source": budget.source,
        "window": str(budget.window),
        "timezone": budget.zone,
        "alert_at": list(budget.alert_at),
        "on_exhausted": str(budget.exhausted),
        "downgrade_to": budget.downgrade_to,
        "unpriced": "allow" if budget.unpriced_allowed else "refuse",
        "raised": _raised(budget.raised, now_us),
        "lowered_to_usd": usd_text(budget.lowered_nano),
        "lowered_by": _lowered_by(standing.lowered_by),
    }


def subject_facts(standing: BudgetStanding, subjects: Sequence[SubjectStanding]) -> dict[str, Any]:
    """What a budget alone shows beside that: those that it counts apart, and how many there are; null if it does not
    count apart."""
    if not standing.budget.scope.counted:
        return {"subjects": None, "subject_count": None}
    shown = [{"subject": one.subject, **_figures(one.figures)} for one in subjects]
    return {"subjects": shown, "subject_count": standing.subjects}


def _figures(figures: Figures | None) -> dict[str, Any]:
    """All null for one that has not begun to count."""
    names = ("spent", "reserve", "held", "remaining", "over")
    amounts = {f"{name}_usd": None if figures is None else usd_text(getattr(figures, name)) for name in names}
    return {**amounts, "over_because": None if figures is None else [str(one) for one in figures.because]}


def _lowered_by(action: Action | None) -> dict[str, str] | None:
    return None if action is None else {"rule": action.rule, "action_id": action.id}


def _raised(raised: Raise | None, now_us: int) -> dict[str, str | None] | None:
    """Null once it is over."""
    if raised is None or raised.until_us <= now_us:
        return None
    return {"usd": usd_text(raised.nano), "until": times.rfc3339(raised.until_us)}
