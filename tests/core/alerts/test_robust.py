"""Statistics that a few wild values do not move."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.alerts.robust import HOURS, Hours, Usual, median, spread

numbers = st.lists(st.integers(0, 1000), min_size=9, max_size=30)


@given(numbers, st.integers(10**6, 10**9))
def test_a_minority_of_wild_values_does_not_leave_the_range_of_the_others(ordinary: list[int], wild: int) -> None:
    mixed = [*ordinary, *[wild] * (len(ordinary) // 2 - 1)]
    assert min(ordinary) <= median(mixed) <= max(ordinary)
    assert spread(mixed, median(mixed)) <= 1.5 * (max(ordinary) - min(ordinary))


def test_the_middle_of_nothing_is_nothing() -> None:
    assert median([]) == 0
    assert spread([], 0) == 0
    assert median([1, 2, 3, 10]) == 2.5


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**12), max_size=800))
def test_four_weeks_of_hours_are_remembered(first: int, values: list[int]) -> None:
    hours = Hours(first)
    for one in values:
        hours.append(one)
    kept = values[-HOURS:]

    assert [hours[hour] for hour in range(hours.next - len(kept), hours.next)] == kept
    assert hours.sum(first, hours.next) == sum(kept)
    assert hours[hours.next] == hours[first - 1] == hours[hours.next - HOURS - 1] == 0
    middle = hours.next - len(kept) // 2
    assert hours.sum(middle, hours.next + 5) == sum(kept[len(kept) - len(kept) // 2 :])


def days_of(count: int, *, busy: int, day: int = 10, weekend: int | None = None) -> Hours:
    """A busy hour at noon."""
    hours = Hours(0)
    for hour in range(count * 24):
        peak = weekend if weekend is not None and hour // 24 % 7 > 4 else day
        hours.append(peak + busy if hour % 24 == 12 else peak)
    return hours


def test_each_hour_has_its_own_usual_and_its_neighbours_count() -> None:
    hours = days_of(14, busy=90)

    assert [round(Usual(hours, 14 * 24 + hour).center) for hour in (3, 11, 12, 13, 14)] == [10, 100, 100, 100, 10]
    assert Usual(hours, 14 * 24 + 3).spread == 0


def test_the_hour_of_the_week_counts_more_the_more_weeks_there_are() -> None:
    """A quiet Sunday is not held against six busy days."""
    usual = [Usual(days_of(7 * weeks + 6, busy=0, day=100, weekend=0), (7 * weeks + 6) * 24 + 3) for weeks in (1, 3)]

    assert usual[0].center > usual[1].center > 0
    assert usual[1].center < 50


def test_an_hour_in_which_mostly_nothing_happens_is_not_steady() -> None:
    assert Usual(days_of(10, busy=90), 240).steady
    assert not Usual(days_of(10, busy=90, day=0), 240).steady
    assert not Usual(days_of(3, busy=90), 72).steady
