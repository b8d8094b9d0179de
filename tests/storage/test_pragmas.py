"""Connections as they are set up."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from gateway.storage.pragmas import BUSY_MS, WRITER_CACHE_KIB, set_up


def test_every_connection_waits_shares_and_checks(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as db:
        set_up(db)
        names = ("busy_timeout", "journal_mode", "synchronous", "foreign_keys", "query_only")
        assert [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names] == [BUSY_MS, "wal", 1, 1, 0]
        assert db.execute("PRAGMA cache_size").fetchone() == (-WRITER_CACHE_KIB,)


def test_a_connection_for_queries_cannot_change_anything(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as db:
        set_up(db, query_only=True)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("CREATE TABLE t (x)")


def test_a_database_that_somebody_is_just_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("CREATE TABLE made (x)")
    other.execute("BEGIN EXCLUSIVE")
    begun = threading.Event()

    def make() -> str:
        with closing(sqlite3.connect(path)) as ours:
            begun.set()
            set_up(ours)
            mode: str = ours.execute("PRAGMA journal_mode").fetchone()[0]
            return mode

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(make)
        assert begun.wait(5)
        with pytest.raises(TimeoutError):
            made.result(timeout=0.1)
        other.execute("COMMIT")
        assert made.result(timeout=5) == "wal"
    other.close()


def test_a_file_that_may_only_be_read_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")
    begun = monotonic()
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with closing(reader), pytest.raises(sqlite3.OperationalError, match="readonly"):
        set_up(reader)
    assert monotonic() - begun < BUSY_MS / 1000
