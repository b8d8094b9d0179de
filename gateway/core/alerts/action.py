"""What a rule may do besides telling: freeze a key, lower a budget, take another model, or ask somebody first.

Works out what exactly is proposed for a finding; who carries it out is not known here.
"""

from enum import StrEnum

from gateway.core.alerts.finding import Finding, Rule
from gateway.core.value import value


class Act(StrEnum):
    """What is done."""

    FREEZE_KEY = "freeze_key"
    LOWER_BUDGET = "lower_budget"
    DOWNGRADE = "downgrade"


@value(frozen=True)
class Action:
    """What a rule does when it finds something."""

    act: Act
    ask: bool = True
    """Nothing is done before a person has confirmed it."""
    percent: int = 0
    """For `lower_budget`: of what is spent, that the limit becomes; 100 lets nothing more through."""
    model: str | None = None
    """For `downgrade`: what is asked instead."""


@value(frozen=True)
class Proposal:
    """An action on something that is named."""

    act: Act
    ask: bool
    on: str
    """The key's name, or the budget's; the model that is replaced."""
    to: str | None
    """The new limit in percent of what is spent, or the new model."""


def proposed(action: Action, finding: Finding) -> Proposal | None:
    """What an action means for a finding; null where the finding is about nothing that it could act on."""
    about = {Act.FREEZE_KEY: "key", Act.LOWER_BUDGET: "budget", Act.DOWNGRADE: "model"}[action.act]
    on = finding.concerns.get(about)
    if on is None:
        return None
    to = {Act.LOWER_BUDGET: f"{action.percent}", Act.DOWNGRADE: action.model}.get(action.act)
    return Proposal(action.act, action.ask, on, to)


@value(frozen=True)
class Armed:
    """A rule with what follows from a finding."""

    rule: Rule
    channels: tuple[str, ...] = ()
    """Who is told."""
    action: Action | None = None
