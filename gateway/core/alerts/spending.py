"""How an account of a budget is spent over time, worked out from where it stands every minute; it begins anew with each
window, and what it has learned of its days stays."""

from gateway.core.alerts.facts import HOUR_US, MINUTE_US, BudgetNow
from gateway.core.alerts.robust import HOURS, Hours
from gateway.core.money import Nano


class Spending:
    """The hours of one account. What was spent before it began is in no hour, for nobody knows in which."""

    __slots__ = ("_spent", "hour", "hour_nano", "hours", "now")

    def __init__(self, now: BudgetNow, at_us: int) -> None:
        """`now`: where it stands at `at_us`, the end of a minute."""
        self.hour = (at_us - 1) // HOUR_US
        self.hours = Hours(self.hour)
        self.hour_nano: Nano = 0
        """Spent in the hour that is not over."""
        self.now = now
        fresh = at_us - now.span.start_us <= MINUTE_US
        self._spent = 0 if fresh else now.spent_nano

    def see(self, now: BudgetNow, at_us: int) -> Nano:
        """Go on to where it stands at `at_us`; what was spent since."""
        self.advance(at_us)
        before = self._spent if now.span.start_us == self.now.span.start_us else 0
        spent = max(0, now.spent_nano - before)  # a correction may lower it
        self._spent, self.now = now.spent_nano, now
        self.hour_nano += spent
        return spent

    def advance(self, at_us: int) -> None:
        """End the hours that are over."""
        hour = (at_us - 1) // HOUR_US
        if hour - self.hour > HOURS:
            self.hours, self.hour, self.hour_nano = Hours(hour), hour, 0
        while self.hour < hour:
            self.hours.append(self.hour_nano)
            self.hour += 1
            self.hour_nano = 0
