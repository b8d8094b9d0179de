"""Peaks and sums of a subject's hours."""

from gateway.core.alerts.course import Course
from gateway.core.alerts.robust import HOURS


def test_peaks_and_costs_are_by_hour() -> None:
    course = Course((5, 60), 10)
    for minute, cost in ((600, 3), (602, 4), (630, 5), (661, 1)):
        course.advance(minute)
        course.add(cost)
    course.advance(720)

    assert [course.costs[hour] for hour in (10, 11)] == [12, 1]
    assert [course.peaks[0][hour] for hour in (10, 11)] == [7, 1]
    assert [course.peaks[1][hour] for hour in (10, 11)] == [12, 10]
    assert course.today == [7, 12]


def test_what_was_told_is_remembered_as_less() -> None:
    course = Course((5,), 0)
    course.advance(0)
    course.add(1000)
    course.limit(0, 50, 20)
    course.advance(60)
    course.add(7)
    course.advance(120)

    assert [course.peaks[0][hour] for hour in (0, 1)] == [50, 7]
    assert [course.costs[hour] for hour in (0, 1)] == [20, 7]


def test_the_busiest_peak_of_each_day_is_kept_for_four_weeks() -> None:
    course = Course((5,), 0)
    for day in range(30):
        course.advance(day * 1440 + 60)
        course.add(day)
    course.advance(30 * 1440)

    assert course.busiest == [list(range(2, 30))]


def test_after_four_weeks_of_silence_nothing_is_left() -> None:
    course = Course((5,), 0)
    course.add(9)
    course.advance((HOURS + 2) * 60)

    assert (course.costs.first, course.windows[0].sum, course.busiest) == (HOURS + 2, 0, [[]])
