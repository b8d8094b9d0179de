"""Percentages of a budget, each once in a window."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.alerts.event import Severity
from gateway.core.alerts.threshold import Threshold
from gateway.core.windows import Span
from tests.core.alerts.traffic import MONTH, account, at, found, minute

RULE = Threshold("spent", "all", at=(50, 80, 100))


def test_each_percentage_is_told_once_in_a_window() -> None:
    spent = [10, 49.99, 50, 60, 81, 99, 100, 120]
    findings = found(RULE, [minute(n, budgets=[account(usd)]) for n, usd in enumerate(spent)])

    assert [(at(one), one.facts["percent"]) for one in findings] == [(2, 50), (4, 80), (6, 100)]
    assert [one.severity for one in findings] == [Severity.WARNING, Severity.WARNING, Severity.CRITICAL]
    assert findings[0].because == "all (everything) has spent $50.00 of $100.00, which passes 50 %"
    assert {one.type for one in findings} == {"budget.threshold"}
    assert findings[0].concerns == {"budget": "all"}


def test_the_next_window_is_told_anew() -> None:
    """Known fault 47."""
    after = Span(MONTH.end_us or 0, None)
    findings = found(RULE, [minute(1, budgets=[account(60)]), minute(2, budgets=[account(60, span=after)])])
    assert [one.window for one in findings] == ["2026-11-01/50", "2026-12-01/50"]


def test_the_percentages_are_the_budget_s_unless_the_rule_has_some() -> None:
    """Known fault 49: any number of thresholds of one's own."""
    findings = found(replace(RULE, at=()), [minute(1, budgets=[account(70, alert_at=(60, 90))])])
    assert [one.facts["percent"] for one in findings] == [60]
    assert found(replace(RULE, at=()), [minute(1, budgets=[account(99)])]) == []


def test_the_first_refusal_of_a_window_is_told() -> None:
    findings = found(RULE, [minute(n, budgets=[account(20, refused_calls=n)]) for n in range(4)])
    assert [(one.type, at(one), one.severity) for one in findings] == [("budget.exhausted", 1, Severity.CRITICAL)]


def test_each_subject_is_told_by_itself_and_other_budgets_are_not() -> None:
    ci, web = (replace(account(90), subject=f"key={name}") for name in ("ci", "web"))
    other = replace(account(90), budget="other")
    findings = found(RULE, [minute(1, budgets=[ci, web, other])])
    assert {one.subject for one in findings} == {"key=ci", "key=web"}


@given(st.lists(st.floats(0, 200), max_size=30), st.sets(st.integers(1, 200), max_size=5))
def test_it_tells_what_was_reached_and_nothing_twice(spent: list[float], marks: set[int]) -> None:
    findings = found(
        replace(RULE, at=tuple(sorted(marks))), [minute(n, budgets=[account(one)]) for n, one in enumerate(spent)]
    )
    told = [one.facts["percent"] for one in findings]
    most = max(spent, default=0.0)
    assert len(told) == len(set(told))
    if marks:
        assert (
            {mark for mark in marks if mark < most - 0.001}
            <= set(told)
            <= {mark for mark in marks if mark <= most + 0.001}
        )


def test_it_says_why_it_did_not_fire() -> None:
    watch = RULE.watch()
    watch.see(minute(1, budgets=[account(12.5)]))
    assert watch.explain("everything") == "everything: $12.50 of $100.00 is 12.5 %; watched: 50 %, 80 %, 100 %"
    assert watch.explain("key=ci") == "nothing was spent yet of all (key=ci)"
