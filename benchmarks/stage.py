"""The parts of a measurement: the upstream, the gateway as people run it, and what may be asked of them.

All on loopback, on ports that are free, with a data folder that goes when they do.
"""

import contextlib
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from benchmarks.failed import Failed
from benchmarks.load import PATIENCE, Door
from benchmarks.machine import Cores, on_core
from benchmarks.processes import KEY, end, start, start_module
from benchmarks.shape import ALIASES, MARK, MODEL, question
from benchmarks.upstream import COUNTS, DIRECT, FINISH, GATEWAY, Counts, Options

START = 60.0
"""Seconds that a start may take on a busy machine; it is about one on an idle one."""
SETTINGS = """\
server: {{keys: required, data: "{data}"}}
database: {{url: "sqlite+aiosqlite:///{data}/ledger.sqlite3", journal: "{data}/journal"}}
providers:
  openai: {{base_url: "http://127.0.0.1:{port}/v1", api_key: env:BENCH_UPSTREAM_KEY}}
models: {{{aliases}}}
prices:
  openai/*: {{like: openai}}
keys:
  bench: {{secret: env:BENCH_KEY, team: bench}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """An upstream that runs, and a data folder for gateways that ask it."""

    data: Path
    port: int
    """The upstream's."""
    command: str
    cores: Cores

    @property
    def config(self) -> Path:
        return self.data / "tollkeeper.yaml"

    @property
    def ledger(self) -> Path:
        return self.data / "ledger.sqlite3"

    @property
    def direct(self) -> Door:
        """The upstream itself, past the gateway."""
        return Door(self.port, DIRECT)

    def counts(self) -> Counts:
        """What the upstream has had."""
        return Counts(**json.loads(_ask(self.port, COUNTS)))

    def finish(self) -> None:
        """Ends the slow streams."""
        _ask(self.port, FINISH)

    def rows(self) -> int:
        """In the ledger, counted one by one."""
        return self._number("select count(*) from calls")

    def shipped(self) -> int:
        """The same as a guess that costs nothing: the number of the last one."""
        return self._number("select coalesce(max(seq), 0) from calls")

    def journal_bytes(self) -> int:
        """On disk, reservations included."""
        sizes = 0
        for path in (self.data / "journal").rglob("*"):
            with contextlib.suppress(OSError):  # a segment that has just been shipped
                sizes += path.stat().st_size
        return sizes

    def _number(self, query: str) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as ledger:
            number: int = ledger.execute(query).fetchone()[0]
        return number


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway that runs in its place."""

    place: Place
    port: int
    """The gateway's."""
    pid: int
    first_answer_s: float
    """From the start of its process to its first good answer."""

    @property
    def door(self) -> Door:
        return Door(self.port, GATEWAY, KEY)

    @property
    def direct(self) -> Door:
        return self.place.direct

    @property
    def cores(self) -> Cores:
        return self.place.cores


@contextlib.contextmanager
def set_up(cores: Cores, command: str, options: Options | None = None, more: str = "") -> Iterator[Stage]:
    """`more`: settings besides the usual ones. Raises `Failed` if the gateway does not come up."""
    with made_ready(cores, command, options, more) as place, served(place) as stage:
        yield stage


@contextlib.contextmanager
def made_ready(cores: Cores, command: str, options: Options | None = None, more: str = "") -> Iterator[Place]:
    """All but the gateway."""
    with TemporaryDirectory(prefix="tollkeeper-bench-") as folder, upstream(cores.upstream, options) as port:
        place = Place(Path(folder), port, command, cores)
        place.config.write_text(settings_text(place.data, port) + more, encoding="utf-8")
        yield place


def settings_text(data: Path, port: int) -> str:
    """Keys required, prices, journal and ledger: everything on."""
    aliases = ", ".join(f"{alias}: {{targets: [openai/{MODEL}]}}" for alias in ALIASES)
    return SETTINGS.format(data=data, port=port, aliases=aliases)


@contextlib.contextmanager
def upstream(core: int | None, options: Options | None = None) -> Iterator[int]:
    """Its port, while the block runs."""
    with on_core(core):
        program = start_module("benchmarks.upstream", json.dumps(asdict(options or Options())))
    try:
        assert program.stdout is not None
        yield int(program.stdout.readline())
    finally:
        end(program)


@contextlib.contextmanager
def served(place: Place) -> Iterator[Stage]:
    """A gateway, while the block runs. Raises `Failed` if it does not come up."""
    begun = perf_counter()
    with (place.data / "log").open("wb") as log, (place.data / "out").open("wb") as out, on_core(place.cores.gateway):
        command = [place.command, "serve", "--config", str(place.config), "--port", "0"]
        try:
            gateway = start(command, place.data, stdout=out, stderr=log)
        except OSError as error:
            raise Failed(f"{place.command} cannot be started: {error.strerror}; see --command") from error
    try:
        port = _first_answer(place.data, gateway, begun + START)
        yield Stage(place, port, gateway.pid, perf_counter() - begun)
    finally:
        end(gateway)


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
        sleep(0.002)
    log = (data / "log").read_text(encoding="utf-8")
    raise Failed(f"the gateway did not come up ({why}); the end of its log:\n{log[-2000:]}")


def _ask(port: int, path: str, body: bytes | None = None) -> bytes:
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as line:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        line.request("POST" if body else "GET", path, body, headers)
        return line.getresponse().read()
