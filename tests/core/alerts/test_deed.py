"""The words of actions are those of the settings."""

from gateway.core.alerts.deed import Act, Deed
from gateway.settings.alert_rules import OF_ACTIONS, AlertRuleSettings
from gateway.settings.schema import settings_of


def test_a_deed_tells_unless_it_asks() -> None:
    assert Deed(Act.FREEZE) == Deed(Act.FREEZE, limit_nano=None, model=None, asks=False)


def test_settings_know_every_act_and_what_it_needs() -> None:
    assert {*OF_ACTIONS, "freeze"} == set(Act)
    assert {"action", "ask", *OF_ACTIONS.values()} <= set(settings_of(AlertRuleSettings))
