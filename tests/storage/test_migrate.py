"""The schema: made, brought up to date, compared, and told apart from what we do not know."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import current, differences, head, upgrade
from gateway.storage.migrate import known_revisions
from tests.databases import new_database, url_of


def test_a_new_database_is_of_our_revision(tmp_path: Path) -> None:
    url = url_of(tmp_path / "new folder" / "100% mine.db")
    assert current(url) is None
    upgrade(url)
    assert current(url) == head()
    assert head() in known_revisions()


def test_upgrading_again_changes_nothing(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as db, db:
        db.execute("INSERT INTO revisions VALUES ('notes', 7)")
    upgrade(url)
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as db, db:
        assert db.execute("SELECT number FROM revisions").fetchall() == [(7,)]


def test_several_may_upgrade_at_once(tmp_path: Path) -> None:
    url = url_of(tmp_path / "one.db")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [url] * 4))
    assert current(url) == head()


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    assert differences(new_database(tmp_path)) == []


def test_a_difference_is_named(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as db, db:
        db.execute("ALTER TABLE calls DROP COLUMN end_user")
    (difference,) = differences(url)
    assert "end_user" in difference


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = new_database(tmp_path)
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '29991231_2359'")
    with pytest.raises(Fault) as refusal:
        upgrade(url)
    assert refusal.value.kind is Kind.CONFLICT
    assert current(url) == "29991231_2359"


def test_a_database_that_is_not_there_has_no_differences_to_tell(tmp_path: Path) -> None:
    with pytest.raises(Fault) as refusal:
        differences(url_of(tmp_path / "none.db"))
    assert refusal.value.kind is Kind.NOT_FOUND
