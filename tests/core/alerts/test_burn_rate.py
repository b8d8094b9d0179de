"""Two spans at once: that it matters, and that it goes on."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.core.alerts.burn_rate import DAY_WINDOWS, BurnRate, Pair
from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import HOUR_US
from gateway.core.alerts.finding import Finding
from gateway.core.windows import Span
from tests.core.alerts.traffic import DAY, MONTH, START_US, USD, account, at, found, minute

RULE = BurnRate("burn", "all")
EVEN = 720 / (30 * DAY)
"""USD a minute that spend 720 in a month."""


def burnt(rule: BurnRate, usd_a_minute: Callable[[int], float], minutes: int, span: Span = MONTH) -> list[Finding]:
    spent, seen = 0.0, []
    for number in range(minutes):
        spent += usd_a_minute(number)
        seen.append(minute(number, budgets=[account(spent, 720, span)]))
    return found(rule, seen)


def test_the_even_pace_tells_nobody() -> None:
    assert burnt(RULE, lambda _: EVEN, 4 * DAY) == []


@pytest.mark.parametrize(
    ("times", "long", "severity"),
    [(20, 60, Severity.CRITICAL), (8, 360, Severity.CRITICAL), (2, 4320, Severity.WARNING)],
)
def test_the_faster_it_burns_the_sooner_it_is_told(times: float, long: int, severity: Severity) -> None:
    finding = burnt(RULE, lambda n: EVEN * (times if n > DAY else 0.5), 5 * DAY)[0]

    assert finding.window == f"2026-11-01/{long}"
    assert finding.severity is severity
    assert DAY < at(finding) <= DAY + long
    assert finding.type == "spend.burn_rate"
    assert f"told from {finding.facts['bound']:g} in both on" in finding.because


def test_what_is_over_is_not_told() -> None:
    """The long span would still tell, the short one knows better."""
    rule = replace(RULE, pairs=(Pair(60, 5, 14.4, Severity.CRITICAL),))
    assert burnt(rule, lambda n: EVEN * (2000 if n == 3 else 0), 3, MONTH) == []
    # One minute of 1000 times the pace is enough for the hour, and gone from the last five minutes soon.
    findings = burnt(rule, lambda n: EVEN * 1000 if n == 10 else 0.0, 60)
    assert [at(one) for one in findings] == [10]


def test_it_is_told_once_for_each_pair_and_window() -> None:
    findings = burnt(RULE, lambda _: EVEN * 30, 4 * DAY)
    assert sorted(one.window for one in findings) == ["2026-11-01/360", "2026-11-01/4320", "2026-11-01/60"]


def test_a_day_has_other_spans_than_a_month() -> None:
    day = Span(START_US, START_US + 24 * HOUR_US)
    findings = burnt(RULE, lambda _: 720 / DAY * 10, 90, day)
    assert {one.window for one in findings} <= {f"2026-11-02/{pair.long_minutes}" for pair in DAY_WINDOWS}
    assert findings


def test_an_hour_has_others_again() -> None:
    hour = Span(START_US, START_US + HOUR_US)
    (finding,) = burnt(RULE, lambda _: 720 / 60 * 4, 15, hour)
    assert finding.window == "2026-11-02/15"


def test_cents_tell_nobody() -> None:
    assert burnt(replace(RULE, min_nano=5000 * USD), lambda _: EVEN * 30, 2 * DAY) == []


def test_it_says_why_it_did_not_fire() -> None:
    watch = RULE.watch()
    assert watch.explain("everything") == "nothing was spent yet of all (everything)"
    for number in range(120):
        watch.see(minute(number, budgets=[account(number * EVEN * 2, 720)]))
    assert "burns at 2.0 times the even pace over 1 hour ($2.00)" in watch.explain("everything")
