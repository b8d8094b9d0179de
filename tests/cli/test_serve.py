"""`tollkeeper serve`, as people start it: a process, a port, a signal."""

import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.server.listener import listen
from tests.cli.terminal import PROGRAM, environment, invoke, run

SETTINGS = """\
providers:
  sim: {kind: simulated, simulate: {ttft: 20ms, itl: 1ms, jitter: 0, output_tokens: 20}}
prices:
  sim/*: {usd_per_million: {input: "1", output: "2"}}
logging: {format: console}
"""
ASK = {"model": "sim/any", "messages": [{"role": "user", "content": "Hello"}]}
PATIENCE = 20.0


@dataclass(frozen=True)
class Served:
    address: str
    banner: str
    program: subprocess.Popen[str]
    data: Path

    def ask(self, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        return httpx.post(f"{self.address}/v1/chat/completions", json=ASK | more, headers=headers, trust_env=False)


@contextmanager
def serving(data: Path, *args: str, settings: str = SETTINGS) -> Iterator[Served]:
    """A server that runs while the block does; a signal must end it well."""
    config = data / "tollkeeper.yaml"
    config.write_text(settings)
    program = subprocess.Popen(
        [*PROGRAM, "serve", "--config", str(config), "--port", "0", *args],
        env=environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        banner = ""
        while "providers" not in banner:
            line = program.stdout.readline()
            assert line, program.communicate()[1]
            banner += line
        address = re.search(r"https?://[^/]+", banner)
        assert address is not None
        yield Served(address.group(), banner, program, data)
        program.send_signal(signal.SIGTERM)
        _, log = program.communicate(timeout=PATIENCE)
        assert program.returncode == 0, log
        assert "Traceback" not in log
    finally:
        program.kill()
        program.communicate()


def rows(data: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(invoke(data, "calls", "--json", "--limit", "1000").stdout)["items"]
    return items


def wait_for_rows(data: Path, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while len(found := rows(data)) < count:
        assert time.monotonic() < deadline, f"{len(found)} rows instead of {count}"
        time.sleep(0.05)
    return found


def test_it_says_once_where_everything_is(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        lines = served.banner.splitlines()

    assert f"{served.address}/v1" in lines[0]
    assert str(tmp_path) in lines[1]
    assert str(tmp_path / "admin-token") in lines[2]
    assert "sim (simulated)" in lines[3]
    assert stat.S_IMODE(os.stat(tmp_path / "admin-token").st_mode) == 0o600
    assert (tmp_path / "admin-token").read_text().strip() not in served.banner


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False)])  # noqa: S104 - the case
def test_serving_others_in_clear_is_warned_of_in_one_line(host: str, warned: bool, tmp_path: Path) -> None:
    with serving(tmp_path, "--host", host) as served:
        warnings = [line for line in served.banner.splitlines() if "TLS" in line]

    assert len(warnings) == warned
    assert all("server.tls" in line for line in warnings)


def test_calls_go_through_and_show_in_every_command_while_it_runs(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        whole = served.ask()
        streamed = served.ask(stream=True)
        found = wait_for_rows(tmp_path, 2)
        usage = run(tmp_path, "usage", "--by", "model")

    assert whole.json()["system_fingerprint"] == "simulated"
    assert "server" not in whole.headers
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert {call["id"] for call in found} == {answer.headers["x-tollkeeper-call-id"] for answer in (whole, streamed)}
    assert found[0]["cost_usd"] == found[1]["cost_usd"] is not None
    assert "sim/any" in usage.stdout


@pytest.mark.timed
def test_a_key_is_in_force_within_two_seconds_and_so_is_its_end(tmp_path: Path) -> None:
    """What one process changes is in force in every other: the ring follows the database."""

    def within(seconds: float, status: int, headers: dict[str, str]) -> None:
        deadline = time.monotonic() + seconds
        while (found := served.ask(headers=headers).status_code) != status:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    with serving(tmp_path) as served:
        assert served.ask().status_code == 200
        secret = invoke(tmp_path, "key", "create", "--name", "ci").stdout.strip()
        key = {"authorization": f"Bearer {secret}"}
        within(2, 200, key)
        within(2, 401, {})
        assert invoke(tmp_path, "key", "revoke", "ci").exit_code == 0
        within(2, 401, key)


def test_what_was_served_is_there_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.ask().status_code == 200
    with serving(tmp_path) as served:
        assert served.ask().status_code == 200
        assert len(wait_for_rows(tmp_path, 2)) == 2


def test_a_call_in_flight_ends_before_the_server_does(tmp_path: Path) -> None:
    slow = SETTINGS.replace("itl: 1ms", "itl: 50ms")
    with serving(tmp_path, settings=slow) as served:
        with httpx.stream("POST", f"{served.address}/v1/chat/completions", json=ASK | {"stream": True}) as answer:
            parts = answer.iter_text()
            text = next(parts)
            served.program.send_signal(signal.SIGTERM)
            text += "".join(parts)
        served.program.wait(PATIENCE)

    assert text.endswith("data: [DONE]\n\n")
    assert rows(tmp_path)[0]["end"] == "completed"


def children(program: subprocess.Popen[str]) -> list[int]:
    pid = program.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def test_several_workers_are_one_gateway(tmp_path: Path) -> None:
    """One port, one ledger, the same figures on each, and a key in force on each within two seconds."""
    with serving(tmp_path, "--workers", "3") as served:
        assert "workers      3" in served.banner
        for _ in range(30):  # each on a connection of its own, hence on any of the workers
            assert served.ask().status_code == 200
        wait_for_rows(tmp_path, 30)
        deadline = time.monotonic() + PATIENCE
        while any('end="completed"' in line and not line.endswith(" 30.0") for line in counted(served)):
            assert time.monotonic() < deadline
        assert len(children(served.program)) == 3
        for _ in range(10):
            (calls,) = counted(served)
            assert calls.endswith(" 30.0")
            assert httpx.get(f"{served.address}/readyz", trust_env=False).json()["status"] == "ok"
        invoke(tmp_path, "key", "create", "--name", "ci")
        deadline = time.monotonic() + 2
        while {served.ask().status_code for _ in range(12)} != {401}:
            assert time.monotonic() < deadline, "a worker does not know the key"
    assert list((tmp_path / "journal").iterdir()) == []


def counted(served: Served) -> list[str]:
    metrics = httpx.get(f"{served.address}/metrics", trust_env=False).text
    return [line for line in metrics.splitlines() if line.startswith("tollkeeper_calls_total")]


def test_a_worker_that_dies_is_replaced_and_its_calls_are_kept(tmp_path: Path) -> None:
    """Its journal is replayed by another worker, without a restart; its counts are in the metrics to the last look."""
    with serving(tmp_path, "--workers", "2") as served:
        for _ in range(8):
            assert served.ask().status_code == 200
        deadline = time.monotonic() + PATIENCE
        while not (lines := counted(served)) or not lines[0].endswith(" 8.0"):
            assert time.monotonic() < deadline
        before = children(served.program)
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        assert served.ask().status_code == 200, "who came meanwhile waited in the queue"
        wait_for_rows(tmp_path, 9)
        while len(left := list((tmp_path / "journal").iterdir())) > 2:
            assert time.monotonic() < deadline, left
        assert not set(before) & set(children(served.program))
        while not counted(served)[0].endswith(" 9.0"):
            assert time.monotonic() < deadline, counted(served)


def test_what_keeps_a_worker_from_starting_is_said_once(tmp_path: Path) -> None:
    config = tmp_path / "tollkeeper.yaml"
    config.write_text("server: {tls: {cert: none.pem, key: none.pem}}\n")
    (tmp_path / "none.pem").write_text("no certificate")
    told = run(tmp_path, "serve", "--port", "0", "--workers", "4", "--config", str(config))

    assert told.returncode == 2
    assert told.stdout == ""
    assert told.stderr.count("Error:") == 1
    assert "server.tls" in told.stderr


def test_a_taken_port_is_one_sentence_and_exit_1(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        told = run(tmp_path, "serve", "--port", str(port))

    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr.startswith(f"Error: port {port} on 127.0.0.1 is taken by another program; ")
    assert "--port" in told.stderr


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("--port", "70000"), "--port"),
        (("--port", "many"), "--port"),
        (("--workers", "0"), "--workers"),
        (("--host", "not a host"), "--host"),
    ],
)
def test_what_makes_no_sense_is_refused(args: tuple[str, ...], named: str, tmp_path: Path) -> None:
    told = run(tmp_path, "serve", *args)

    assert told.returncode == 2
    assert named in told.stderr


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = run(tmp_path / "file" / "data", "serve", "--port", "0")

    assert told.returncode == 1
    assert "TOLLKEEPER_SERVER_DATA" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    config = tmp_path / "tollkeeper.yaml"
    config.write_text(f"server: {{tls: {{cert: {tmp_path}/none.pem, key: {tmp_path}/none.pem}}}}\n")
    told = run(tmp_path, "serve", "--port", "0", "--config", str(config))

    assert told.returncode in (1, 2)
    assert "tls" in told.stderr
    assert "Traceback" not in told.stderr


def test_https_by_settings(tmp_path: Path) -> None:
    certificate = Path(__file__).parents[1] / "server" / "localhost.pem"
    settings = SETTINGS + f"server: {{tls: {{cert: {certificate}, key: {certificate}}}}}\n"
    with serving(tmp_path, settings=settings) as served:
        assert served.address.startswith("https://")
        answer = httpx.get(f"{served.address}/healthz", verify=False, trust_env=False)  # noqa: S501

    assert answer.status_code == 200
