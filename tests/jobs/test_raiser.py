"""What a rule has found once is raised once, even if the database was away when it was found."""

import pytest

from gateway.core.alerts.event import Alert, Severity
from gateway.core.alerts.facts import Minute
from gateway.core.alerts.finding import Finding
from gateway.core.errors import Fault, Kind
from gateway.jobs.raiser import Raiser
from gateway.storage.alerts import AlertRepository
from gateway.storage.engine import Database
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio


class Finds:
    """A watch that finds the same in every minute, and, like every watch, tells it once."""

    def __init__(self) -> None:
        self.told = False

    def see(self, minute: Minute) -> list[Finding]:
        if self.told:
            return []
        self.told = True
        end = minute.end_us
        return [Finding("r", "errors", "provider.errors", "s", "w", Severity.WARNING, end, "because", {}, {})]

    def explain(self, subject: str) -> str:
        return subject


class Away(AlertRepository):
    """Fails until it is back."""

    back = False

    async def raise_alert(self, alert: Alert, channels: object) -> bool:
        if not self.back:
            raise Fault(Kind.UNAVAILABLE, "away")
        return await super().raise_alert(alert, [])


async def test_a_finding_outlives_a_database_that_is_away(db: Database) -> None:
    alerts = Away(db, now_us=FakeClock().now_us)
    raiser = Raiser(alerts)
    raiser.show(Minute(0), [(Finds(), ())])
    for _ in range(2):
        with pytest.raises(Fault, match="away"):
            await raiser.raise_all()
    alerts.back = True
    await raiser.raise_all()
    await raiser.raise_all()
    assert [alert.rule for alert in (await alerts.page()).items] == ["r"]
