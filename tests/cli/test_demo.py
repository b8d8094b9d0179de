"""`tollkeeper demo`: everything at once, from the first line to the last."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx

from tests.cli.terminal import PROGRAM, environment, run

PATIENCE = 60.0


def start(folder: Path, *args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*PROGRAM, "demo", *args],
        env=environment(folder / "never used", TMPDIR=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(program: "subprocess.Popen[str]", word: str) -> str:
    assert program.stdout is not None
    text = ""
    while word not in text:
        line = program.stdout.readline()
        assert line, text + program.communicate()[1]
        text += line
    return text


def settings_of(output: str) -> Path:
    found = re.search(r"--config (\S+/tollkeeper\.yaml)", output)
    assert found is not None
    return Path(found.group(1))


def look(*args: str) -> "subprocess.CompletedProcess[str]":
    """A command as the demo names it: the file says where the data is, and no variable says otherwise."""
    return run(Path(), *args, TOLLKEEPER_SERVER_DATA="")


def test_it_shows_usage_by_team_and_model_and_where_to_look_further(tmp_path: Path) -> None:
    program = start(tmp_path, "--seconds", "3")
    output, errors = program.communicate(timeout=PATIENCE)

    assert (program.returncode, errors) == (0, "")
    assert "SIMULATED" in output.splitlines()[0]
    assert re.search(r"^ +\d+ s: \d+ calls", output, re.MULTILINE)
    for word in ("team", "model", "calls", "TTFT", "p50 ms", "p95 ms", "per s", "cost", "total"):
        assert word in output
    for team in ("search", "support", "research", "platform"):
        assert re.search(rf"^{team} .*\$\d", output, re.MULTILINE), team
    counted = re.search(r"(\d+) calls sent, (\d+) rows in the ledger", output)
    assert counted is not None
    assert int(counted[1]) == int(counted[2]) > 20
    assert not (tmp_path / "never used").exists()
    assert "first unset TOLLKEEPER_SERVER_DATA" in output

    config = str(settings_of(output))
    usage = json.loads(look("usage", "--json", "--config", config).stdout)
    calls = json.loads(look("calls", "--json", "--limit", "1", "--config", config).stdout)["items"]
    shown = look("calls", "show", calls[0]["id"], "--config", config)
    assert usage["totals"]["calls"] == int(counted[2])
    assert shown.returncode == 0
    assert "Timings" in shown.stdout


def test_an_interrupt_ends_the_traffic_and_still_shows_the_bill(tmp_path: Path) -> None:
    program = start(tmp_path, "--seconds", "600")
    begun = read_until(program, "calls, ")
    program.send_signal(signal.SIGINT)
    rest, errors = program.communicate(timeout=PATIENCE)

    assert (program.returncode, errors) == (0, "")
    assert "rows in the ledger" in begun + rest


def test_keep_goes_on_serving_until_interrupted(tmp_path: Path) -> None:
    program = start(tmp_path, "--seconds", "1", "--keep")
    output = read_until(program, "delete it when")
    address = re.search(r"Serving at (\S+)", output)
    key = re.search(r"Bearer (tk-[\w-]+)", output)
    assert address is not None
    assert key is not None
    answer = httpx.post(
        f"{address.group(1)}/v1/chat/completions",
        json={"model": "llama-3.1-8b", "messages": [{"role": "user", "content": "Hello"}]},
        headers={"authorization": f"Bearer {key.group(1)}"},
        trust_env=False,
    )
    before = time.monotonic()
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=PATIENCE)

    assert answer.status_code == 200
    assert (program.returncode, errors) == (0, "")
    assert time.monotonic() - before < 30


def test_no_time_at_all_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, "demo", "--seconds", "0").returncode == 2
