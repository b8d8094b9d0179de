"""The schema: made, brought up to date, compared, and told apart from what we do not know; on both databases."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import current, differences, exists, head, steps, upgrade
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


def test_a_start_with_nothing_to_migrate_does_without_alembic(database_url: str) -> None:
    """It would be a tenth of the memory and of the time."""
    script = """
import sys
from gateway.storage.engine import upgrade
upgrade(sys.argv[1])
print("alembic" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", script, database_url], capture_output=True, text=True, timeout=60)
    assert told.stdout == "False\n", told.stderr


def test_files_are_named_as_alembic_knows_their_revisions(folder: Path) -> None:
    """So that nobody needs Alembic to see which revisions there are, and in which order they follow one another."""
    scripts = list(ScriptDirectory(str(folder)).walk_revisions())
    named = [Path(script.path).name[: len(script.revision)] for script in reversed(scripts)]
    assert named == [script.revision for script in reversed(scripts)] == sorted(named)
    assert all(len(script.revision) == len("20261123_0630") for script in scripts)
    assert set(named) == known_revisions() | {"29990101_0000", "29990102_0000"}


# --- several revisions ------------------------------------------------------------------------------------------------

LATER = """\"\"\"{about}

More words of it.
\"\"\"

from alembic import op

revision = "{revision}"
down_revision = "{after}"

SECONDS_PER_MILLION_CALLS = {{"sqlite": 60.0, "postgresql": 60.0}}


def upgrade() -> None:
    op.execute("{statement}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Our revisions and two later ones, the second of which fails as long as nobody has paved its way."""
    ours = Path(__file__).parents[2] / "migrations"
    copy = tmp_path / "migrations"
    shutil.copytree(ours, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, after, about, statement in (
        ("29990101_0000", head(), "The first of two.", "CREATE TABLE first_of_two (a integer)"),
        ("29990102_0000", "29990101_0000", "The second.", "ALTER TABLE paved RENAME TO second_of_two"),
    ):
        script = LATER.format(revision=name, after=after, about=about, statement=statement)
        (copy / "versions" / f"{name}.py").write_text(script)
    return copy


def test_an_upgrade_is_told_with_an_estimate_before_it_begins(database_url: str, sql: Operator, folder: Path) -> None:
    """Known fault 86: how much and how long is known before it starts."""
    columns = 'id, started_us, path, labels, stream, "end", cache, attempts, usage_basis'
    money = "avoided_nano, reserve_nano, held_nano"
    for number in range(5):
        values = f"'{number}', 1, 'p', '{{}}', false, 'completed', 'off', 0, 'none', 0, 0, 0"
        sql.run(f"INSERT INTO calls ({columns}, {money}) VALUES ({values})")  # noqa: S608 (texts of this test)
    assert steps(database_url) == ([], 5)
    left, calls = steps(database_url, folder)
    assert calls == 5
    assert [(step.revision, step.about) for step in left] == [
        ("29990101_0000", "The first of two."),
        ("29990102_0000", "The second."),
    ]
    assert [step.seconds for step in left] == pytest.approx([5 * 60 / 1e6] * 2)
    assert current(database_url) == head()


def test_what_is_not_made_yet_has_every_step_before_it(unmade: str, folder: Path) -> None:
    left, calls = steps(unmade, folder)
    revisions = [*sorted(known_revisions()), "29990101_0000", "29990102_0000"]
    assert ([step.revision for step in left], calls) == (revisions, 0)
    assert not exists(unmade)


def test_an_upgrade_that_stops_goes_on_where_it_was(database_url: str, sql: Operator, folder: Path) -> None:
    """Known fault 86: a long upgrade need not begin anew."""
    told: list[str] = []
    with pytest.raises(Fault) as failure:
        upgrade(database_url, told.append, folder)
    assert failure.value.kind is Kind.UNAVAILABLE
    assert (told, current(database_url)) == (["29990101_0000", "29990102_0000"], "29990101_0000")
    sql.run("CREATE TABLE paved (a integer)")
    upgrade(database_url, told.append, folder)
    assert (told[2:], current(database_url)) == (["29990102_0000"], "29990102_0000")
    assert sql.count("first_of_two") == sql.count("second_of_two") == 0


def test_every_revision_says_how_long_it_takes(unmade: str) -> None:
    """Known fault 86: or nobody could estimate."""
    left, _ = steps(unmade)
    assert all(step.seconds >= 0 and step.about for step in left)
