"""What a rule has found once is raised once, even if the database was away when it was found."""

import pytest

from gateway.core.actions import Action, effect_of
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Alert, Severity
from gateway.core.alerts.facts import Minute
from gateway.core.alerts.finding import Armed, Finding
from gateway.core.alerts.metering import MeteringGap
from gateway.core.alerts.service import Errors
from gateway.core.alerts.threshold import Threshold
from gateway.core.budgets import Budget, Budgets
from gateway.core.errors import Fault, Kind
from gateway.core.scopes import Scope, scope_of
from gateway.core.windows import Window
from gateway.jobs.raiser import Raiser
from gateway.storage.actions import ActionRepository
from gateway.storage.alerts import AlertRepository
from gateway.storage.engine import Database
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio


NO_BUDGETS = Budgets((), {})
LOWER, SMALLER = Deed(Act.LOWER, limit_nano=5_000_000_000), Deed(Act.DOWNGRADE, model="small")
EACH_KEY = scope_of([("key", "*")])


class Finds:
    """A watch that finds the same in every minute, and, like every watch, tells it once."""

    def __init__(self, subject: str = "everything", rule: str = "r", **concerns: str) -> None:
        self.told = False
        self.rule = rule
        self.subject = subject
        self.concerns = concerns

    def see(self, minute: Minute) -> list[Finding]:
        if self.told:
            return []
        self.told = True
        end = minute.end_us
        found = (self.rule, "errors", "provider.errors", self.subject, "w", Severity.WARNING, end, "because")
        return [Finding(*found, {}, self.concerns)]

    def explain(self, subject: str) -> str:
        return subject


class Away(AlertRepository):
    """Fails until it is back."""

    back = False

    async def raise_alert(
        self, alert: Alert, channels: object, action: Action | str | None = None, *, over: bool = False
    ) -> Alert | None:
        if not self.back:
            raise Fault(Kind.UNAVAILABLE, "away")
        return await super().raise_alert(alert, [], action)


async def test_a_finding_outlives_a_database_that_is_away(db: Database) -> None:
    alerts = Away(db, now_us=FakeClock().now_us)
    raiser = Raiser(alerts, lambda: NO_BUDGETS)
    raiser.show(Minute(0), [(Finds(), Armed(Errors("r")))])
    for _ in range(2):
        with pytest.raises(Fault, match="away"):
            await raiser.raise_all()
    alerts.back = True
    await raiser.raise_all()
    await raiser.raise_all()
    assert [alert.rule for alert in (await alerts.page()).items] == ["r"]


@pytest.mark.parametrize(
    ("armed", "finds", "effects"),
    [
        (
            Armed(Errors("r", scope=scope_of([("key", "*")])), (), Deed(Act.FREEZE)),
            Finds("key=ci"),
            ["the key ci is frozen"],
        ),
        (Armed(Threshold("r", "b"), (), LOWER), Finds(budget="b"), ["the budget b is lowered to $5.00"]),
        (Armed(Errors("r", scope=EACH_KEY), (), SMALLER), Finds("key=ci"), ["calls of key=ci go to small"]),
        (Armed(Threshold("r", "b"), (), Deed(Act.FREEZE)), Finds(budget="b"), ["the key cd is frozen"]),
        (Armed(Errors("r", scope=Scope()), (), Deed(Act.FREEZE)), Finds("team=a"), []),
        (Armed(Errors("r", scope=EACH_KEY)), Finds("key=ci"), []),
    ],
)
async def test_a_rule_does_what_it_says_to_whom_it_watches(
    db: Database, armed: Armed, finds: Finds, effects: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    budgets = Budgets([Budget("b", 1, Window.DAY, scope=scope_of([("key", "cd")]))], {})
    alerts = AlertRepository(db, now_us=FakeClock().now_us)
    raiser = Raiser(alerts, lambda: budgets)
    raiser.show(Minute(0), [(Finds(finds.subject, finds.rule, **finds.concerns), armed)])
    await raiser.raise_all()
    (alert,) = (await alerts.page()).items
    assert [effect_of(one) for one in await ActionRepository(db).all()] == effects
    assert ("action" in alert.facts) is (armed.deed is not None)
    said = [one.getMessage() for one in caplog.records if one.name == "gateway.jobs.raiser"]
    acts = "acts" if effects else "cannot act"
    assert said == ([f"the rule r {acts}: {alert.facts['action']}"] if armed.deed else [])


@pytest.mark.parametrize("scope", ["*", "ci"])
async def test_a_ledger_that_is_behind_freezes_nobody(db: Database, scope: str) -> None:
    """Nor does a rule that watches one key's calls alone freeze that key for it."""
    rule = MeteringGap("gaps", scope_of([("key", scope)]))
    alerts = AlertRepository(db, now_us=FakeClock().now_us)
    raiser = Raiser(alerts, lambda: NO_BUDGETS)
    raiser.show(Minute(0, behind_s=100.0), [(rule.watch(), Armed(rule, (), Deed(Act.FREEZE)))])
    await raiser.raise_all()
    (alert,) = (await alerts.page()).items
    assert alert.facts["action"] == "nothing was done: this is about the ledger, and about nobody's calls"
    assert await ActionRepository(db).all() == []


async def test_the_log_says_what_holds_now_and_how_to_undo_it(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """The action in force, also where another rule has made it."""
    alerts = AlertRepository(db, now_us=FakeClock().now_us)
    raiser = Raiser(alerts, lambda: NO_BUDGETS)
    for rule in ("r", "other"):
        watch = Finds("key=ci", rule=rule)
        raiser.show(Minute(0), [(watch, Armed(Errors(rule, scope=EACH_KEY), (), Deed(Act.FREEZE)))])
        await raiser.raise_all()
    (made,) = await ActionRepository(db).all()
    assert [one.getMessage() for one in caplog.records if one.name == "gateway.jobs.raiser"] == [
        f"the rule r acts: the key ci is frozen; to undo it: tollkeeper alerts undo {made.id}",
        "the rule other acts: the key ci is frozen already, by the rule r; "
        f"to undo it: tollkeeper alerts undo {made.id}",
    ]
