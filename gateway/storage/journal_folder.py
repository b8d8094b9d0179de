"""The folder of all journals: one directory per process, owned by whoever holds the lock in it.

    FOLDER/<journal id>/{lock, 00000001.seg, …}    a journal; its owner lives as long as the lock is held
    FOLDER/<journal id>.v<N>/…                     segments with frames of version N, kept for a release that knows it
    FOLDER/<journal id>.damaged/…                  segments with damage in them, kept for people; the rest is replayed
    FOLDER/.gone-<journal id>                      deleted; its name stays until its mark in the ledger is gone too
    FOLDER/.<anything else>                        being made; nobody else's business

Knows nothing of what is in a segment.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from gateway.core.errors import Fault, Kind
from gateway.storage.frames import KNOWN_VERSIONS
from gateway.storage.segments import bytes_in

_LOCK = "lock"
_LEAVING = ".gone-"
_DAMAGED = ".damaged"
_ID_BEGINS = "[0-9a-f]"


class Lock:
    """The right to a journal, held by an open file: it ends with the process, however that ends.

    A child that is forked, not spawned, shares it and would keep a dead journal from being replayed.
    """

    def __init__(self, directory: Path) -> None:
        """Raises `Fault` (conflict) if somebody else holds it, (not found) if the directory is gone."""
        path = directory / _LOCK
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            raise _gone(directory) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._fd, 32, 0).decode(errors="replace") or "unknown"
            os.close(self._fd)
            raise Fault(
                Kind.CONFLICT,
                f"the journal {directory} is in use by process {owner}",
                hint="every process writes its own; stop that one, and its journal is replayed by the next that starts",
            ) from None
        if not path.exists():  # its owner deleted it between the two steps above
            self.release()
            raise _gone(directory)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Safe to repeat."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _gone(directory: Path) -> Fault:
    return Fault(Kind.NOT_FOUND, f"there is no journal {directory}")


def new_journal_id() -> str:
    """Unique among all processes of all machines; sorts by time."""
    return f"{time.time_ns() // 1_000_000:012x}-{secrets.token_hex(6)}"


def make_directory(directory: Path) -> Lock:
    """A new journal's directory, locked before anybody can see it. Raises `OSError`."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    hidden = directory.with_name(f".{directory.name}")
    while True:
        with contextlib.suppress(FileExistsError):
            hidden.mkdir(mode=0o700)
        try:
            lock = Lock(hidden)
        except Fault:  # before it was locked another process took its maker for dead, see `gone`
            continue
        hidden.rename(directory)
        return lock


def delete_directory(directory: Path) -> None:
    """A shipped journal disappears at once, so that nobody finds half of it. Its name stays, see `gone`."""
    leaving = directory.with_name(f"{_LEAVING}{directory.name}")
    directory.rename(leaving)
    _empty(leaving)


def gone(folder: Path) -> list[str]:
    """The ids of journals that were deleted here and may still have a mark in the ledger.

    Finishes deletions that a crash cut short, and deletes what a crash left half made. Whoever has dropped the marks
    calls `forget` with these.
    """
    _delete_half_made(folder)
    leaving = list(folder.glob(f"{_LEAVING}*"))
    for directory in leaving:
        _empty(directory)
    return [directory.name.removeprefix(_LEAVING) for directory in leaving]


def forget(folder: Path, ids: Iterable[str]) -> None:
    """Nothing is left of these journals, not even a mark."""
    for id in ids:
        with contextlib.suppress(OSError):  # another process was at it as well; what stays is found again
            (folder / f"{_LEAVING}{id}").rmdir()


def _delete_half_made(folder: Path) -> None:
    for hidden in list(folder.glob(f".{_ID_BEGINS}*")):
        with contextlib.suppress(Fault):  # its maker lives and has locked it, or another process is at it as well
            lock = Lock(hidden)
            try:
                hidden.rename(folder / f"{_LEAVING}{hidden.name.removeprefix('.')}")
            except OSError:
                continue  # what was taken away before is not empty yet: the next look finds this one again
            finally:
                lock.release()


def _empty(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process is at it as well
        for path in list(directory.iterdir()):
            path.unlink(missing_ok=True)


def journals(folder: Path) -> list[Path]:
    """Every journal this release can replay, live or dead, oldest first."""
    found: list[Path] = []
    with contextlib.suppress(FileNotFoundError):  # no journal was ever written here
        found = sorted(path for path in folder.iterdir() if path.is_dir() and _is_a_journal(path))
    return [path for path in found if (version := _kept_version(path)) is None or version in KNOWN_VERSIONS]


def _is_a_journal(directory: Path) -> bool:
    return not directory.name.startswith(".") and directory.suffix != _DAMAGED


def bytes_of(folder: Path) -> int:
    """What all of them take on disk."""
    return sum(bytes_in(directory) for directory in journals(folder))


def kept_aside(directory: Path, version: int) -> Path:
    """Where a journal's segments wait for a release that knows frames of this version."""
    return directory.with_name(f"{directory.name.partition('.')[0]}.v{version}")


def damaged_aside(directory: Path) -> Path:
    """Where a journal's segments are kept in which there is something that nobody can read."""
    return directory.with_name(f"{directory.name.partition('.')[0]}{_DAMAGED}")


def damaged(folder: Path) -> list[Path]:
    """Every such place, oldest first."""
    return sorted(folder.glob(f"*{_DAMAGED}"))


def _kept_version(directory: Path) -> int | None:
    suffix = directory.suffix.removeprefix(".v")
    return int(suffix) if suffix.isdigit() else None
