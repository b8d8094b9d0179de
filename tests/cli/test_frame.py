"""What every command shares: `--help` at once, errors as sentences, exit codes, the database it means."""

import json
import os
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from gateway import __version__
from gateway.cli.commands import app
from tests.cli.terminal import PROGRAM, environment, invoke, run

HEAVY = (
    "sqlalchemy",
    "alembic",
    "fastapi",
    "starlette",
    "litellm",
    "httpx",
    "aiohttp",
    "pydantic",
    "rich",
    "httptools",
)


def commands() -> list[tuple[str, ...]]:
    """Every command and group that `--help` shows."""

    def below(group: typer.core.TyperGroup, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, command in group.commands.items():
            if not command.hidden:
                yield (*words, name)
                if isinstance(command, typer.core.TyperGroup):
                    yield from below(command, (*words, name))

    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    return [(), *below(root, ())]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...], tmp_path: Path) -> None:
    shown = invoke(tmp_path, *command, "--help")

    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: {' '.join(('tollkeeper', *command))}")


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_is_whole_and_in_words(command: tuple[str, ...], tmp_path: Path) -> None:
    shown = invoke(tmp_path, *command, "--help").output
    summaries = shown.partition("Commands:")[2]

    assert "..." not in summaries
    assert not re.search(r"-\S+ <", shown), "an option's value is named by its type"
    for line in shown.partition("Options:")[2].partition("Commands:")[0].splitlines():
        assert not line.startswith("  -") or "  " in line.strip(), f"an option without help: {line}"


@pytest.mark.parametrize("command", [(), ("usage",), ("calls", "show"), ("demo",)], ids=" ".join)
def test_help_loads_nothing_heavy(command: tuple[str, ...], tmp_path: Path) -> None:
    """Known fault 62: slow starts are felt first where nothing is to be done."""
    code = (
        "import sys; from gateway.cli.commands import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stderr.split() == []


def test_help_takes_less_than_200_ms_of_work(tmp_path: Path) -> None:
    def work() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*PROGRAM, "--help"], env=environment(tmp_path), capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(work() for _ in range(5)) < 0.2


def test_the_version_is_told(tmp_path: Path) -> None:
    told = run(tmp_path, "--version")

    assert (told.returncode, told.stdout) == (0, f"tollkeeper {__version__}\n")


@pytest.mark.parametrize(
    "wrong", [("frobnicate",), ("usage", "--frobnicate"), ("calls", "--limit", "0"), ("key", "create"), ()]
)
def test_wrong_use_exits_2_and_says_what_is_wrong(wrong: tuple[str, ...], tmp_path: Path) -> None:
    told = run(tmp_path, *wrong)

    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert "Usage: " in told.stderr + told.stdout


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("usage",), "No calls from "),
        (("usage", "--json"), '{\n  "rows": []'),
        (("calls",), "No such calls."),
        (("calls", "--json"), '{\n  "items": []'),
        (("key", "list"), "There is no key. "),
    ],
)
def test_before_the_first_start_there_is_nothing_to_show_and_nothing_is_made(
    command: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shown = invoke(data, *command)

    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout.startswith(told)
    assert not data.exists()


@pytest.mark.parametrize("command", [("calls", "show", "x"), ("key", "show", "x")])
def test_before_the_first_start_there_is_no_such_thing(command: tuple[str, ...], tmp_path: Path) -> None:
    told = invoke(tmp_path / "data", *command)

    assert told.exit_code == 1
    assert told.stderr.startswith(f"Error: there is no {command[0].removesuffix('s')} x")
    assert not (tmp_path / "data").exists()


def test_a_key_can_be_made_before_the_first_start(tmp_path: Path) -> None:
    """What is made makes the database too, in a folder for its owner alone."""
    data = tmp_path / "data"
    made = invoke(data, "key", "create", "--name", "ci")

    assert made.exit_code == 0
    assert "ci" in invoke(data, "key", "list").stdout
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert invoke(data, "db", "check").exit_code == 0


def test_a_database_without_our_tables_is_told_from_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.db").touch()
    told = invoke(tmp_path, "usage")

    assert told.exit_code == 1
    assert "run `tollkeeper db upgrade`" in told.stderr


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.db").write_text("this is no database, " * 100)
    told = run(tmp_path, "usage")

    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert "Traceback" not in told.stderr


def test_mistakes_in_the_settings_come_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("server:\n  prot: 4000\nretries:\n  attempts: many\n")
    told = invoke(tmp_path, "usage", "--config", str(file))

    assert told.exit_code == 2
    assert f"{file}:2: server" in told.stderr
    assert "`port`" in told.stderr
    assert f"{file}:4: retries.attempts" in told.stderr


@pytest.mark.parametrize("way", ["option", "variable", "folder"])
def test_the_settings_file_is_found_in_three_ways(way: str, tmp_path: Path) -> None:
    data = tmp_path / "data of the file"
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(json.dumps({"server": {"data": str(data)}}))
    environ = {name: value for name, value in environment(tmp_path).items() if name != "TOLLKEEPER_SERVER_DATA"}
    if way == "variable":
        environ["TOLLKEEPER_CONFIG"] = str(file)
    told = subprocess.run(
        [*PROGRAM, "db", "upgrade", *(["--config", str(file)] if way == "option" else [])],
        env={**environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
        cwd=tmp_path if way == "folder" else tmp_path.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    assert (data / "tollkeeper.db").exists()
