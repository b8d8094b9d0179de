"""A terminal for the tests: the real program in a process of its own, or the same commands in this one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from typer.testing import CliRunner, Result

from gateway.cli.commands import app

PROGRAM = (sys.executable, "-m", "gateway")
_KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")


def environment(data: Path, **more: str) -> dict[str, str]:
    """Nothing of this machine's own settings; the data folder as given."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "TOLLKEEPER_SERVER_DATA": str(data), "PYTHONUNBUFFERED": "1", **more}


def run(data: Path, *args: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """`tollkeeper ARGS` in a process of its own."""
    return subprocess.run(
        [*PROGRAM, *args],
        env=environment(data, **more),
        cwd=cwd or Path(__file__).parents[2],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def invoke(data: Path, *args: str, **more: str) -> Result:
    """`tollkeeper ARGS` in this process: faster, for everything that needs no process of its own."""
    unset: Mapping[str, str | None] = {name: None for name in os.environ if name not in _KEPT}
    return CliRunner().invoke(app, list(args), env={**unset, **environment(data, **more)}, prog_name="tollkeeper")
