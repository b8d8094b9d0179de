"""Scheduled reports as the file states them."""

import pytest

from gateway.core.summary import EVERY as EVERY_OF_CORE
from gateway.settings.report_schedule import DIMENSIONS, EVERY
from gateway.storage import tables
from tests.settings.conftest import Mistakes, Read


def test_a_report_has_defaults(read: Read) -> None:
    text = "alerts: {channels: {ops: {apprise: env:A}}, reports: {weekly: {every: week, channels: [ops]}}}"
    weekly = read(text).alerts.reports["weekly"]
    assert (weekly.every, weekly.channels, weekly.at, weekly.timezone) == ("week", ("ops",), 480, "UTC")
    assert (weekly.by, weekly.top) == (None, 5)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("{}", "`every` is missing"),
        ("{every: hour}", "`hour` is not"),
        ('{every: day, at: "8:00"}', "`8:00` is no time of day; write it like"),
        ('{every: day, at: "24:00"}', "is no time of day"),
        ("{every: day, timezone: berlin}", "Europe/Berlin"),
        ("{every: day, by: [teem]}", "did you mean `team`?"),
        ("{every: day, channels: [ops]}", "there is no channel `ops` under `alerts.channels`"),
        ("{every: day, top: 0}", "must be from 1 to 50"),
    ],
)
def test_what_cannot_be_is_named(stated: str, said: str, mistakes: Mistakes) -> None:
    (problem,) = mistakes(f"alerts: {{reports: {{r: {stated}}}}}")
    assert said in f"{problem.message}; {problem.hint}"


def test_no_rule_has_its_name(mistakes: Mistakes) -> None:
    (problem,) = mistakes("alerts: {reports: {r: {every: day}}, rules: {r: {kind: errors}}}")
    assert (problem.path, problem.message) == ("alerts.reports.r", "a rule has the same name")


def test_the_words_are_those_of_the_core_and_the_ledger() -> None:
    assert tuple(EVERY_OF_CORE) == EVERY
    assert tables.DIMENSIONS == DIMENSIONS
