"""The schema's revisions: which one a database is of, and how it gets to ours.

Alembic is imported inside the functions: half a second that only these commands pay.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

import gateway
from gateway.core.errors import Fault, Kind
from gateway.storage.address import driver_url, sqlite_path
from gateway.storage.pragmas import set_up

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory


def upgrade(url: str) -> None:
    """Make the database or bring it to our revision, in one transaction; several processes may try at once.

    Raises `Fault`: conflict if it is of a revision that this version does not know, unavailable if it fails.
    """
    from alembic import command

    path = sqlite_path(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    config = _config()
    with _transaction(path, create=True) as connection:
        _require_known(_revision(connection))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """The revision a database is of; None if there is no database or it was never upgraded."""
    path = sqlite_path(url)
    if not path.exists():
        return None
    with _transaction(path) as connection:
        return _revision(connection)


def head() -> str:
    """The revision that this version works with."""
    revision = _scripts().get_current_head()
    assert revision is not None
    return revision


def known_revisions() -> frozenset[str]:
    """Every revision that this version can start from."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def differences(url: str) -> list[str]:
    """Where the schema of a database departs from `tables`, one sentence each; empty if nowhere.

    Raises `Fault`: not found without a database.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from gateway.storage.tables import metadata

    path = sqlite_path(url)
    if not path.exists():
        raise Fault(Kind.NOT_FOUND, f"there is no database at {path}", hint="run `tollkeeper db upgrade`")
    with _transaction(path) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return [_sentence(difference) for difference in compare_metadata(context, metadata)]


@contextmanager
def _transaction(path: Path, *, create: bool = False) -> Iterator[Connection]:
    """One transaction that holds the write lock, so that two upgrades follow one another."""
    engine = create_engine(
        driver_url(path, driver="pysqlite", create=create), poolclass=NullPool, connect_args={"isolation_level": None}
    )
    event.listen(engine, "connect", lambda connection, _: set_up(connection))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise Fault(Kind.UNAVAILABLE, f"the database at {path} cannot be used: {error.orig}") from error
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _require_known(revision: str | None) -> None:
    if revision is not None and revision not in known_revisions():
        message = f"the database is of revision {revision}, which this version does not know"
        raise Fault(Kind.CONFLICT, message, hint="it was upgraded by a newer version: use that one")


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _folder() -> Path:
    """The migrations: inside the package when it is installed, beside it in the source tree."""
    package = Path(gateway.__file__).parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def _sentence(difference: Any) -> str:
    """Alembic's description of one difference; a list of them where columns of one table differ."""
    if isinstance(difference, list):
        return "; ".join(map(_sentence, difference))
    verb, *what = difference
    return f"{str(verb).replace('_', ' ')}: {', '.join(str(part) for part in what if part is not None)}"
