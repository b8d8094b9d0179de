"""Rollups: what counts as what, and that unknown stays unknown."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.calls import End
from gateway.core.rollups import FIGURES, Rollup
from gateway.core.usage import BUCKETS, Basis, Usage

counts = st.none() | st.integers(0, 10**6)
milliseconds = st.none() | st.floats(0.1, 1e5)
Figures = tuple[Any, ...]

one_call = st.fixed_dictionaries(
    {
        "end": st.sampled_from(End).map(str),
        "attempts": st.integers(0, 3),
        **dict.fromkeys(BUCKETS, counts),
        "usage_basis": st.sampled_from(Basis).map(str),
        "cost_nano": counts,
        "cost_at_least_nano": counts,
        "avoided_nano": st.integers(0, 100),
        "reserve_nano": st.integers(0, 100),
        "ttft_ms": milliseconds,
        "itl_p50_ms": milliseconds,
        "duration_ms": milliseconds,
        "output_tokens_per_second": st.none() | st.just(1.0),
    }
)
figures = one_call.map(lambda call: tuple(call[name] for name in FIGURES))


def a_call(**changes: Any) -> Figures:
    plain = {"end": "completed", "attempts": 1, "usage_basis": "provider", "cost_nano": 0}
    plain |= {"avoided_nano": 0, "reserve_nano": 0}
    usage = changes.pop("usage", {})
    return tuple({**plain, **usage, **changes}.get(name) for name in FIGURES)


def usage(**buckets: int) -> dict[str, int]:
    return buckets


def summed(*calls: Figures) -> Rollup:
    rollup = Rollup()
    rollup.add(calls)
    return rollup


def test_nothing_at_all_costs_nothing() -> None:
    rollup = Rollup()
    assert rollup.spent_nano == 0
    assert rollup.usage == Usage()
    assert rollup.output_tokens_per_second is None


def test_calls_without_a_known_cost_cost_an_unknown_amount() -> None:
    rollup = summed(a_call(cost_nano=None, cost_at_least_nano=7))
    assert rollup.spent_nano is None
    assert (rollup.unpriced_calls, rollup.cost_at_least_nano) == (1, 7)


def test_a_refused_call_does_not_make_an_unknown_cost_a_zero() -> None:
    """Known fault 23: unknown and free are two things."""
    refused, unpriced = a_call(end="refused", attempts=0, cost_nano=0), a_call(cost_nano=None)
    assert summed(refused, unpriced).spent_nano is None
    assert summed(refused, refused).spent_nano == 0
    both = summed(refused)
    both.merge(summed(unpriced))
    assert both.spent_nano is None


def test_known_costs_are_summed_beside_unknown_ones() -> None:
    rollup = summed(a_call(cost_nano=5), a_call(cost_nano=None), a_call(cost_nano=0))
    assert (rollup.spent_nano, rollup.unpriced_calls) == (5, 1)


def test_a_bucket_that_nobody_told_is_unknown() -> None:
    """Known fault 13: unknown is null, not zero."""
    rollup = summed(a_call(usage=usage(input=3)), a_call(usage=usage(input=4, output=0)))
    assert rollup.usage == Usage(input=7, output=0)


def test_errors_are_failures_and_cuts_by_the_upstream() -> None:
    rollup = summed(*(a_call(end=str(end)) for end in End))
    assert (rollup.calls, rollup.errors) == (len(End), 2)


def test_speed_is_tokens_over_time_of_all_calls() -> None:
    fast = a_call(usage=usage(output=80, reasoning=20), ttft_ms=100.0, duration_ms=1100.0, output_tokens_per_second=1)
    slow = a_call(usage=usage(output=100), ttft_ms=100.0, duration_ms=3100.0, output_tokens_per_second=1)
    whole = a_call(usage=usage(output=999), duration_ms=5.0)
    assert summed(fast, slow, whole).output_tokens_per_second == 50.0


def test_distributions_are_of_the_calls_that_have_them() -> None:
    rollup = summed(a_call(duration_ms=5.0), a_call(duration_ms=7.0, ttft_ms=1.0, itl_p50_ms=0.5))
    assert (rollup.duration_ms.count, rollup.ttft_ms.count, rollup.itl_ms.count) == (2, 1, 1)


@given(st.lists(figures, max_size=6), st.lists(figures, max_size=6))
def test_merging_sums_is_summing_all_calls(some: list[Figures], others: list[Figures]) -> None:
    merged = summed(*some)
    merged.merge(summed(*others))
    assert merged == summed(*some, *others)


@given(st.lists(figures, max_size=6))
def test_adding_at_once_is_adding_one_by_one(calls: list[Figures]) -> None:
    one_by_one = Rollup()
    for call in calls:
        one_by_one.add([call])
    assert summed(*calls) == one_by_one
