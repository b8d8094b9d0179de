"""Software that no test environment holds, installed once into a cache outside the repository.

`$BACKENDS_HOME` says where, by default `~/.cache/backends`. A folder's name holds the digest of what was asked for, so
a new version makes a new folder; it appears whole or not at all.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
NODE_PROJECT = HERE.parent / "e2e" / "node"


def home() -> Path:
    return Path(os.environ.get("BACKENDS_HOME", "~/.cache/backends")).expanduser()


def installed(name: str, wanted: bytes, install: Callable[[Path], None]) -> Path:
    """The folder where `install` has put what `wanted` describes; made on first need."""
    place = home() / f"{name}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if place.exists():
        return place
    home().mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home()))
    try:
        install(made)
        made.rename(place)
    except OSError:
        if not place.exists():  # else somebody else was quicker
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)  # renamed, it is not there any more
    return place


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Raises `CalledProcessError`; what the command says goes to the test's own output."""
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


def node_packages() -> Path:
    """The official Node SDK and aimock, as the lock file pins them."""
    files = [NODE_PROJECT / "package.json", NODE_PROJECT / "package-lock.json"]

    def install(place: Path) -> None:
        for file in files:
            (place / file.name).write_bytes(file.read_bytes())
        run("npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--silent", cwd=place)

    return installed("node", b"".join(file.read_bytes() for file in files), install)


def python_of(name: str, steps: list[list[str]], lock: Path | None = None) -> Path:
    """The interpreter of an environment of its own; each step is arguments for that interpreter.

    With a lock file it is filled from that first, every package checked against its hashes.
    """
    pinned = [] if lock is None else [pip("--require-hashes", "--no-deps", "-r", str(lock))]
    wanted = repr(steps).encode() + sys.version.encode() + (b"" if lock is None else lock.read_bytes())

    def install(place: Path) -> None:
        run(sys.executable, "-m", "venv", place)
        for step in pinned + steps:
            run(place / "bin" / "python", *step)

    return installed(name, wanted, install) / "bin" / "python"


def pip(*words: str) -> list[str]:
    return ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
