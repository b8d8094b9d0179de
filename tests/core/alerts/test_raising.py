"""What was found becomes an alert that names what it is about."""

from dataclasses import replace

from gateway.core.alerts.event import Severity, title_of
from gateway.core.alerts.finding import Finding
from gateway.core.alerts.raising import alert_of

FOUND = Finding(
    rule="spent",
    kind="threshold",
    type="budget.threshold",
    subject="everything",
    window="2026-11-01/80",
    severity=Severity.WARNING,
    at_us=7,
    because="dollar has spent $0.80 of $1.00, which passes 80 %",
    facts={"spent_nano": 800_000_000, "limit_nano": 10**9, "percent": 80, "left": None},
    concerns={"budget": "dollar"},
)


def test_a_budget_that_is_counted_as_a_whole_is_the_subject() -> None:
    alert = alert_of(FOUND)
    assert (alert.rule, alert.kind, alert.subject, alert.window) == (
        "spent",
        "budget.threshold",
        "dollar",
        "2026-11-01/80",
    )
    assert (alert.severity, alert.raised_us, alert.because) == (Severity.WARNING, 7, FOUND.because)
    assert alert.facts == {"spent_nano": 800_000_000, "limit_nano": 10**9, "percent": 80}
    assert title_of(alert) == "Budget dollar: 80 % of $1.00 spent"


def test_an_account_of_several_is_named_beside_its_budget() -> None:
    alert = alert_of(replace(FOUND, subject="key=ci"))
    assert (alert.subject, alert.facts["budget"]) == ("key=ci", "dollar")
    assert title_of(alert) == "Budget dollar (key=ci): 80 % of $1.00 spent"


def test_other_findings_keep_their_subject() -> None:
    alert = alert_of(replace(FOUND, subject="key=ci", type="spend.anomaly", concerns={"key": "ci"}))
    assert (alert.subject, alert.facts["key"]) == ("key=ci", "ci")
