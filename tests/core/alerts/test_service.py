"""Slow and failing calls."""

from dataclasses import replace

import pytest

from gateway.core.alerts.event import Severity
from gateway.core.alerts.service import Errors, Latency
from gateway.core.calls import End
from tests.core.alerts.traffic import at, call, found, minute

SLOW, FAILING = Latency("slow", above_ms=1000), Errors("failing")


def test_a_slow_percentile_is_told() -> None:
    fast, slow = call(ttft_ms=200.0), call(ttft_ms=3000.0)
    (finding,) = found(SLOW, [minute(0, *[fast] * 19), minute(1, *[fast] * 17, *[slow] * 4)])

    assert (at(finding), finding.type, finding.subject) == (1, "latency.slow", "target=openai/fast")
    assert "the 95th percentile of the time to the first token of 40 calls in 10 minutes is " in finding.because
    assert finding.because.endswith("the bound is 1,000 ms")


def test_what_is_over_leaves_the_window() -> None:
    slow = [minute(0, *[call(ttft_ms=3000.0)] * 19)]
    assert found(SLOW, [*slow, *(minute(n, *[call(ttft_ms=10.0)] * 30) for n in range(11, 20))]) == []


def test_another_measure_and_percentile() -> None:
    rule = replace(SLOW, measure="duration", percentile=50)
    calls = [*[call(duration_ms=500.0)] * 15, *[call(duration_ms=9000.0)] * 10]
    assert found(rule, [minute(0, *calls)]) == []
    assert len(found(replace(rule, percentile=90), [minute(0, *calls)])) == 1


def test_few_calls_tell_nothing() -> None:
    assert found(SLOW, [minute(n, call(ttft_ms=9000.0)) for n in range(0, 100, 1)][:19]) == []


@pytest.mark.parametrize(("failed", "told"), [(3, None), (4, Severity.WARNING), (19, Severity.CRITICAL)])
def test_a_share_of_failures_is_told(failed: int, told: Severity | None) -> None:
    calls = [*[call(end=End.FAILED)] * failed, *[call()] * (20 - failed)]
    assert [finding.severity for finding in found(FAILING, [minute(0, *calls)])] == ([told] if told else [])


def test_what_clients_cut_is_no_error_and_what_upstreams_cut_is() -> None:
    assert found(FAILING, [minute(0, *[call(end=End.CUT_BY_CLIENT)] * 30)]) == []
    (finding,) = found(FAILING, [minute(0, *[call(end=End.CUT_BY_UPSTREAM)] * 30)])
    assert finding.because == "target=openai/fast: 30 of 30 calls in 10 minutes failed, 100.0%; the bound is 20.0%"
    assert finding.type == "provider.errors"


def test_it_is_told_once_an_hour() -> None:
    findings = found(FAILING, [minute(n, *[call(end=End.FAILED)] * 30) for n in range(130)])
    assert [finding.window for finding in findings] == [f"2026-11-02T0{hour}" for hour in range(3)]


def test_they_say_why_they_did_not_fire() -> None:
    slow, failing = SLOW.watch(), FAILING.watch()
    for watch in (slow, failing):
        watch.see(minute(0, call(ttft_ms=100.0)))

    assert "told from 20 calls on" in slow.explain("target=openai/fast")
    assert slow.explain("target=other") == "target=other: no call was measured lately"
    assert "0 of 1 calls in 10 minutes failed" in failing.explain("target=openai/fast")
    assert failing.explain("target=other") == "target=other has not called yet"
