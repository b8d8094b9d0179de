"""`tollkeeper calls`, `calls show`, `calls --follow`."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from gateway.core.calls import Charge
from tests.cli.books import append, call, fill
from tests.cli.terminal import PROGRAM, environment, invoke
from tests.fakes.records import ATTEMPT, COMPLETED, REFUSED


@pytest.fixture
def data(tmp_path: Path) -> Path:
    charge = Charge(0, "output", 100, "16", 1_600_000)
    whole = replace(COMPLETED, attempts=(replace(ATTEMPT, charges=(charge,)),))
    others = [call(number, team="support", minutes_ago=10 + number) for number in range(2, 40)]
    fill(tmp_path, [*others, call(1, record=whole, minutes_ago=2), call(40, record=REFUSED, minutes_ago=1)])
    return tmp_path


def listed(data: Path, *args: str) -> list[dict[str, Any]]:
    told = invoke(data, "calls", "--json", *args)
    assert told.exit_code == 0, told.stderr
    items: list[dict[str, Any]] = json.loads(told.stdout)["items"]
    return items


def test_the_newest_come_first_twenty_of_them(data: Path) -> None:
    ids = [item["id"][-2:] for item in listed(data)]

    assert ids[:3] == ["40", "01", "02"]
    assert len(ids) == 20


def test_the_list_is_readable(data: Path) -> None:
    told = invoke(data, "calls", "--limit", "2")
    lines = told.stdout.splitlines()

    assert lines[0].split()[:3] == ["started", "UTC", "id"]
    assert "refused" in lines[2]
    assert "completed" in lines[3]
    assert "$0.0016" in lines[3]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (("--team", "support"), 38),
        (("--end", "refused"), 1),
        (("--status", "404"), 1),
        (("--model", "fast", "--target", "openai/gpt-4o-mini"), 39),
        (("--key", "nobody"), 0),
        (("--session", "none"), 0),
        (("--since", "5m"), 2),
        (("--since", "5m", "--until", "90s"), 1),
    ],
)
def test_filters_take_what_was_asked_for(wanted: tuple[str, ...], count: int, data: Path) -> None:
    assert len(listed(data, "--limit", "100", *wanted)) == count


def test_no_such_calls_is_no_error(data: Path) -> None:
    told = invoke(data, "calls", "--team", "nobody")

    assert (told.exit_code, told.stdout) == (0, "No such calls.\n")


def test_one_call_is_told_whole(data: Path) -> None:
    call_id = listed(data, "--end", "completed")[0]["id"]
    told = invoke(data, "calls", "show", call_id)
    as_json = json.loads(invoke(data, "calls", "show", call_id, "--json").stdout)

    assert told.exit_code == 0
    assert call_id in told.stdout
    assert "Charges" in told.stdout
    assert as_json["charges"][0]["amount_usd"] == "0.001600000"
    assert as_json["attempts"][0]["target"] == "openai/gpt-4o-mini"


def test_an_unknown_id_is_named(data: Path) -> None:
    told = invoke(data, "calls", "show", "nothing")

    assert told.exit_code == 1
    assert told.stderr == "Error: there is no call nothing; `tollkeeper calls` lists them with their ids\n"


@pytest.mark.parametrize(
    "wrong",
    [("--end", "over"), ("--since", "soon"), ("--until", ""), ("--limit", "0"), ("--limit", "many"), ("--status", "x")],
)
def test_what_makes_no_sense_is_named(wrong: tuple[str, str], data: Path) -> None:
    told = invoke(data, "calls", *wrong)

    assert told.exit_code == 2
    assert wrong[0] in told.stderr


@contextmanager
def following(data: Path, *args: str) -> Iterator[IO[str]]:
    """The output of `calls --follow` while the block runs; then it is interrupted and must end well."""
    program = subprocess.Popen(
        [*PROGRAM, "calls", "--follow", *args],
        env=environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert program.stdout is not None
    try:
        yield program.stdout
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=20)
        assert (program.returncode, errors) == (0, "")
    finally:
        program.kill()
        program.communicate()


def test_follow_shows_the_last_calls_and_then_each_new_one(data: Path) -> None:
    with following(data, "--limit", "2") as output:
        titles = output.readline()
        first, second = output.readline(), output.readline()
        asyncio.run(append(data, [call(77, team="fresh", minutes_ago=0)]))
        fresh = output.readline()

    assert titles.split()[:3] == ["started", "UTC", "id"]
    assert "completed" in first
    assert "refused" in second
    assert "fresh" in fresh
    assert fresh.rstrip().endswith("$0.001600000")


def test_follow_tells_programs_one_json_object_a_line_and_keeps_to_the_filter(data: Path) -> None:
    with following(data, "--json", "--limit", "1", "--team", "fresh") as output:
        asyncio.run(append(data, [call(78, team="other", minutes_ago=0), call(79, team="fresh", minutes_ago=0)]))
        told = json.loads(output.readline())

    assert told["id"].endswith("79")


def test_follow_waits_for_the_first_database(tmp_path: Path) -> None:
    with following(tmp_path, "--json") as output:
        fill(tmp_path, [call(1, team="first")])
        first = json.loads(output.readline())

    assert first["team"] == "first"


def test_the_help_of_calls_shows_its_filters_and_its_verbs(tmp_path: Path) -> None:
    """`tollkeeper calls` lists, so its help is where people look for the filters."""
    shown = invoke(tmp_path, "calls", "--help").stdout
    words = shown.split()

    for option in ("--follow", "--limit", "--key", "--team", "--model", "--target", "--end", "--session", "--since"):
        assert option in words
    assert shown.startswith("Usage: tollkeeper calls [OPTIONS] | show ID")
    assert "Show one call" in shown
