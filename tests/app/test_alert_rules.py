"""From settings to rules: every parameter arrives, and the core's defaults where nothing is said."""

from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from gateway.app.alert_rules import KINDS, WITHOUT_PARAMETERS, armed, default_rule, rule_of
from gateway.core.alerts.anomaly import Anomaly
from gateway.core.alerts.burn_rate import BurnRate
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.forecast import Forecast
from gateway.core.alerts.metering import MeteringGap
from gateway.core.alerts.runaway import Runaway
from gateway.core.alerts.service import Latency
from gateway.core.alerts.threshold import Threshold
from gateway.core.errors import Fault
from gateway.core.scopes import Scope
from gateway.settings.alert_rules import TAKES, TELLS_APART, AlertRuleSettings


def given(kind: str, **stated: Any) -> AlertRuleSettings:
    return AlertRuleSettings(kind=kind, **stated)


def test_parameters_arrive_in_the_units_of_the_core() -> None:
    assert rule_of("a", given("anomaly", min_usd=Decimal("2.5"), scope=(("team", "*"),))) == Anomaly(
        "a", Scope((("team", "*"),)), 2_500_000_000
    )
    assert rule_of("f", given("forecast", budget="all", within=7200.0, after=86400.0, sure=True)) == Forecast(
        "f", "all", True, 7_200_000_000, 24
    )
    assert rule_of("l", given("latency", above=1.5, measure="duration")) == Latency("l", 1500.0, "duration")
    assert rule_of("m", given("metering_gap", calls=50, behind=120.0)) == MeteringGap("m", answers=50, behind_s=120.0)
    assert rule_of("r", given("runaway", calls=500)) == Runaway("r", calls=500)
    assert rule_of("t", given("threshold", budget="all", at=(50,))) == Threshold("t", "all", (50,))
    assert rule_of("b", given("burn_rate", budget="all")) == BurnRate("b", "all")


def test_every_kind_of_the_file_has_its_rule_and_every_parameter_a_field() -> None:
    assert set(KINDS) == set(TAKES)
    values: dict[str, Any] = {
        "budget": "all", "scope": (("key", "*"),), "min_usd": Decimal(1), "at": (50,), "within": 3600.0,
        "after": 3600.0, "above": 1.0, "behind": 1.0, "sure": True, "measure": "ttft",
    }  # fmt: skip
    for kind, names in TAKES.items():
        stated = rule_of("x", given(kind, **{name: values.get(name, 7) for name in names}))
        # One parameter, one field besides the name; the spans of a burn rate are not told in the file.
        assert len(fields(stated)) - 1 - (kind == "burn_rate") == len(names), kind  # type: ignore[arg-type]  # a dataclass


@pytest.mark.parametrize("kind", WITHOUT_PARAMETERS)
def test_most_kinds_work_by_their_defaults(kind: str) -> None:
    assert default_rule(kind).rule.name == kind


def test_the_file_knows_what_each_kind_tells_calls_apart_by() -> None:
    scopes = {kind: getattr(rule_of("x", given(kind, above=1.0)), "scope", None) for kind in TELLS_APART}
    by = {kind: tuple(name for name, _ in scope.parts) for kind, scope in scopes.items() if scope is not None}
    assert by.items() <= TELLS_APART.items()
    assert {kind for kind, takes in TAKES.items() if "scope" in takes} == set(by)
    assert set(KINDS) - set(TELLS_APART) == {kind for kind, takes in TAKES.items() if "budget" in takes}


def test_a_rule_is_armed_with_its_channels() -> None:
    loops = armed("loops", given("runaway", channels=("ops",)))
    assert (loops.rule.name, loops.channels, loops.deed) == ("loops", ("ops",), None)


def test_what_a_rule_does_arrives_in_the_units_of_the_core() -> None:
    frozen = armed("loops", given("runaway", action="freeze", ask=True))
    lower = armed("spent", given("threshold", budget="all", action="lower", lower_to=Decimal("2.5")))
    other = armed("dear", given("anomaly", action="downgrade", downgrade_to="small"))
    assert [one.deed for one in (frozen, lower, other)] == [
        Deed(Act.FREEZE, asks=True),
        Deed(Act.LOWER, 2_500_000_000),
        Deed(Act.DOWNGRADE, model="small"),
    ]


def test_a_scope_that_cannot_be_is_a_fault() -> None:
    with pytest.raises(Fault, match="twice"):
        rule_of("a", given("anomaly", scope=(("key", "a"), ("key", "b"))))
