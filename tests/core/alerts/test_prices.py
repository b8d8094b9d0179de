"""Unknown and changed prices."""

from dataclasses import replace

import pytest

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import Minute, PriceSeen
from gateway.core.alerts.prices import PriceChanged, PriceUnknown
from tests.core.alerts.traffic import DAY, at, call, found, minute

UNKNOWN, CHANGED = PriceUnknown("unknown"), PriceChanged("changed")


def priced(number: int, usd: str, bucket: str = "input") -> Minute:
    return replace(minute(number), prices=(PriceSeen("openai/fast", bucket, usd),))


def test_the_first_answer_of_unknown_cost_is_told_and_the_day_after_again() -> None:
    minutes = [minute(n, call(n, None)) for n in (5, 6, DAY + 1)]
    first, second = found(UNKNOWN, minutes)

    assert (at(first), at(second)) == (5, DAY + 1)
    assert (first.subject, first.type) == ("target=openai/fast", "price.unknown")
    assert "1 answered calls today whose cost is unknown" in first.because


def test_free_and_unknown_are_two_things() -> None:
    """Known fault 23."""
    assert found(UNKNOWN, [minute(1, call(1, 0.0))]) == []


def test_so_many_in_a_day_may_be_asked_for() -> None:
    rule = replace(UNKNOWN, calls=3)
    minutes = [minute(n, call(n, None)) for n in (1, 2, DAY, DAY + 1, DAY + 2)]
    assert [at(one) for one in found(rule, minutes)] == [DAY + 2]


def test_a_changed_price_is_told_at_its_first_call() -> None:
    (finding,) = found(CHANGED, [priced(1, "2"), priced(2, "2.0"), priced(3, "2.5"), priced(4, "2.5")])

    assert at(finding) == 3
    assert "input costs $2.5 for a million, before $2, +25.0 %" in finding.because
    assert finding.severity is Severity.WARNING


def test_a_lower_price_is_for_information() -> None:
    (finding,) = found(CHANGED, [priced(1, "2"), priced(2, "1")])
    assert finding.severity is Severity.INFO


def test_each_bucket_has_its_own_price() -> None:
    assert found(CHANGED, [priced(1, "2"), priced(2, "8", "output")]) == []


def test_a_price_after_none_has_no_percentage() -> None:
    (finding,) = found(CHANGED, [priced(1, "0"), priced(2, "1")])
    assert finding.facts["percent"] is None


@pytest.mark.parametrize(("usd", "told"), [("2.2", False), ("2.3", True), ("1.7", True)])
def test_small_changes_may_be_passed_over(usd: str, told: bool) -> None:
    assert bool(found(replace(CHANGED, percent=10), [priced(1, "2"), priced(2, usd)])) is told


def test_they_say_why_they_did_not_fire() -> None:
    unknown, changed = UNKNOWN.watch(), CHANGED.watch()
    unknown.see(minute(1, call(1)))
    changed.see(priced(1, "2"))

    assert "0 calls of unknown cost" in unknown.explain("target=openai/fast")
    assert "last seen input $2" in changed.explain("target=openai/fast")
    assert "without a price" in changed.explain("target=other/fast")
