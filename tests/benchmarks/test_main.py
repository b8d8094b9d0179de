"""The command of the benchmarks: what it lists, refuses, prints and saves, and that it fails with the measurement."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scenarios import ALL, DEFAULT, SCENARIOS

HOUSE = Path(__file__).parents[2]

FIGURES = (
    "calls, 64 clients",
    "CPU of the gateway per call",
    "streams, 32 at once",
    "CPU of the gateway per stream",
    "added latency, p50",
    "added time to first word, p50",
    "memory before the first load",
    "memory after the last",
    "start to first answer, on an empty folder",
)


def bench(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *args], cwd=HOUSE, capture_output=True, text=True, timeout=90, check=False
    )


def test_without_a_name_every_call_has_its_row_and_the_table_names_every_figure() -> None:
    done = bench("--seconds", "0.6")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if line.startswith("| ")]
    values = {cells[1]: cells[2] for cells in lines}
    assert int(values["rows in the ledger"].replace(",", "")) > 100
    assert values["rows in the ledger"] == values["calls at the upstream"]
    for title in FIGURES:
        assert any(character.isdigit() for character in values[title]), title
    verdicts = {cells[1]: cells[5] for cells in lines if cells[4]}
    assert verdicts["CPU of the gateway per call"] in ("yes", "no")


def test_several_scenarios_in_one_run_as_json() -> None:
    done = bench("profile", "start", "--json", "--seconds", "0.1", "--count", "1")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "tollkeeper" in told["machine"]
    assert list(told["scenarios"]) == ["profile", "start"]
    profile = told["scenarios"]["profile"]["figures"]
    steps = ("authenticate", "hold", "admit", "route", "forward", "relay_and_settle", "all_of_it")
    for key in (f"{kind}.{step}" for kind in ("plain", "streamed") for step in steps):
        assert profile[key] > 0, key
    start = told["scenarios"]["start"]
    assert start["figures"]["first_answer_s"] > start["figures"]["help_s"] > 0
    assert start["aims"]["first_answer_s"]["at_most"] == 0.8


def test_the_list_names_every_scenario_with_what_may_be_set() -> None:
    done = bench("--list")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(lines) == [*SCENARIOS]
    assert "--count 5000 streams" in lines["streams5000"]
    assert "--seconds 60" in lines["sustained"]
    assert [DEFAULT, *ALL] == [*SCENARIOS.values()]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--seconds", "0"], "more than 0"),
        (["--seconds", "x"], "--seconds"),
        (["--save", "../up"], "letters"),
        (["--count", "0", "start"], "1 to"),
        (["nonsense"], "'nonsense'"),
        (["--count", "3"], "--count means nothing"),
        (["million", "--seconds", "3"], "--seconds means nothing"),
        (["--command", "no/such/command"], "no/such/command"),
    ],
)
def test_wrong_use_is_refused(args: list[str], why: str) -> None:
    done = bench(*args)
    assert done.returncode == 2
    assert why in done.stderr


def test_a_command_that_is_no_gateway_is_a_failure_and_no_figure() -> None:
    done = bench("burst", "--command", "true", "--json")
    assert done.returncode == 1
    burst = json.loads(done.stdout)["scenarios"]["burst"]
    assert burst["figures"] == {}
    assert "the gateway did not come up" in burst["wrong"][0]
