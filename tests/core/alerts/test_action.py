"""What a rule may do, and on what."""

from dataclasses import replace

import pytest

from gateway.core.alerts.action import Act, Action, Proposal, proposed
from gateway.core.alerts.finding import Finding, Severity

FINDING = Finding(
    "loops", "runaway", "spend.runaway", "key=ci", "2026-11-02", Severity.CRITICAL, 1, "because", {},
    {"key": "ci", "model": "fast", "budget": "all"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("action", "proposal"),
    [
        (Action(Act.FREEZE_KEY), Proposal(Act.FREEZE_KEY, True, "ci", None)),
        (Action(Act.LOWER_BUDGET, False, percent=110), Proposal(Act.LOWER_BUDGET, False, "all", "110")),
        (Action(Act.DOWNGRADE, model="small"), Proposal(Act.DOWNGRADE, True, "fast", "small")),
    ],
)
def test_an_action_names_what_it_is_on(action: Action, proposal: Proposal) -> None:
    assert proposed(action, FINDING) == proposal


@pytest.mark.parametrize("act", list(Act))
def test_a_finding_about_nothing_of_the_kind_proposes_nothing(act: Act) -> None:
    assert proposed(Action(act), replace(FINDING, concerns={"target": "openai/fast"})) is None
