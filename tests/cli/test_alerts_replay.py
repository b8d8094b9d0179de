"""`tollkeeper alerts replay`, as the group will have it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.alerts_replay import register
from gateway.cli.frame import Frame, group
from gateway.core.budgets import Budget
from gateway.core.calls import CallRecord
from gateway.core.windows import Window
from gateway.settings import Settings
from gateway.settings.alert_rules import AlertRuleSettings
from tests.cli.books import call, fill
from tests.fakes.records import ATTEMPT, COMPLETED

RULES = {
    "spent": AlertRuleSettings(kind="threshold", budget="all", at=(50,)),
    "loops": AlertRuleSettings(kind="runaway", min_usd=Decimal(0), repeats=20),
    "frozen": AlertRuleSettings(kind="runaway", min_usd=Decimal(0), repeats=20, action="freeze"),
    "asked": AlertRuleSettings(
        kind="threshold", budget="all", at=(50,), action="lower", lower_to=Decimal("0.001"), ask=True
    ),
    "gone": AlertRuleSettings(kind="forecast", budget="nowhere"),
}
ALL = Budget("all", 16_000_000, Window.LIFETIME)


@pytest.fixture
def replay(tmp_path: Path) -> Any:
    """The command, on the database of this folder."""
    app = group("The group.", Frame)
    app.callback()(lambda: None)

    def rules_of(_: Settings) -> Mapping[str, AlertRuleSettings]:
        return RULES

    def budgets_of(_: Settings) -> Sequence[Budget]:
        return [ALL]

    register(app, rules_of, budgets_of)
    environ = {"TOLLKEEPER_SERVER_DATA": str(tmp_path), "TOLLKEEPER_CONFIG": "", "COLUMNS": "300"}

    def run(*args: str) -> Result:
        return CliRunner().invoke(app, ["replay", *args], env=environ)

    return run


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def loop(calls: int) -> list[CallRecord]:
    """Within a minute or two."""
    return [call(number, session="s") for number in range(1, calls + 1)]


def test_it_lists_when_a_rule_would_have_fired_and_why(tmp_path: Path, replay: Any) -> None:
    fill(tmp_path, loop(30))
    shown = replay("loops").stdout

    assert "when UTC" in shown
    assert "key=ci,session=s: 30 of 30 calls had nearly the same size" in shown
    assert "loops would have fired once from " in shown


def test_the_json_says_the_same(tmp_path: Path, replay: Any) -> None:
    fill(tmp_path, loop(30))
    answer = told(replay("loops", "--json"))
    (finding,) = answer["findings"]

    assert (answer["rule"], answer["calls"], answer["explained"]) == ("loops", 30, None)
    assert finding["type"] == "spend.runaway"
    assert finding["facts"]["cost_usd"] == "0.048000000"
    assert finding["at"].endswith("Z")


def test_budgets_are_followed_from_the_calls(tmp_path: Path, replay: Any) -> None:
    """Known fault 35: what a rule decides can be seen again, with its inputs."""
    fill(tmp_path, [call(number, minutes_ago=60 - number) for number in range(1, 9)])
    answer = told(replay("spent", "--json"))

    assert [finding["facts"]["percent"] for finding in answer["findings"]] == [50]
    assert answer["findings"][0]["because"].startswith("all (everything) has spent $0.0080 of $0.0160")


def test_only_the_period_is_told_and_the_time_before_is_learned_from(tmp_path: Path, replay: Any) -> None:
    fill(tmp_path, [call(number, minutes_ago=60 * 24 * 3) for number in range(1, 9)])

    assert told(replay("spent", "--since", "1d", "--json"))["findings"] == []
    assert len(told(replay("spent", "--since", "7d", "--json"))["findings"]) == 1


def test_a_kind_works_by_its_defaults(tmp_path: Path, replay: Any) -> None:
    unpriced = replace(COMPLETED, attempts=(replace(ATTEMPT, cost_nano=None),))
    fill(tmp_path, [call(1, record=unpriced)])

    assert len(told(replay("price_unknown", "--json"))["findings"]) == 1
    assert told(replay("price_changed", "--json"))["findings"] == []


def test_it_says_why_it_did_not_fire(tmp_path: Path, replay: Any) -> None:
    """Known fault 48."""
    fill(tmp_path, loop(5))
    shown = replay("loops", "--explain", "key=ci,session=s").stdout

    assert "loops would never have fired from" in shown
    assert "5 calls in 10 minutes, 0 of them failed" in shown


def test_without_a_database_nothing_was(replay: Any) -> None:
    assert "anomaly would never have fired" in replay("anomaly").stdout


@pytest.mark.parametrize(
    ("args", "said", "code"),
    [
        (("lops",), "there is no alert rule lops; rules of the settings file: spent, loops, frozen, asked, gone", 1),
        (("threshold",), "there is no alert rule threshold", 1),
        (("gone",), "the rule watches the budget nowhere, which there is not; known: all", 1),
        (("loops", "--since", "yesterday"), "--since", 2),
        (("loops", "--since", "1d", "--until", "2d"), "--until: the period ends before it starts", 2),
    ],
)
def test_what_makes_no_sense_is_named(args: tuple[str, ...], said: str, code: int, tmp_path: Path, replay: Any) -> None:
    fill(tmp_path, [])
    result = replay(*args)

    assert result.exit_code == code
    assert said in result.stderr


def test_it_says_what_a_rule_would_have_done(tmp_path: Path, replay: Any) -> None:
    fill(tmp_path, loop(30))
    assert "would act: the key ci is frozen" in replay("frozen").stdout
    assert [one["action"] for one in told(replay("loops", "--json"))["findings"]] == [None]
    (finding,) = told(replay("asked", "--json"))["findings"]
    assert finding["action"] == "would ask to confirm that the budget all is lowered to $0.0010"
