"""`tollkeeper alerts report`."""

import json
from pathlib import Path

from tests.cli.books import call, fill
from tests.cli.terminal import invoke

SETTINGS = """\
alerts:
  channels: {ops: {webhook: "https://hooks.example/x", secret: env:HOOK}}
  reports:
    daily: {every: day, channels: [ops], by: [team]}
    quiet: {every: month}
"""


def alerts(data: Path, *words: str) -> tuple[int, str, str]:
    (data / "tollkeeper.yaml").write_text(SETTINGS, encoding="utf-8")
    told = invoke(data, "alerts", *words, "--config", str(data / "tollkeeper.yaml"), HOOK="any text")
    return told.exit_code, told.stdout, told.stderr


def test_it_shows_what_the_last_period_would_say(tmp_path: Path) -> None:
    fill(tmp_path, [call(number, minutes_ago=24 * 60) for number in range(3)])
    code, told, _ = alerts(tmp_path, "report", "daily")
    assert code == 0
    assert "$0.0048 for 3 calls, nothing the day before" in told
    assert "by team" in told
    assert "sent" not in told
    assert "There is no alert" in alerts(tmp_path, "list")[1]


def test_it_is_sent_as_often_as_one_likes(tmp_path: Path) -> None:
    fill(tmp_path, [])
    for _ in range(2):
        code, told, _ = alerts(tmp_path, "report", "daily", "--send")
        assert code == 0
        assert "no calls (0 the day before)" in told
        assert told.endswith("sent by the running gateway to ops\n")
    deliveries = json.loads(alerts(tmp_path, "deliveries", "--json")[1])["items"]
    assert [(one["channel"], one["type"], one["alert_state"]) for one in deliveries] == [
        ("ops", "report.ready", "raised")
    ] * 2
    listed = json.loads(alerts(tmp_path, "list", "--json")[1])["items"]
    assert {one["state"] for one in listed} == {"resolved"}
    assert "to nobody, for it names no channel" in alerts(tmp_path, "report", "quiet", "--send")[1]


def test_the_json_is_the_event(tmp_path: Path) -> None:
    fill(tmp_path, [])
    event = json.loads(alerts(tmp_path, "report", "quiet", "--json")[1])
    assert (event["type"], event["data"]["facts"]["calls"], event["channels"]) == ("report.ready", 0, [])


def test_one_that_there_is_not_is_named(tmp_path: Path) -> None:
    fill(tmp_path, [])
    code, _, error = alerts(tmp_path, "report", "dayly")
    assert code == 2
    assert "there is no report dayly" in error
    assert "daily, quiet" in error
