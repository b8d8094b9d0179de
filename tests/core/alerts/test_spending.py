"""The hours of an account, from where it stands every minute."""

from gateway.core.alerts.facts import HOUR_US
from gateway.core.alerts.spending import Spending
from gateway.core.windows import Span
from tests.core.alerts.traffic import MONTH, START_US, USD, account


def test_what_was_there_before_is_in_no_hour() -> None:
    spending = Spending(account(40), START_US + 1)
    assert spending.see(account(40), START_US + 1) == 0
    assert spending.see(account(43), START_US + HOUR_US) == 3 * USD
    assert spending.see(account(44), START_US + HOUR_US + 1) == USD
    spending.advance(START_US + 3 * HOUR_US)

    assert [spending.hours[START_US // HOUR_US + n] for n in range(2)] == [3 * USD, USD]


def test_what_a_fresh_window_holds_was_spent_in_it() -> None:
    span = Span(START_US, None)
    spending = Spending(account(2, span=span), START_US + 60_000_000)
    assert spending.see(account(2, span=span), START_US + 60_000_000) == 2 * USD


def test_a_new_window_begins_at_nothing_and_a_correction_takes_nothing_back() -> None:
    spending = Spending(account(40), START_US)
    after = Span(MONTH.end_us or 0, None)

    assert spending.see(account(39), START_US) == 0
    assert spending.see(account(1, span=after), (MONTH.end_us or 0) + 1) == USD
    assert spending.now.span == after
