"""The benchmark runs, counts what it asked for, and fails rather than tell figures of calls that went wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from benchmarks.load import Door, Job, drive
from benchmarks.report import Figure, Report
from benchmarks.stage import upstream
from benchmarks.upstream import DIRECT, MODELS

HOUSE = Path(__file__).parents[2]

FIGURES = (
    "calls, 64 clients",
    "CPU of the gateway per call",
    "streams, 32 at once",
    "CPU of the gateway per stream",
    "added latency, 1 client, p50",
    "added latency, 1 client, p99",
    "added time to first word, 1 stream, p50",
    "memory before the first load",
    "memory after the last",
    "start to first answer",
)


def bench(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *args], cwd=HOUSE, capture_output=True, text=True, timeout=90, check=False
    )


def test_every_call_of_the_load_has_its_row_and_the_table_names_every_figure() -> None:
    done = bench("--seconds", "0.6")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if line.startswith("| ")]
    values = {cells[1]: cells[2] for cells in lines}
    assert int(values["rows in the ledger"].replace(",", "")) > 100
    assert values["rows in the ledger"] == values["calls at the upstream"]
    for title in FIGURES:
        assert any(character.isdigit() for character in values[title]), title


def test_the_profile_tells_every_step_of_both_kinds() -> None:
    done = bench("--profile", "--json", "--seconds", "0.1")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    steps = ("authenticate", "hold", "admit", "route", "forward", "relay_and_settle", "all_of_it")
    for key in (f"{kind}.{step}" for kind in ("plain", "streamed") for step in steps):
        assert figures[key] > 0, key


@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_answers_whole_and_the_client_sees_it(stream: bool) -> None:
    with upstream(None) as port:
        seen, beside = uvloop.run(drive(Job(Door(port, DIRECT), stream=stream, connections=2, seconds=0.05)))
    assert seen.answers > 2
    assert seen.bad == 0
    assert seen.whole is not None
    assert seen.whole.p50 <= seen.whole.p99
    assert (seen.first_word is not None) == stream
    assert beside is None


@pytest.mark.parametrize("path", [MODELS, "/nowhere"])
def test_an_answer_that_is_not_whole_is_counted_as_bad(path: str) -> None:
    with upstream(None) as port:
        job = Job(Door(port, path), stream=False, connections=1, seconds=0.01, beside=Door(port, DIRECT))
        seen, beside = uvloop.run(drive(job))
    assert seen.answers == 0
    assert seen.bad > 0
    assert seen.why is not None
    assert seen.why.startswith(("200", "404"))
    assert beside is not None
    assert beside.answers == seen.bad


def test_what_is_unknown_is_a_dash_and_what_is_wrong_is_said() -> None:
    figures = [Figure("a", "one", None, "MiB"), Figure("b", "two", 1234.4, "/s"), Figure("c", "three", 0.5, "ms")]
    report = Report("a bench", "a machine", figures, wrong=["the ledger has 1 rows for 2 calls"])
    table = report.table()
    assert "| one   |     – | MiB |" in table
    assert "| two   | 1,234 | /s  |" in table
    assert "| three | 0.500 | ms  |" in table
    assert "WRONG: the ledger has 1 rows for 2 calls" in table
    assert json.loads(report.json())["figures"] == {"a": None, "b": 1234.4, "c": 0.5}


@pytest.mark.parametrize("args", [["--seconds", "0"], ["--seconds", "x"], ["--save", "../up"]])
def test_wrong_use_is_refused(args: list[str]) -> None:
    assert bench(*args).returncode == 2
