"""What a rule found, as the alert that is raised for it."""

from gateway.core.alerts.event import Alert
from gateway.core.alerts.finding import Finding
from gateway.core.scopes import EVERYTHING


def alert_of(finding: Finding) -> Alert:
    """Of a budget that is counted as a whole the alert's subject is the budget, else the account of it."""
    facts: dict[str, object] = {**finding.concerns}
    facts.update({name: figure for name, figure in finding.facts.items() if figure is not None})
    subject = finding.subject
    if subject == EVERYTHING and "budget" in facts:
        subject = str(facts.pop("budget"))
    of_window = (finding.rule, finding.type, subject, finding.window)
    return Alert(*of_window, finding.at_us, finding.severity, facts, finding.because)
