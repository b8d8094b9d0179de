"""What rules have found, on its way to SQL: kept until it is there, for a rule tells a finding once."""

from collections import deque
from collections.abc import Iterable, Sequence

from gateway.core.alerts.event import Alert
from gateway.core.alerts.facts import Minute
from gateway.core.alerts.finding import Watch
from gateway.core.alerts.raising import alert_of
from gateway.storage.alerts import AlertRepository


class Raiser:
    """Shows minutes to watches, and raises what they find."""

    def __init__(self, alerts: AlertRepository) -> None:
        self._alerts = alerts
        self._found: deque[tuple[Alert, Sequence[str]]] = deque()

    def show(self, minute: Minute, watches: Iterable[tuple[Watch, Sequence[str]]]) -> None:
        """What they find waits for `raise_all`; each watch comes with the channels that are told."""
        for watch, channels in watches:
            self._found.extend((alert_of(finding), channels) for finding in watch.see(minute))

    async def raise_all(self) -> None:
        """Raises `Fault` (unavailable); then what is left is raised the next time."""
        while self._found:
            await self._alerts.raise_alert(*self._found[0])
            self._found.popleft()
