"""The schema's revisions: which one a database is of, and how it gets to ours.

Alembic is imported inside the functions: half a second that only these commands pay.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

import gateway
from gateway.core.errors import Fault, Kind
from gateway.storage.backends import backend_of

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory


def upgrade(url: str) -> None:
    """Make the database or bring it to our revision, in one transaction; several processes may try at once.

    Raises `Fault`: conflict if it is of a revision that this version does not know, unavailable if it fails.
    """
    from alembic import command

    config = _config()
    with backend_of(url).transaction(create=True, alone=True) as connection:
        _require_known(_revision(connection))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """The revision a database is of; None if there is no database or it was never upgraded."""
    backend = backend_of(url)
    if not backend.exists():
        return None
    with backend.transaction() as connection:
        return _revision(connection)


def exists(url: str) -> bool:
    """Whether there is a database that could be opened. Raises `Fault`: unavailable if its server cannot be asked."""
    return backend_of(url).exists()


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

    backend = backend_of(url)
    if not backend.exists():
        raise Fault(Kind.NOT_FOUND, f"{backend.place} has not been made yet", hint="run `tollkeeper db upgrade`")
    with backend.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return [_sentence(difference) for difference in compare_metadata(context, metadata)]


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
