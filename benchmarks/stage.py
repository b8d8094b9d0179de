"""The processes of a measurement: the upstream, the gateway as people run it, and one load client after another.

All on loopback, on ports that are free, with a data folder that goes when they do.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import IO

from benchmarks.load import PATIENCE, Door, Job, Seen, job_text, read_seen
from benchmarks.machine import Cores, on_core
from benchmarks.shape import MARK, question
from benchmarks.upstream import COUNTS, DIRECT, GATEWAY

HOUSE = Path(__file__).resolve().parents[1]
KEY = "tk-bench-00000000000000000000000000000000"  # of a gateway that lives for seconds
START = 60.0
"""Seconds that a start may take on a busy machine; it is about one on an idle one."""
STOP = 30.0

SETTINGS = """\
server: {{keys: required, data: "{data}"}}
database: {{url: "sqlite+aiosqlite:///{data}/ledger.sqlite3", journal: "{data}/journal"}}
providers:
  openai: {{base_url: "http://127.0.0.1:{port}/v1", api_key: env:BENCH_UPSTREAM_KEY}}
prices:
  openai/*: {{like: openai}}
keys:
  bench: {{secret: env:BENCH_KEY, team: bench}}
"""
_KEPT = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR", "PYTHONPATH")


class Failed(Exception):
    """Nothing can be measured, and why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway that runs, its upstream, and what may be asked of them."""

    data: Path
    upstream_port: int
    gateway_port: int
    gateway: "subprocess.Popen[bytes]"
    first_answer_s: float
    """From the start of its process to its first good answer."""
    cores: Cores

    @property
    def door(self) -> Door:
        return Door(self.gateway_port, GATEWAY, KEY)

    @property
    def direct(self) -> Door:
        """The upstream itself, past the gateway."""
        return Door(self.upstream_port, DIRECT)

    def load(self, job: Job) -> tuple[Seen, Seen | None]:
        """Raises `Failed` if the client could not do its work at all."""
        with on_core(self.cores.client):
            client = _python("-m", "benchmarks.load", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            told, _ = client.communicate(job_text(job).encode(), timeout=job.seconds + PATIENCE * 2)
        finally:
            _end(client)
        if client.returncode != 0:
            raise Failed("the load client failed; what it said is above")
        return read_seen(told.decode())

    def calls(self) -> int:
        """Calls that the upstream has had from the gateway."""
        count: int = json.loads(_ask(self.upstream_port, COUNTS))[GATEWAY]
        return count

    def rows(self) -> int:
        """Rows in the ledger."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/ledger.sqlite3?mode=ro", uri=True)) as ledger:
            count: int = ledger.execute("select count(*) from calls").fetchone()[0]
        return count


@contextlib.contextmanager
def set_up(cores: Cores) -> Iterator[Stage]:
    """Raises `Failed` if the gateway does not come up."""
    with TemporaryDirectory(prefix="tollkeeper-bench-") as folder, upstream(cores.upstream) as port:
        data = Path(folder)
        config = data / "tollkeeper.yaml"
        config.write_text(SETTINGS.format(data=data, port=port), encoding="utf-8")
        begun = perf_counter()
        with (data / "log").open("wb") as log, (data / "out").open("wb") as out, on_core(cores.gateway):
            gateway = _python("-m", "gateway", "serve", "--config", str(config), "--port", "0", stdout=out, stderr=log)
        try:
            gateway_port = _first_answer(data, gateway, begun + START)
            yield Stage(data, port, gateway_port, gateway, perf_counter() - begun, cores)
        finally:
            _end(gateway)


@contextlib.contextmanager
def upstream(core: int | None) -> Iterator[int]:
    """Its port, while the block runs."""
    with on_core(core):
        program = _python("-m", "benchmarks.upstream", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert program.stdout is not None
        yield int(program.stdout.readline())
    finally:
        _end(program)


def _first_answer(data: Path, gateway: "subprocess.Popen[bytes]", deadline: float) -> int:
    """The gateway's port, as soon as a call through it is answered well."""
    why = "it did not say where it listens"
    while perf_counter() < deadline and gateway.poll() is None:
        told = re.search(r"http://[\d.]+:(\d+)/v1", (data / "out").read_text(encoding="utf-8"))
        if told is not None:
            try:
                answer = _ask(int(told[1]), GATEWAY, question(stream=False))
            except (OSError, HTTPException) as error:
                why = str(error)
            else:
                if MARK in answer:
                    return int(told[1])
                raise Failed(f"the gateway's first answer was {answer[:500]!r}")
        sleep(0.005)
    log = (data / "log").read_text(encoding="utf-8")
    raise Failed(f"the gateway did not come up ({why}); the end of its log:\n{log[-2000:]}")


def _ask(port: int, path: str, body: bytes | None = None) -> bytes:
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as line:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        line.request("POST" if body else "GET", path, body, headers)
        return line.getresponse().read()


def environment() -> dict[str, str]:
    """Nothing of this machine's own settings: no proxy, no other gateway's variables."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "BENCH_KEY": KEY, "BENCH_UPSTREAM_KEY": "sk-stand-in", "PYTHONUNBUFFERED": "1"}


def _python(
    *args: str, stdin: int = subprocess.DEVNULL, stdout: int | IO[bytes], stderr: IO[bytes] | None = None
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, *args]
    return subprocess.Popen(  # noqa: S603  our own interpreter and modules
        command, env=environment(), cwd=HOUSE, stdin=stdin, stdout=stdout, stderr=stderr
    )


def _end(program: "subprocess.Popen[bytes]") -> None:
    if program.poll() is None:
        program.terminate()
        try:
            program.wait(STOP)
        except subprocess.TimeoutExpired:
            program.kill()
    program.wait()
    for stream in (program.stdin, program.stdout):
        if stream is not None:
            stream.close()
