"""Sums over the last minutes, and memories with a bound."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.alerts.sliding import Recent, Sliding

amounts = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 1000)), max_size=40)


@given(st.integers(1, 60), amounts)
def test_a_window_of_an_hour_or_less_is_exact(minutes: int, given_amounts: list[tuple[int, int]]) -> None:
    span, at, seen = Sliding(minutes), 1000, []
    for pause, amount in given_amounts:
        at += pause
        span.advance(at)
        span.add(amount)
        seen.append((at, amount))
        assert span.sum == sum(amount for when, amount in seen if when > at - minutes)


@given(st.integers(61, 5000), amounts)
def test_a_longer_one_is_exact_to_a_sixtieth(minutes: int, given_amounts: list[tuple[int, int]]) -> None:
    span, at, seen = Sliding(minutes), 1000, []
    for pause, amount in given_amounts:
        at += pause * minutes // 60
        span.advance(at)
        span.add(amount)
        seen.append((at, amount))
        most = sum(amount for when, amount in seen if when > at - minutes * 62 / 60 - 1)
        least = sum(amount for when, amount in seen if when > at - minutes * 58 / 60 + 1)
        assert least <= span.sum <= most


def test_what_was_not_asked_for_longest_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)

    assert (recent.get("a"), recent.get("b"), recent.get("c"), len(recent)) == (1, None, 3, 2)
