"""A refusal tells everything that its reader needs: budget, spent, held, left, limit, and when it begins anew."""

from gateway.core.accounts import Account
from gateway.core.budgets import Bound, Budget
from gateway.core.errors import Kind
from gateway.core.escrow import Lack, Obstacle, Standing
from gateway.core.windows import Span, Window
from gateway.proxy.shortage import over_cap, refusal_of_lack, unbounded

USD = 10**9
BUDGET = Budget("team", USD, Window.MONTH)
BOUND = Bound(BUDGET, Account("team", "key=ci", 0), Span(0, 1_798_761_600_000_000))


def test_a_spent_budget_says_when_it_begins_anew() -> None:
    lack = Lack(BOUND, Obstacle.SPENT, Standing(USD - 10, 5, 3), 5)
    fault = refusal_of_lack(lack, 20_000_000, USD)
    assert fault.kind is Kind.BUDGET_SPENT
    assert fault.sentence == (
        "the budget team of key=ci is spent: $0.999999995 spent, $0.000000003 held, $0.000000005 left of $1.000000000; "
        "this call may cost $0.020000000; it begins anew at 2027-01-01T00:00:00Z"
    )
    assert fault.retry_after is None


def test_what_others_hold_may_come_back() -> None:
    fault = refusal_of_lack(Lack(BOUND, Obstacle.HELD, Standing(0, 0, USD), USD), 20_000_000, USD)
    assert (fault.kind, fault.retry_after) == (Kind.RATE, 1.0)
    assert "$1.000000000 held" in fault.message


def test_a_budget_for_ever_has_to_be_raised() -> None:
    bound = Bound(BUDGET, Account("team", "everything", 0), Span(0, None))
    fault = refusal_of_lack(Lack(bound, Obstacle.SPENT, Standing(USD), 0), 1, USD, "it offers tools")
    assert fault.message.startswith("the budget team is spent: ")
    assert fault.message.endswith("a shorter answer would be none: it offers tools")
    assert fault.hint == "it never begins anew: somebody has to raise it"


def test_what_nobody_can_bound_says_what_to_do() -> None:
    assert unbounded("team", "no price is known").kind is Kind.PRICE_UNKNOWN
    assert over_cap(2, 1).message == "this call may cost $0.000000002, and it must not cost more than $0.000000001"
