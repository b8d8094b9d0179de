"""Several processes on one listener: started, replaced, ended together."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from gateway.server.workers import LONGEST_PAUSE, pause_after

PATIENCE = 20.0
HOUSE = Path(__file__).parents[2]


class Played:
    """`worker_play` while it runs."""

    def __init__(self, way: str, folder: Path) -> None:
        self._said = folder / "said"
        command = [sys.executable, "-m", "tests.server.worker_play", way]
        with self._said.open("wb") as said:
            self.program = subprocess.Popen(command, stdout=said, stderr=said, cwd=HOUSE, start_new_session=True)

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        self.until(lambda: "port" in self.said)
        return int(self.said.partition("port ")[2].split()[0])

    def until(self, true: Callable[[], bool]) -> None:
        deadline = monotonic() + PATIENCE
        while not true():
            assert monotonic() < deadline, self.said
            sleep(0.005)

    def ask(self) -> tuple[int, int]:
        """The place and the process that one connection got to."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as line:
            place, pid = line.makefile().readline().split()
            return int(place), int(pid)

    def all_three(self) -> dict[int, int]:
        """The processes by their places, as soon as each place has answered."""
        found: dict[int, int] = {}

        def asked() -> bool:
            found.update([self.ask()])
            return len(found) == 3

        self.until(asked)
        return found

    def end(self, kind: int = signal.SIGTERM) -> int:
        self.program.send_signal(kind)
        return self.program.wait(PATIENCE)


@contextmanager
def played(way: str, folder: Path) -> Iterator[Played]:
    program = Played(way, folder)
    try:
        yield program
    finally:
        with suppress(ProcessLookupError):  # they have all ended
            os.killpg(program.program.pid, signal.SIGKILL)
        program.program.wait(PATIENCE)


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_all_serve_and_all_end_when_told_to(kind: int, tmp_path: Path) -> None:
    with played("serve", tmp_path) as program:
        workers = program.all_three()
        assert program.program.pid not in workers.values()
        assert program.end(kind) == 0
        assert program.said.count("ends well") == 3
        assert not any(map(lives, workers.values()))


def test_one_that_dies_is_replaced_at_once_in_its_place(tmp_path: Path) -> None:
    with played("serve", tmp_path) as program:
        before = program.all_three()
        os.kill(before[1], signal.SIGKILL)
        program.until(lambda: program.ask() not in before.items())
        after = program.all_three()
        assert after | {1: 0} == before | {1: 0}
        assert f"worker 1 (process {before[1]}) was killed by signal 9; another one takes its place" in program.said
        assert program.end() == 0


def test_one_that_is_told_to_end_by_its_operator_is_replaced_too(tmp_path: Path) -> None:
    with played("serve", tmp_path) as program:
        before = program.all_three()
        os.kill(before[2], signal.SIGTERM)
        program.until(lambda: "INFO worker 2" in program.said)
        assert program.all_three().keys() == before.keys()
        assert program.end() == 0


def test_one_that_dies_again_and_again_is_waited_for_and_said_so(tmp_path: Path) -> None:
    with played("frail", tmp_path) as program:
        program.until(lambda: "starts in 1 s" in program.said)
        told = [line for line in program.said.splitlines() if line.startswith("ERROR worker 1")]
        assert [line.partition("; ")[2] for line in told[:3]] == [
            "another one takes its place",
            "it is the 2. in a row that did not last; another one starts in 0.5 s",
            "it is the 3. in a row that did not last; another one starts in 1 s",
        ]
        assert program.ask()[0] in (0, 2), "the others serve on"
        assert program.end() == 0


def test_the_pause_grows_to_a_bound() -> None:
    assert [pause_after(deaths) for deaths in (0, 1, 2, 3, 4)] == [0, 0, 0.5, 1, 2]
    assert pause_after(10_000) == LONGEST_PAUSE


def test_a_crash_shows_where_it_was(tmp_path: Path) -> None:
    with played("crashes", tmp_path) as program:
        program.until(lambda: "ended with code 70" in program.said)
        assert "RuntimeError: a crash of a worker" in program.said


def test_what_keeps_the_first_from_starting_ends_them_all_and_is_said_once(tmp_path: Path) -> None:
    with played("cannot", tmp_path) as program:
        assert program.program.wait(PATIENCE) == 3
        assert program.said == "it cannot start\n"


def test_the_second_interrupt_hurries_and_the_third_kills(tmp_path: Path) -> None:
    with played("busy", tmp_path) as program:
        program.all_three()
        program.program.send_signal(signal.SIGINT)
        program.until(lambda: refuses(program.port))
        assert program.program.poll() is None, "it waits for what is in flight"
        assert program.end(signal.SIGINT) == 0
    with played("stuck", tmp_path) as program:
        begun = monotonic()
        program.until(lambda: bool(children(program.program.pid)))
        for _ in range(3):
            program.program.send_signal(signal.SIGINT)
            sleep(0.1)  # signals of one kind that come at once count as one
        assert program.program.wait(PATIENCE) == 1
        assert monotonic() - begun < 10


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    with played("serve", tmp_path) as program:
        workers = program.all_three()
        program.program.kill()
        program.until(lambda: not any(map(lives, workers.values())))
        assert program.said.count("ends well") == 3


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False
