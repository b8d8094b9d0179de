"""The measurement of an upgrade: it makes an old ledger, and believes nothing that does not add up."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres_server import PostgresServer

HOUSE = Path(__file__).parents[2]


def measure(*args: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.upgrade", "--calls", "300", *args]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=120, check=False)


def test_a_file() -> None:
    done = measure()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "; 300 calls\n" in done.stdout
    assert done.stdout.endswith("every call is there once, the schema is as it should be\n")


@pytest.mark.parametrize("kill", [[], ["--kill"]])
def test_a_server(postgres: PostgresServer, kill: list[str]) -> None:
    url = postgres.new_database()
    done = measure("--database", url, *kill)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("ended with -9" in done.stdout) == bool(kill)
    assert done.stdout.endswith("every call is there once, the schema is as it should be\n")
    postgres.drop(url)
