"""Our own figures, and whether they can be trusted."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.core.alerts.facts import CallSeen, Minute
from gateway.core.alerts.metering import MeteringGap
from gateway.core.calls import End
from gateway.core.usage import Basis
from tests.core.alerts.traffic import DAY, HOUR, at, call, found, minute

RULE = MeteringGap("gaps")


def minutes_of(count: int, *calls: CallSeen, begin: int = 0) -> Iterable[Minute]:
    return [minute(number, *calls) for number in range(begin, begin + count)]


GOOD = call(usd=1)


@pytest.mark.parametrize(("bad", "sign"), [(call(usd=None), "unpriced"), (call(usd=0, basis=Basis.NONE), "unmetered")])
def test_a_share_of_answers_without_figures_is_told(bad: CallSeen, sign: str) -> None:
    (finding,) = found(RULE, minutes_of(20, *[GOOD] * 9, bad))

    assert finding.facts["sign"] == sign
    assert (finding.type, finding.subject, at(finding)) == ("metering.gap", "target=openai/fast", 0)
    assert "1 of 10 answers in 15 minutes" in finding.because
    assert finding.because.endswith("10.0%; the bound is 5.0%")


def test_fewer_answers_tell_nothing() -> None:
    assert found(RULE, minutes_of(1, *[call(usd=None)] * 9)) == []


def test_what_was_never_answered_is_no_gap() -> None:
    refused = call(usd=0, end=End.REFUSED, basis=Basis.NONE)
    assert found(RULE, minutes_of(20, *[refused] * 10)) == []


def estimates(days: float, share: int, begin: int = 0) -> Iterable[Minute]:
    """So many of ten answers are estimates."""
    calls = [*[call(usd=1, basis=Basis.ESTIMATED)] * share, *[GOOD] * (10 - share)]
    return [minute(number, *calls) for number in range(begin, begin + round(days * DAY), 20)]


def test_a_rising_share_of_estimates_is_told_and_a_usual_one_is_not() -> None:
    assert found(RULE, estimates(5, 6)) == []
    (finding, *_) = found(RULE, [*estimates(5, 1), *estimates(0.1, 8, 5 * DAY)])

    assert at(finding) == 5 * DAY
    assert finding.facts["sign"] == "estimated"
    assert finding.facts["bound"] == pytest.approx(0.35)


def test_it_is_told_once_an_hour() -> None:
    findings = found(RULE, minutes_of(3 * HOUR, *[call(usd=None)] * 10))
    assert [finding.window for finding in findings] == [f"2026-11-02T0{hour}/unpriced" for hour in range(3)]


def test_rows_that_do_not_move_are_told() -> None:
    late = [replace(minute(number), behind_s=seconds) for number, seconds in enumerate([None, 1.0, 61.0, 300.0])]
    (finding,) = found(RULE, late)

    assert (at(finding), finding.subject) == (2, "everything")
    assert not finding.of_calls, "it concerns nobody, whatever the rule's scope"
    assert "a record has waited 61 s for the ledger, and 60 s are allowed" in finding.because


def test_it_says_why_it_did_not_fire() -> None:
    watch = RULE.watch()
    assert watch.explain("everything") == "how far the ledger is behind was not measured; 60 s are allowed"
    watch.see(replace(minute(1, GOOD), behind_s=2.0))

    assert watch.explain("everything") == "how far the ledger is behind is 2 s; 60 s are allowed"
    assert "0 of 1 answers in 15 minutes have no known cost" in watch.explain("target=openai/fast")
    assert watch.explain("target=other") == "target=other has not answered yet"
