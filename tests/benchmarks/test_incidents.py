"""The simulated month, in short: the rules find what goes wrong in it, and its own figures are right."""

import pytest

from benchmarks.incidents import RULES, Found, watched
from benchmarks.month import START_US, Incident, Month, poisson
from gateway.core.alerts.facts import MINUTE_US

HALF = 15


def test_incidents_are_found_within_minutes_of_their_tenth_dollar_and_little_else() -> None:
    """Half of a month: what creeps takes longer and is in `tests/core/alerts/test_anomaly.py`."""
    month = watched(201, HALF)
    sudden = [one for one in month.found if one.kind != "creep"]

    assert [one.kind for one in sudden] == ["same prompt", "growing prompt", "stolen", "stolen", "price change"]
    assert [one for one in sudden if not one.in_time] == []
    assert month.false_a_week <= 1, [finding.because for finding in month.false]
    assert month.calls > 30_000


def test_the_same_seed_is_the_same_month() -> None:
    def calls(seed: int) -> list[int]:
        return [len(minute.calls) for minute in Month(seed, 11, 6).minutes()]

    assert calls(1) == calls(1) != calls(2)


def test_minutes_are_whole_and_in_order() -> None:
    for number, minute in enumerate(Month(1, 11, 6).minutes()):
        assert minute.start_us == START_US + number * MINUTE_US
        assert all(call.at_us == minute.start_us for call in minute.calls)


def test_an_incident_reaches_its_tenth_dollar_when_its_minutes_come() -> None:
    incident = Incident("stolen", "key-01", 0, 9, 1)
    for minute in range(5):
        incident.cost(4e9, minute)
    for minute in range(5):
        incident.reach(minute)
    assert (incident.tenth_dollar, incident.nano) == (2, 20e9)


@pytest.mark.parametrize(("late", "in_time"), [(-90, True), (5, True), (6, False), (None, False)])
def test_in_time_is_five_minutes(late: int | None, in_time: bool) -> None:
    assert Found(1, "stolen", "key-01", 1.0, "loops", late, late, 11.0).in_time is in_time


def test_so_many_are_drawn_as_are_expected() -> None:
    random = Month(1, 11, 6).random
    for mean in (0.1, 3.0, 400.0):
        draws = [poisson(random, mean) for _ in range(3000)]
        assert sum(draws) / 3000 == pytest.approx(mean, rel=0.12)


def test_the_rules_are_as_they_come() -> None:
    """Nothing is tuned to the month but what everybody gets."""
    assert all(rule == type(rule)(**{"name": rule.name, **scoped(rule)}) for rule in RULES)


def scoped(rule: object) -> dict[str, object]:
    return {"scope": rule.scope} if hasattr(rule, "scope") else {}
