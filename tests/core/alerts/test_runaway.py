"""Loops of one session or key, told by sizes, failures, growth and number, beyond what the key did before."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.alerts.facts import Minute
from gateway.core.alerts.runaway import Peaks, Runaway
from gateway.core.calls import End
from tests.core.alerts.traffic import DAY, HOUR, at, call, found, minute

RULE = Runaway("loops")


def looping(begin: int, minutes: int, each: int, usd: float, session: str | None = "s") -> Iterator[Minute]:
    """Calls of nearly the same size."""
    for number in range(begin, begin + minutes):
        calls = [call(number, usd, session=session, input_tokens=10_000 + n % 3 * 30) for n in range(each)]
        yield minute(number, *calls)


def varied(days: int, each: int = 2) -> Iterator[Minute]:
    """Calls of many sizes, every five minutes."""
    for number in range(0, days * DAY, 5):
        yield minute(number, *(call(number, 0.01, input_tokens=100 + number * 37 % 9000 + n) for n in range(each)))


def test_a_session_that_repeats_itself_is_found_within_minutes() -> None:
    (finding, *others) = found(RULE, looping(0, 60, 10, 0.05))

    assert at(finding) == 3
    assert (finding.subject, finding.type) == ("key=ci,session=s", "spend.runaway")
    assert finding.concerns == {"key": "ci", "session": "s", "model": "fast", "target": "openai/fast"}
    assert "40 of 40 calls had nearly the same size, $2.00 in 10 minutes; the bound is 40" in finding.because
    assert {one.subject for one in others} <= {"key=ci"}


def test_cents_tell_nobody() -> None:
    assert found(RULE, looping(0, 60, 10, 0.001)) == []


def test_a_nightly_batch_of_like_calls_is_what_the_key_does() -> None:
    """Told, if at all, in its first night: from the second on it is its own past."""
    nights = [one for night in range(8) for one in looping(night * DAY + 2 * HOUR, 40, 30 + night % 3, 0.02, None)]
    assert [finding for finding in found(RULE, nights) if at(finding) > DAY] == []


def test_more_than_the_batch_ever_did_is_told() -> None:
    nights = [one for night in range(8) for one in looping(night * DAY + 2 * HOUR, 40, 30, 0.02, None)]
    storm = list(looping(8 * DAY, 20, 90, 0.02, None))
    findings = [finding for finding in found(RULE, [*nights, *storm]) if at(finding) > DAY]

    assert [finding.subject for finding in findings] == ["key=ci"]
    assert at(findings[0]) >= 8 * DAY


def test_a_retry_storm_is_told_whatever_it_costs() -> None:
    storm = (minute(n, *(call(n, 0, session="s", end=End.FAILED) for _ in range(6))) for n in range(10))
    finding = found(RULE, storm)[0]

    assert finding.facts["sign"] == "failures"
    assert "30 of 30 calls failed" in finding.because
    assert at(finding) == 4


def growing(calls: int, tokens: int, cut_at: int = 10**9, begin: int = 0, size: int = 4000) -> Iterator[Minute]:
    for number in range(begin, begin + calls):
        size = 4000 if size > cut_at else size + tokens
        yield minute(number, *[call(number, 0.5, session="s", input_tokens=size)])


def test_a_prompt_that_grows_without_end_is_told() -> None:
    (finding,) = found(RULE, growing(90, 3000))

    assert finding.facts["sign"] == "growth"
    assert "its prompt has grown in 40 calls in a row, to " in finding.because


def test_an_agent_that_sums_up_what_it_has_is_not() -> None:
    assert found(RULE, growing(300, 6000, cut_at=90_000)) == []


@pytest.mark.parametrize(("tokens", "told"), [(1300, True), (1200, False)])
def test_one_that_was_long_already_is_told_once_it_has_grown_by_half_the_floor(tokens: int, told: bool) -> None:
    """Four times as long is more than a model takes in."""
    assert bool(found(RULE, growing(41, tokens, size=190_000))) is told


def test_a_prompt_is_told_a_little_beyond_what_the_keys_sessions_come_to() -> None:
    days = [one for day in range(4) for one in growing(300, 6000, cut_at=120_000, begin=day * DAY)]
    (finding,) = found(RULE, [*days, *growing(90, 4500, begin=4 * DAY)])

    assert "its prompt has grown in 40 calls in a row, to 188,500 tokens" in finding.because
    assert "1.3 times the usual 124,000" in finding.because


def test_many_more_calls_than_ever_before_are_told() -> None:
    storm = [
        minute(6 * DAY + n, *(call(0, 0.05, input_tokens=50 + 997 * m % 8000) for m in range(30))) for n in range(9)
    ]
    (finding,) = found(RULE, [*varied(6), *storm])

    assert finding.facts["sign"] == "calls"
    assert at(finding) < 6 * DAY + 8


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 8), st.integers(2, 9))
def test_it_is_silent_on_its_own_baseline(each: int, days: int) -> None:
    assert found(RULE, varied(days, each)) == []


def test_it_is_told_once_a_day_for_each_subject() -> None:
    findings = found(RULE, looping(0, 3 * HOUR, 20, 0.05))
    told = [(finding.subject, finding.window) for finding in findings]
    assert len(told) == len(set(told))


def test_keyless_calls_are_nobody_s() -> None:
    assert found(RULE, [minute(n, *(call(n, 1, key=None, input_tokens=9) for _ in range(90))) for n in range(9)]) == []


def test_it_says_why_it_did_not_fire() -> None:
    watch = RULE.watch()
    for one in looping(0, 3, 10, 0.01):
        watch.see(one)

    said = watch.explain("key=ci,session=s")
    assert "30 calls in 10 minutes, 0 of them failed, for $0.3000" in said
    assert "told from 40 alike" in said
    assert watch.explain("key=web") == "key=web has not called lately"


@pytest.mark.parametrize(("figures", "usual"), [([], 0), ([5], 10), ([5, 9], 5), ([5, 9, 100], 9)])
def test_one_wild_day_is_not_usual(figures: list[int], usual: int) -> None:
    peaks = Peaks(0)
    for day, figure in enumerate(figures):
        peaks.learn(day, [figure, 0, 0, 0])
    assert peaks.usual(99, 0) == usual


def test_two_weeks_are_remembered() -> None:
    peaks = Peaks(0)
    for day in range(30):
        peaks.learn(day, [100 - day, 0, 0, 0])
    assert peaks.usual(30, 0) == 83
    assert peaks.days(30) == 14
