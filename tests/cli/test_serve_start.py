"""What a start costs: what is imported, how long it works, how much memory it keeps; on a database that is there."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from tests.cli.terminal import PROGRAM, environment, run
from tests.postgres_server import PostgresServer

HOUSE = Path(__file__).parents[2]
SETTINGS = """\
server: {metrics: open}
providers:
  sim: {kind: simulated, simulate: {ttft: 1ms, itl: 1ms, jitter: 0, output_tokens: 2}}
  openai: {api_key: env:SOME_KEY}
prices:
  sim/*: {like: openai}
"""
ASK = {"model": "sim/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
PATIENCE = 30.0

ELSEWHERE = frozenset(
    (
        *("alembic", "mako"),  # where there is something to migrate
        *("litellm", "huggingface_hub", "tokenizers", "aiohttp", "requests", "openai"),  # nowhere
        *("tiktoken", "regex"),  # in the process that counts tokens
        *("httpx", "httpcore", "rich", "pygments", "gateway.cli.commands"),  # in other commands
        *("psycopg", "psycopg_binary", "sqlalchemy.dialects.postgresql.base"),  # beside PostgreSQL
        *("sqlalchemy.orm", "pydantic.v1.main"),  # nowhere, though what is used comes with them
    )
)


@dataclass(frozen=True)
class Served:
    address: str
    pid: int


@contextmanager
def started(data: Path, **more: str) -> Iterator[Served]:
    """A gateway that has given its first good answer; its log goes to `log` in the folder."""
    (data / "tollkeeper.yaml").write_text(SETTINGS)
    with (data / "log").open("w") as log:
        program = subprocess.Popen(
            [*PROGRAM, "serve", "--config", str(data / "tollkeeper.yaml"), "--port", "0"],
            env=environment(data, SOME_KEY="sk-some", **more),
            cwd=HOUSE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert program.stdout is not None
        found = re.search(r"http://[^/]+", program.stdout.readline())
        assert found, (data / "log").read_text()
        served = Served(found.group(), program.pid)
        assert httpx.get(f"{served.address}/readyz", trust_env=False, timeout=PATIENCE).status_code == 200
        yield served
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE) == 0
    finally:
        program.kill()
        program.communicate()


def figure(served: Served, name: str) -> float:
    """What the process says of itself."""
    told = re.search(rf"^{name} (\S+)$", httpx.get(f"{served.address}/metrics", trust_env=False).text, re.MULTILINE)
    assert told is not None
    return float(told.group(1))


def test_a_start_imports_what_serving_needs_and_no_more(tmp_path: Path) -> None:
    with started(tmp_path):
        pass
    with started(tmp_path, PYTHONPROFILEIMPORTTIME="1") as served:
        assert httpx.post(f"{served.address}/v1/chat/completions", json=ASK, trust_env=False).status_code == 200
    lines = (tmp_path / "log").read_text().splitlines()
    names = [line.rpartition("|")[2].strip() for line in lines]
    imported = {*names, *(name.partition(".")[0] for name in names)}
    assert {"gateway", "sqlalchemy", "fastapi", "uvloop"} <= imported
    assert not imported & ELSEWHERE


def test_a_start_works_for_half_a_second_and_keeps_less_than_90_megabytes(tmp_path: Path) -> None:
    """Measured: 0.6 s of processor time and 82 MB. The bounds have slack for other machines and busy ones."""
    with started(tmp_path):
        pass  # makes the database, and bytecode where there is none yet
    with started(tmp_path) as served:
        assert figure(served, "process_cpu_seconds_total") < 1.2
        assert figure(served, "process_resident_memory_bytes") < 90e6
    (tmp_path / "new").mkdir()
    with started(tmp_path / "new") as served:
        assert figure(served, "process_resident_memory_bytes") < 90e6, "what migrates is kept"


def test_the_helper_that_counts_tokens_is_not_started_before_there_is_something_to_count(tmp_path: Path) -> None:
    """It is larger than the gateway."""
    with started(tmp_path) as served:
        assert httpx.post(f"{served.address}/v1/chat/completions", json=ASK, trust_env=False).status_code == 200
        assert not children(served.pid)


def test_what_keeps_a_database_from_being_migrated_is_said_once(tmp_path: Path) -> None:
    with started(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '29991231_2359'")
    told = run(tmp_path, "serve", "--port", "0")

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.count("Error:") == 1
    assert "29991231_2359, which this version does not know" in told.stderr


def test_a_migration_that_is_killed_is_told(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.new_database()
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [int.from_bytes(b"tollkeep")])  # whoever migrates waits for it
        program = subprocess.Popen(
            [*PROGRAM, "serve", "--port", "0"],
            env=environment(tmp_path, TOLLKEEPER_DATABASE_URL=url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not (found := children(program.pid)):
            assert program.poll() is None, program.communicate()
            assert time.monotonic() < deadline
        os.kill(found[0], signal.SIGKILL)
        said, told = program.communicate(timeout=PATIENCE)

    assert (program.returncode, said) == (1, "")
    assert told == "Error: signal 9 ended the migration of the database; start again: it goes on where it was\n"
    postgres.drop(url)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def test_an_installation_has_bytecode_for_all_that_a_start_imports(tmp_path: Path) -> None:
    """`.ci/bytecode.py` ends it: what it forgets would be compiled anew at every start where nobody may write."""
    cache = {"PYTHONPYCACHEPREFIX": str(tmp_path / "cache")}
    script = [sys.executable, str(HOUSE / ".ci" / "bytecode.py")]
    subprocess.run(script, env=environment(tmp_path, PYTHONPATH=str(HOUSE), **cache), check=True, timeout=120)
    written = bytecode(tmp_path)
    assert len(written) > 500
    with started(tmp_path, **cache):
        pass
    assert bytecode(tmp_path) == written


def bytecode(folder: Path) -> set[Path]:
    """What was compiled of ourselves and of packages; the standard library has its own."""
    ours = (*HOUSE.parts[1:], "gateway")
    found = (path.relative_to(folder / "cache") for path in folder.glob("cache/**/*.pyc"))
    return {path for path in found if "site-packages" in path.parts or path.parts[: len(ours)] == ours}
