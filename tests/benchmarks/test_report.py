"""Figures as text and as JSON: what is unknown, what was aimed at, what is wrong."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.report import Aim, Figure, Report, Section, number

MOMENT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
SECTION = Section(
    "burst",
    "A bench",
    [
        Figure("a", "one", None, "MB", Aim.at_most(90)),
        Figure("b", "two", 1234.4, "/s", Aim.at_least(12_000)),
        Figure("c", "three", 0.5, "ms", Aim.at_most(0.5)),
        Figure("d", "four", 4, ""),
    ],
    ["the machine was busy"],
    ["the ledger has 1 rows for 2 calls"],
)


def test_the_table_tells_value_aim_and_verdict() -> None:
    table = SECTION.table()
    assert "## burst" in table
    assert "| one   |     – | MB |     ≤ 90 | –       |" in table
    assert "| two   | 1,234 | /s | ≥ 12,000 | no      |" in table
    assert "| three | 0.500 | ms |    ≤ 0.5 | yes     |" in table
    assert "| four  |     4 |    |          |         |" in table
    assert "Note: the machine was busy." in table
    assert "WRONG: the ledger has 1 rows for 2 calls" in table


def test_without_aims_there_is_no_column_for_them() -> None:
    assert "aim" not in Section("profile", "Steps", [Figure("a", "one", 1.0, "µs")]).table()


def test_what_could_not_be_measured_has_no_table() -> None:
    table = Section("burst", "A bench", [], wrong=["nothing was measured"]).table()
    assert "|" not in table
    assert "WRONG: nothing was measured" in table


def test_a_report_is_saved_as_both_with_machine_and_date(tmp_path: Path) -> None:
    report = Report("a machine", [SECTION], MOMENT)
    text = report.save("mine", tmp_path)
    assert text.name == "2026-11-23-mine.md"
    assert text.read_text(encoding="utf-8") == report.text()
    assert "2026-11-23 12:30 UTC" in report.text()
    assert "a machine." in report.text()
    told = json.loads((tmp_path / "2026-11-23-mine.json").read_text(encoding="utf-8"))
    assert told["machine"] == "a machine"
    burst = told["scenarios"]["burst"]
    assert burst["figures"] == {"a": None, "b": 1234.4, "c": 0.5, "d": 4}
    assert burst["aims"]["b"] == {"at_least": 12_000, "reached": False}
    assert burst["aims"]["a"] == {"at_most": 90, "reached": None}
    assert burst["wrong"] == ["the ledger has 1 rows for 2 calls"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (3, "3"), (12_345, "12,345"), (1234.6, "1,235"), (12.34, "12.3"), (1.234, "1.23"), (-0.5, "-0.500")],
)
def test_three_digits_mean_something(value: float | None, text: str) -> None:
    assert number(value) == text
