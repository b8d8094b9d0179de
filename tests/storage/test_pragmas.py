"""Connections as they are set up."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.storage.pragmas import BUSY_MS, set_up


def test_every_connection_waits_shares_and_checks(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as db:
        set_up(db)
        names = ("busy_timeout", "journal_mode", "synchronous", "foreign_keys", "query_only")
        assert [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names] == [BUSY_MS, "wal", 1, 1, 0]


def test_a_connection_for_queries_cannot_change_anything(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as db:
        set_up(db, query_only=True)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("CREATE TABLE t (x)")
