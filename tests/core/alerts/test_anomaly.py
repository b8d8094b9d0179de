"""A subject is held against its own past: silent on it, loud beyond it, in minutes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.alerts.anomaly import Anomaly
from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import Minute
from gateway.core.alerts.replay import replay
from gateway.core.scopes import Scope
from tests.core.alerts.traffic import DAY, HOUR, START_US, USD, at, call, found, minute, steady

RULE = Anomaly("spend")


def with_burst(days: int, usual: float, burst: float, begin: int, minutes: int) -> Iterator[Minute]:
    """Steady traffic, and a burst of so many dollars a minute."""
    for number in range(days * DAY):
        calls = [call(number, usual / 6)] if number % 10 == 0 else []
        if begin <= number < begin + minutes:
            calls.append(call(number, burst))
        if calls:
            yield minute(number, *calls)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.001, 500), st.sampled_from([5, 10, 30]))
def test_it_is_silent_on_its_own_baseline(usd_an_hour: float, every: int) -> None:
    """From the third day on: before, there is nothing to hold the traffic against."""
    done = replay(RULE, steady(16, usd_an_hour, every), START_US + 3 * DAY * 60_000_000)
    assert done.findings == ()


def nightly(days: int) -> Iterator[Minute]:
    for number in range(0, days * DAY, 5):
        night = number % DAY in range(2 * HOUR + number // DAY % 3 * 5, 3 * HOUR)
        yield minute(number, call(number, 4.0 if night else 0.05))


def test_a_nightly_batch_is_usual_at_night() -> None:
    done = replay(RULE, nightly(14), START_US + 3 * DAY * 60_000_000)
    assert done.findings == ()


def test_the_same_batch_at_noon_is_not() -> None:
    minutes = [*nightly(10), *(minute(10 * DAY + 12 * HOUR + n, call(0, 4.0)) for n in range(0, 60, 5))]
    (first,) = [finding for finding in found(RULE, minutes) if at(finding) >= 10 * DAY]

    assert at(first) < 10 * DAY + 13 * HOUR


@pytest.mark.parametrize("usual", [0.05, 0.5, 3.0])
def test_a_burst_is_found_within_minutes_of_its_tenth_dollar(usual: float) -> None:
    """Known fault 51: against its own past, within minutes."""
    begin = 10 * DAY + 15 * HOUR
    findings = found(RULE, with_burst(11, usual, 1.0, begin, 90))
    (finding,) = [one for one in findings if one.window == "2026-11-12"]

    assert begin < at(finding) <= begin + 15
    assert finding.type == "spend.anomaly"
    assert finding.subject == "key=ci"
    assert finding.concerns == {"key": "ci"}
    assert finding.because.startswith("key=ci spent $")
    assert "which passes the bound of $" in finding.because
    spent, bound = finding.facts["spent_nano"], finding.facts["bound_nano"]
    assert isinstance(spent, int)
    assert isinstance(bound, int)
    assert spent > bound


def test_cents_tell_nobody_however_unusual_they_are() -> None:
    assert found(RULE, with_burst(10, 0.0001, 0.05, 8 * DAY, 60)) == []


def test_what_was_told_is_not_usual_the_day_after() -> None:
    """… and the sums of days that hold it tell nothing a second time."""
    begin = 15 * DAY
    again = [*with_burst(16, 0.5, 2.0, begin, 60), *steady(4, 0.5, begin=16 * DAY)]
    again += [minute(20 * DAY + n, call(0, 2.0)) for n in range(30)]
    findings = found(RULE, again)

    assert [at(finding) // DAY for finding in findings] == [15, 20]


def test_a_burst_is_told_once_a_day() -> None:
    (finding,) = found(RULE, with_burst(10, 0.2, 1.5, 8 * DAY, 20 * HOUR))
    assert finding.window == "2026-11-10"


def test_a_far_greater_burst_is_critical() -> None:
    (small,) = found(RULE, with_burst(9, 0.2, 0.5, 8 * DAY, 60))
    (large,) = found(RULE, with_burst(9, 0.2, 90, 8 * DAY, 60))

    assert (small.severity, large.severity) == (Severity.WARNING, Severity.CRITICAL)


def creeping(days: int, growth: float) -> Iterator[Minute]:
    for number in range(0, days * DAY, 20):
        grown = 1 + growth * max(0, number // DAY - 14)
        yield minute(number, call(number, 2.0 / 72 * grown * (1.1 if number // DAY % 2 else 0.9)))


def test_a_slow_creep_is_found_though_no_hour_is_unusual() -> None:
    first, *rest = found(RULE, creeping(28, 0.15))

    assert 15 * DAY < at(first) < 24 * DAY
    assert first.facts["minutes"] in (3 * DAY, 7 * DAY)
    assert first.window.startswith("2026-W")
    assert len({(finding.subject, finding.window) for finding in [first, *rest]}) == len(rest) + 1
    assert found(RULE, creeping(28, 0.0)) == []


def test_another_currency_of_the_same_course_decides_the_same() -> None:
    """Scale invariance: all amounts times ten, the minimum too."""
    minutes = list(with_burst(10, 0.3, 0.7, 8 * DAY + 3, 60))
    tenfold = [
        replace(one, calls=tuple(replace(each, cost_nano=(each.cost_nano or 0) * 10) for each in one.calls))
        for one in minutes
    ]
    rule = replace(RULE, min_nano=RULE.min_nano * 10)

    assert [at(one) for one in found(rule, tenfold)] == [at(one) for one in found(RULE, minutes)] != []


def test_a_new_key_is_judged_with_much_doubt_and_not_blindly() -> None:
    assert found(RULE, steady(1, 3.0)) == []
    assert found(RULE, [minute(n, call(n, 20.0)) for n in range(60)]) != []


def test_subjects_are_those_of_its_scope() -> None:
    rule = Anomaly("targets", scope=Scope((("target", "*"),)))
    (finding,) = found(rule, with_burst(10, 0.5, 2.0, 8 * DAY, 60))
    assert finding.subject == "target=openai/fast"


def test_it_says_why_it_did_not_fire() -> None:
    """Known fault 48."""
    watch = RULE.watch()
    for one in steady(10, 0.5):
        watch.see(one)

    said = watch.explain("key=ci")
    assert "key=ci spent $0.5000 in 1 hour, which is within the bound of $" in said
    assert "from 9 days of history" in said
    assert watch.explain("key=web") == "key=web has spent nothing yet, so there is nothing to compare"


def test_a_long_silence_begins_anew() -> None:
    minutes = [*steady(5, 1.0), *steady(1, 1.0, begin=60 * DAY)]
    assert found(RULE, minutes) == []


def test_the_minimum_is_beyond_the_usual() -> None:
    """A spike below it tells nobody, one above does."""
    rule = replace(RULE, min_nano=30 * USD)
    assert found(rule, with_burst(10, 0.2, 0.5, 8 * DAY, 50)) == []
    assert found(RULE, with_burst(10, 0.2, 0.5, 8 * DAY, 50)) != []
