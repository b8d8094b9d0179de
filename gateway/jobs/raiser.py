"""What rules have found, and what they do, on its way to SQL: kept until it is there, for a rule tells it once."""

import logging
from collections import deque
from collections.abc import Callable, Iterable

from gateway.core.actions import Action, action_of
from gateway.core.alerts.event import Alert
from gateway.core.alerts.facts import Minute
from gateway.core.alerts.finding import Armed, Finding, Watch
from gateway.core.alerts.raising import alert_of
from gateway.core.budgets import Budgets
from gateway.core.scopes import Scope
from gateway.storage.alerts import AlertRepository

logger = logging.getLogger(__name__)


class Raiser:
    """Shows minutes to watches, and raises what they find."""

    def __init__(self, alerts: AlertRepository, budgets: Callable[[], Budgets]) -> None:
        """`budgets`: those in force now."""
        self._alerts = alerts
        self._budgets = budgets
        self._found: deque[tuple[Alert, Armed, Action | str | None]] = deque()

    def show(self, minute: Minute, watches: Iterable[tuple[Watch, Armed]]) -> None:
        """What they find waits for `raise_all`; each watch comes with its rule."""
        for watch, armed in watches:
            for finding in watch.see(minute):
                alert = alert_of(finding)
                self._found.append((alert, armed, self._action(armed, finding, alert)))

    async def raise_all(self) -> None:
        """Raises `Fault` (unavailable); then what is left is raised the next time."""
        while self._found:
            alert, armed, action = self._found[0]
            raised = await self._alerts.raise_alert(alert, armed.channels, action)
            self._found.popleft()
            if raised is not None and action is not None:
                acts = "cannot act" if isinstance(action, str) else "acts"
                logger.warning("the rule %s %s: %s", alert.rule, acts, raised.facts["action"])

    def _action(self, armed: Armed, finding: Finding, alert: Alert) -> Action | str | None:
        if armed.deed is None:
            return None
        return action_of(armed.deed, finding, alert, scope_of_rule(armed, finding, self._budgets()))


def scope_of_rule(armed: Armed, finding: Finding, budgets: Budgets) -> Scope | None:
    """Whose calls a rule watches: its own scope, or that of its budget."""
    scope = getattr(armed.rule, "scope", None)
    if isinstance(scope, Scope):
        return scope
    budget = budgets.named.get(finding.concerns.get("budget", ""))
    return None if budget is None else budget.scope
