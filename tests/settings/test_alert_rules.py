"""Alert rules as the file states them."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.settings.alert_rules import TAKES, AlertRuleSettings, alert_rule
from gateway.settings.problems import Origin, Report
from gateway.settings.schema import attempt, settings_of
from gateway.settings.source import Content, Node


def node(content: object, *path: str) -> Node:
    """As the file reader would make it."""
    inside: Content = None
    if isinstance(content, dict):
        inside = {key: node(value, *path, key) for key, value in content.items()}
    elif isinstance(content, list):
        inside = tuple(node(value, *path) for value in content)
    elif isinstance(content, str):
        inside = content
    return Node(path, Origin("f", 3, Path("/etc")), inside)


def read(**content: object) -> AlertRuleSettings:
    report = Report()
    rule = attempt(alert_rule, node(content, "rule"), report)
    assert not report.problems, report.problems
    assert rule is not None
    return rule


def mistakes(**content: object) -> str:
    report = Report()
    attempt(alert_rule, node(content, "rule"), report)
    assert report.problems
    return "\n".join(map(str, report.problems))


def test_the_rules_of_the_contract() -> None:
    forecast = read(kind="forecast", budget="everything", channels=["slack"])
    spent = read(kind="threshold", budget="everything", channels=["ops", "slack"])

    assert (forecast.kind, forecast.budget, forecast.channels) == ("forecast", "everything", ("slack",))
    assert (spent.kind, spent.channels, spent.at) == ("threshold", ("ops", "slack"), None)


def test_parameters_have_units_and_bounds() -> None:
    rule = read(kind="anomaly", min_usd="2.50", deviations="12", scope={"team": "search", "key": "*"})
    late = read(kind="latency", above="1500ms", percentile="99", minutes="5", measure="duration")

    assert (rule.min_usd, rule.deviations) == (Decimal("2.50"), 12.0)
    assert rule.scope == (("team", "search"), ("key", "*"))
    assert (late.above, late.percentile, late.minutes, late.measure) == (1.5, 99, 5, "duration")
    assert read(kind="forecast", budget="all", within="3d", sure="true").within == 259_200
    assert read(kind="threshold", budget="all", at=["50", "100"]).at == (50, 100)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "`kind` is missing"),
        ({"kind": "anomoly"}, "did you mean `anomaly`?"),
        ({"kind": "forecast"}, "`budget` is missing; a rule of kind forecast needs it"),
        ({"kind": "latency"}, "`above` is missing"),
        ({"kind": "anomaly", "budget": "all"}, "a rule of kind anomaly has no `budget`; it takes scope, min_usd"),
        ({"kind": "runaway", "scope": {"key": "*"}}, "has no `scope`"),
        ({"kind": "anomaly", "deviation": "3"}, "`deviation` is not a setting; did you mean `deviations`?"),
        ({"kind": "anomaly", "deviations": "0.5"}, "must be from 1 to 1000, and 0.5 is not"),
        ({"kind": "anomaly", "min_usd": "-1"}, "must not be negative"),
        ({"kind": "anomaly", "scope": {"teem": "a"}}, "did you mean `team`?"),
        ({"kind": "anomaly", "scope": {"key": ""}}, "must have from 1 to 256 characters"),
        ({"kind": "anomaly", "scope": {"tag": "env"}}, "`env` is no tag"),
        ({"kind": "threshold", "budget": "a", "at": ["80", "50"]}, "must go up"),
        ({"kind": "errors", "share": "20"}, "must be from 0 to 1"),
        ({"kind": "forecast", "budget": "a", "sure": "maybe"}, "`maybe` is neither `true` nor `false`"),
        ({"kind": "runaway", "action": "freeze_key"}, "did you mean `freeze`?"),
        ({"kind": "threshold", "budget": "a", "action": "lower", "lower_to": "0"}, "must be"),
    ],
)
def test_what_cannot_be_is_named(content: dict[str, object], said: str) -> None:
    assert said in mistakes(**content)


def test_every_parameter_is_a_setting_and_the_other_way_round() -> None:
    taken = {name for names in TAKES.values() for name in names}
    of_every_rule = {"kind", "channels", "action", "lower_to", "downgrade_to", "ask"}
    assert taken == set(settings_of(AlertRuleSettings)) - of_every_rule


def test_dimensions_are_those_of_scopes() -> None:
    from gateway.core import scopes
    from gateway.settings.budgets import DIMENSIONS

    assert set(DIMENSIONS) == {*scopes.OF_CALL, *scopes.OF_TARGET}
