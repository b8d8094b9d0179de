"""What a record derives from its attempts."""

from dataclasses import replace

from gateway.core.calls import Attempt, CallRecord, Charge, End
from gateway.core.usage import NOTHING_USED, Basis, Usage
from tests.fakes.records import ATTEMPT, COMPLETED, REFUSED

FAILED = Attempt(0, "a/m", "a", End.FAILED, 0, 503, usage=NOTHING_USED, usage_basis=Basis.NONE, cost_nano=0)


def of(*attempts: Attempt) -> CallRecord:
    return replace(COMPLETED, attempts=attempts)


def test_a_call_without_attempts_costs_nothing() -> None:
    assert (REFUSED.target, REFUSED.provider, REFUSED.price_book) == (None, None, None)
    assert (REFUSED.cost_nano, REFUSED.cost_at_least_nano, REFUSED.usage, REFUSED.usage_basis) == (
        0, None, Usage(), Basis.NONE,
    )  # fmt: skip
    assert REFUSED.charges == ()


def test_sums_over_attempts() -> None:
    """Known fault 28: the attempts of one operation are grouped, counted and summed."""
    other = replace(
        ATTEMPT, index=1, usage=Usage(input=1, output=2), cost_nano=5, charges=(Charge(1, "input", 1, "1", 5),)
    )
    record = of(ATTEMPT, other)
    assert record.usage == Usage(input=201, cache_read=800, output=102)
    assert record.cost_nano == 1_600_005
    assert record.charges == other.charges
    assert record.target == other.target


def test_an_unknown_cost_makes_the_sum_unknown_and_keeps_the_known_part() -> None:
    """Known fault 13."""
    unknown = replace(ATTEMPT, index=1, cost_nano=None, cost_at_least_nano=7)
    record = of(ATTEMPT, unknown)
    assert (record.cost_nano, record.cost_at_least_nano) == (None, 1_600_007)
    assert (of(ATTEMPT).cost_nano, of(ATTEMPT).cost_at_least_nano) == (1_600_000, None)


def test_the_basis_is_the_weakest_of_those_that_used_anything() -> None:
    estimated = replace(ATTEMPT, usage_basis=Basis.ESTIMATED)
    assert of(FAILED, ATTEMPT).usage_basis is Basis.PROVIDER
    assert of(FAILED, ATTEMPT, estimated).usage_basis is Basis.ESTIMATED
    assert of(FAILED).usage_basis is Basis.NONE
    assert of(FAILED, FAILED).usage_basis is Basis.NONE
