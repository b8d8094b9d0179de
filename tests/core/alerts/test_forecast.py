"""When a budget is exhausted: the truth is in the range for courses that go on as they were."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.core.alerts.facts import HOUR_US, Minute
from gateway.core.alerts.forecast import Forecast, outlook
from gateway.core.alerts.robust import Hours
from gateway.core.windows import LIFETIME
from tests.core.alerts.traffic import MONTH, START_US, USD, account, at, found, minute

RULE = Forecast("month-end", "all")
FIRST = START_US // HOUR_US


def hours_of(count: int, usd: Callable[[int], float]) -> Hours:
    hours = Hours(FIRST)
    for number in range(count):
        hours.append(round(usd(number) * USD))
    return hours


def truth(count: int, usd: Callable[[int], float], left: float) -> int:
    """When so much is really spent, if the course goes on."""
    number = count
    while left > usd(number):
        left -= usd(number)
        number += 1
    return START_US + round((number + left / usd(number)) * HOUR_US)


def office(number: int) -> float:
    return 3.0 if 8 <= number % 24 < 18 else 0.25


def week(number: int) -> float:
    return office(number) * (0.3 if number // 24 % 7 > 4 else 1.0)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 672), st.floats(0.01, 50), st.floats(0.1, 5000))
def test_the_range_holds_the_truth_of_a_constant_course(known: int, usd_an_hour: float, left: float) -> None:
    assume(left / usd_an_hour < 300 * 24)
    seen = outlook(hours_of(known, lambda _: usd_an_hour), START_US + known * HOUR_US, round(left * USD))

    assert seen is not None
    assert seen.earliest_us is not None
    assert seen.earliest_us <= truth(known, lambda _: usd_an_hour, left)
    assert seen.latest_us is None or seen.latest_us >= truth(known, lambda _: usd_an_hour, left)


@pytest.mark.parametrize("course", [office, week])
@pytest.mark.parametrize("days", [14, 21, 28])
@pytest.mark.parametrize("left", [5.0, 60.0, 400.0])
def test_days_and_weeks_have_their_course(course: Callable[[int], float], days: int, left: float) -> None:
    seen = outlook(hours_of(days * 24, course), START_US + days * 24 * HOUR_US, round(left * USD))
    real = truth(days * 24, course, left)

    assert seen is not None
    assert seen.likely_us is not None
    assert seen.latest_us is not None
    assert seen.earliest_us is not None
    assert seen.earliest_us <= real <= seen.latest_us
    assert abs(seen.likely_us - real) < 2 * HOUR_US


def test_the_range_holds_most_truths_of_noisy_days() -> None:
    """Stated: four in five."""
    hits, random = 0, Random(7)
    for _ in range(60):
        days = [30 * random.lognormvariate(0, 0.3) for _ in range(60)]
        seen = outlook(hours_of(21 * 24, lambda n: days[n // 24] / 24), START_US + 21 * 24 * HOUR_US, 300 * USD)  # noqa: B023
        real = truth(21 * 24, lambda n: days[n // 24] / 24, 300)  # noqa: B023
        assert seen is not None
        hits += (seen.earliest_us or 0) <= real <= (seen.latest_us or real)
    assert hits >= 0.75 * 60


def test_without_an_hour_there_is_no_outlook_and_what_is_spent_is_spent() -> None:
    assert outlook(Hours(FIRST), START_US, USD) is None
    seen = outlook(hours_of(24, lambda _: 1.0), START_US, 0)
    assert seen is not None
    assert seen.likely_us == START_US
    never = outlook(hours_of(24, lambda _: 0.0), START_US, USD)
    assert never is not None
    assert never.likely_us is None


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 1000))
def test_another_currency_of_the_same_course_gives_the_same_moments(times: int) -> None:
    one = outlook(hours_of(300, week), START_US + 300 * HOUR_US, 200 * USD)
    other = outlook(hours_of(300, lambda n: week(n) * times), START_US + 300 * HOUR_US, 200 * USD * times)

    assert one is not None
    assert other is not None
    for left, right in ((one.earliest_us, other.earliest_us), (one.latest_us, other.latest_us)):
        assert abs((left or 0) - (right or 0)) < 1_000_000


def spending(usd_an_hour: float, days: int, limit: float) -> Iterator[Minute]:
    for number in range(0, days * 1440, 30):
        yield minute(number, budgets=[account(usd_an_hour * number / 60, limit)])


def test_a_budget_that_will_not_last_is_told_once_a_window() -> None:
    (finding,) = found(RULE, spending(1.0, 10, 300))  # 24 a day, gone after half a month

    assert at(finding) < 8 * 60
    assert (finding.type, finding.window, finding.subject) == ("budget.forecast", "2026-11-01", "everything")
    per_day, likely = finding.facts["per_day_nano"], finding.facts["likely_us"]
    assert isinstance(per_day, int)
    assert isinstance(likely, int)
    assert per_day == pytest.approx(24 * USD, rel=0.1)
    assert likely == pytest.approx(START_US + 300 * HOUR_US, abs=30 * HOUR_US)
    assert "it is exhausted 2026-11-1" in finding.because
    assert "(between 2026-11-" in finding.because


def test_one_that_will_is_not() -> None:
    assert found(RULE, spending(0.3, 20, 300)) == []


def test_a_sure_rule_waits_until_the_whole_range_lies_in_the_window() -> None:
    quick = found(RULE, spending(0.48, 12, 300))
    sure = found(replace(RULE, sure=True), spending(0.48, 12, 300))

    assert quick
    assert sure
    assert at(quick[0]) < at(sure[0])


def test_without_an_end_it_tells_only_of_what_is_near() -> None:
    def lasting(limit: float) -> list[Minute]:
        return [minute(n, budgets=[account(n / 60, limit, LIFETIME)]) for n in range(0, 3000, 30)]

    near = replace(RULE, within_us=24 * HOUR_US)
    assert found(RULE, lasting(60)) == []
    assert [at(one) // 60 for one in found(near, lasting(60))] == [36]
    assert found(near, lasting(600)) == []


def test_what_is_exhausted_is_no_forecast() -> None:
    assert found(RULE, [minute(n, budgets=[account(200, 100)]) for n in range(0, 1440, 10)]) == []


def test_it_says_why_it_did_not_fire() -> None:
    watch = RULE.watch()
    assert watch.explain("everything") == "nothing was spent yet of all (everything)"
    for one in spending(0.3, 3, 300):
        watch.see(one)

    said = watch.explain("everything")
    assert "which ends 2026-12-01 00:00 UTC" in said
    assert "told from 6 hours of course on" in said
    assert MONTH.end_us is not None
