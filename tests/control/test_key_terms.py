"""A key's own limit and budget: what is stated is what is shown."""

import pytest

from gateway.control.key_terms import MOST, own_facts, own_terms, stated_budget
from gateway.core.budgets import Mode
from gateway.core.errors import Fault, Kind
from gateway.core.windows import Window
from gateway.settings.limits import IN_FLIGHT, RPM, TPM
from gateway.storage.key_terms import NO_TERMS


def test_what_is_stated_is_shown() -> None:
    terms = own_terms("ci", 7, tpm=9, budget=stated_budget("0.5 / week"))
    assert own_facts(terms) == {"budget": "0.500000000/week", "rpm": None, "tpm": 9, "in_flight": None, "frozen": None}
    assert terms.budget is not None
    assert terms.limit is not None
    assert (terms.budget.name, terms.budget.zone, terms.budget.mode, terms.budget.alert_at, terms.budget.since_us) == (
        "key:ci", "UTC", Mode.HARD, (), 7,
    )  # fmt: skip
    assert terms.budget.scope.as_text() == terms.limit.scope.as_text() == "key=ci"
    assert own_terms("ci", 7) == NO_TERMS


@pytest.mark.parametrize("window", list(Window))
def test_every_window_can_be_one(window: Window) -> None:
    assert stated_budget(f"5.00/{window}") == (5_000_000_000, window)


@pytest.mark.parametrize("text", ["", "5", "/", "5/", "/month", "5/month/day", "5/fortnight", "-1/day", "nan/day"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(Fault) as raised:
        stated_budget(text, "--budget")
    assert (raised.value.kind, raised.value.param) == (Kind.INVALID, "--budget")


def test_the_bounds_are_those_of_the_file() -> None:
    """The settings lie below, and tell them a second time."""
    for rule, field in ((RPM, "rpm"), (TPM, "tpm"), (IN_FLIGHT, "in_flight")):
        assert rule.word == f"integer, 1 to {MOST[field]}"
