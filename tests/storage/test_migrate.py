"""The schema: made, brought up to date, compared, and told apart from what we do not know; on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import current, differences, exists, head, upgrade
from gateway.storage.migrate import known_revisions
from tests.databases import KINDS, Operator, url_of
from tests.postgres_server import PostgresServer


@pytest.fixture(params=KINDS)
def unmade(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that nobody has upgraded yet."""
    if request.param == "sqlite":
        yield url_of(tmp_path / "new folder" / "100% mine.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()
    yield url
    server.drop(url)


def test_a_new_database_is_of_our_revision(unmade: str) -> None:
    assert current(unmade) is None
    assert not exists(unmade)
    upgrade(unmade)
    assert exists(unmade)
    assert current(unmade) == head()
    assert head() in known_revisions()


def test_upgrading_again_changes_nothing(database_url: str, sql: Operator) -> None:
    sql.run("INSERT INTO revisions VALUES ('notes', 7)")
    upgrade(database_url)
    assert sql.rows("SELECT number FROM revisions") == [(7,)]


def test_several_may_upgrade_at_once(unmade: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [unmade] * 4))
    assert current(unmade) == head()


def test_the_migrations_make_what_the_tables_say(unmade: str) -> None:
    upgrade(unmade)
    assert differences(unmade) == []


def test_a_difference_is_named(database_url: str, sql: Operator) -> None:
    sql.run("ALTER TABLE calls DROP COLUMN end_user")
    (difference,) = differences(database_url)
    assert "end_user" in difference


def test_a_database_of_a_newer_version_is_left_alone(database_url: str, sql: Operator) -> None:
    sql.run("UPDATE alembic_version SET version_num = '29991231_2359'")
    with pytest.raises(Fault) as refusal:
        upgrade(database_url)
    assert refusal.value.kind is Kind.CONFLICT
    assert current(database_url) == "29991231_2359"


def test_a_database_that_is_not_there_has_no_differences_to_tell(unmade: str) -> None:
    with pytest.raises(Fault) as refusal:
        differences(unmade)
    assert refusal.value.kind is Kind.NOT_FOUND
