"""Starting and ending the processes of a measurement, in an environment that is nobody's own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

HOUSE = Path(__file__).resolve().parents[1]
KEY = "tk-bench-00000000000000000000000000000000"  # of a gateway that lives for seconds
STOP = 60.0
"""Seconds that an orderly end may take before it is a kill."""
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


def environment() -> dict[str, str]:
    """Nothing of this machine's own settings: no proxy, no path of other modules, no other gateway's variables."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "BENCH_KEY": KEY, "BENCH_UPSTREAM_KEY": "sk-stand-in", "PYTHONUNBUFFERED": "1"}


def start(command: Sequence[str], folder: Path, *, stdout: IO[bytes], stderr: IO[bytes]) -> "subprocess.Popen[bytes]":
    """The program that is measured."""
    return subprocess.Popen(  # noqa: S603  what the one who measures named
        [*command], env=environment(), cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
    )


def start_module(*words: str) -> "subprocess.Popen[bytes]":
    """One of our own modules, spoken to by unbuffered pipes."""
    command = [sys.executable, "-m", *words]
    return subprocess.Popen(  # noqa: S603  our own interpreter and modules
        command, env=environment(), cwd=HOUSE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )


def end(program: "subprocess.Popen[bytes]") -> None:
    if program.stdin is not None:
        with contextlib.suppress(OSError):
            program.stdin.close()
    if program.poll() is None:
        program.terminate()
        try:
            program.wait(STOP)
        except subprocess.TimeoutExpired:
            program.kill()
    program.wait()
    if program.stdout is not None:
        program.stdout.close()
