"""The schema's revisions: which one a database is of, and how it gets to ours.

Alembic is imported inside the functions that carry something out: what revisions there are stands in the names of their
files, and which one a database is of in one row, so that a start with nothing to migrate does without 10 MB of it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

import gateway
from gateway.core.errors import Fault, Kind
from gateway.storage.backends import Backend, backend_of
from gateway.storage.collation import trouble
from gateway.storage.parts import Part, carry_out, have_begun, parts_of, turn

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory

_NAME = len("YYYYMMDD_HHMM")


@dataclass(frozen=True, slots=True)
class Step:
    """One revision that a database has yet to go through."""

    revision: str
    about: str
    """What it does, one sentence."""
    seconds: float
    """How long it takes, by what the revision says of itself and the calls that are there."""


def steps(url: str, folder: Path | None = None) -> tuple[list[Step], int]:
    """What an upgrade has to do, in its order, and how many calls are there. Changes nothing.

    `folder`: where the revisions are, else ours. Raises `Fault` as `upgrade` does.
    """
    backend = backend_of(url)
    scripts = _scripts(folder)
    if not backend.exists():
        return [_step(script, 0, backend.dialect) for script in _pending(scripts, None)], 0
    with backend.transaction() as connection:
        revision = _revision(connection)
        _require_known(revision, _revisions(folder))
        count = 0 if revision is None else connection.scalar(text("SELECT count(*) FROM calls")) or 0
        pending = _pending(scripts, revision)
        if pending:
            _require_order(connection)
    return [_step(script, count, backend.dialect) for script in pending], count


def upgrade(
    url: str,
    tell: Callable[[str], None] = lambda revision: None,
    folder: Path | None = None,
    tell_part: Callable[[str], None] = lambda part: None,
) -> None:
    """Make the database or bring it to our revision; several processes may try at once.

    Each revision is a transaction of its own, so that one that was stopped goes on where it was; what takes long goes
    before it in parts. `tell` hears of each revision before it begins, `tell_part` of each part; `folder`: where the
    revisions are, else ours.
    Raises `Fault`: conflict if it is of a revision that this version does not know, invalid if it sorts ids otherwise
    than we need, unavailable if it fails.
    """
    known, backend = _revisions(folder), backend_of(url)
    if not _left(backend, known)[1]:
        return
    with turn(backend):
        while True:
            revision, left = _left(backend, known)
            if not left:
                return
            tell(left[0])
            parts = parts_of(_scripts(folder).get_revision(left[0]).module, backend.dialect)
            act = partial(_take_step, before=revision, step=left[0], folder=folder)
            step = Part("the rest, in a moment", alone=True, act=act)
            for part in (*parts, step):
                if parts:
                    tell_part(part.name)
                carry_out(part, backend)


def _left(backend: Backend, known: list[str]) -> tuple[str | None, list[str]]:
    """The revision it is of, and those that are to come."""
    with backend.transaction(create=True) as connection:
        revision = _revision(connection)
        _require_known(revision, known)
        left = known[known.index(revision) + 1 :] if revision else known
        if left:
            _require_order(connection)
    return revision, left


def _take_step(connection: Connection, before: str | None, step: str, folder: Path | None) -> None:
    """One revision, unless somebody else was quicker."""
    from alembic import command

    if _revision(connection) == before:
        config = _config(folder)
        config.attributes["connection"] = connection
        command.upgrade(config, step)


def current(url: str) -> str | None:
    """The revision a database is of; None if there is no database or it was never upgraded."""
    backend = backend_of(url)
    if not backend.exists():
        return None
    with backend.transaction() as connection:
        return _revision(connection)


def begun(url: str) -> bool:
    """Whether an upgrade has begun something that is not through: it goes on, or it was stopped."""
    with backend_of(url).transaction() as connection:
        return have_begun(connection)


def exists(url: str) -> bool:
    """Whether there is a database that could be opened. Raises `Fault`: unavailable if its server cannot be asked."""
    return backend_of(url).exists()


def head() -> str:
    """The revision that this version works with."""
    return _revisions()[-1]


def known_revisions() -> frozenset[str]:
    """Every revision that this version can start from."""
    return frozenset(_revisions())


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
        opts = {"compare_server_default": True, **_without_partitions(connection)}
        context = MigrationContext.configure(connection, opts=opts)
        departs = [_sentence(difference) for difference in compare_metadata(context, metadata)]
        order = trouble(connection)
    return departs if order is None else [*departs, order]


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _revisions(folder: Path | None = None) -> list[str]:
    """Every revision, the first one first. They follow one another, and a file's name begins with that of its own."""
    return sorted(path.name[:_NAME] for path in ((folder or _folder()) / "versions").glob("[0-9]*.py"))


def _pending(scripts: "ScriptDirectory", revision: str | None) -> "list[Script]":
    """The revisions behind this one, the next first."""
    return list(reversed(list(scripts.iterate_revisions("head", revision or "base"))))


def _step(script: "Script", calls: int, dialect: str) -> Step:
    about = (script.doc or "").partition("\n")[0]
    return Step(script.revision, about, script.module.SECONDS_PER_MILLION_CALLS[dialect] * calls / 1e6)


def _require_known(revision: str | None, known: Collection[str]) -> None:
    if revision is not None and revision not in known:
        message = f"the database is of revision {revision}, which this version does not know"
        raise Fault(Kind.CONFLICT, message, hint="it was upgraded by a newer version: use that one")


def _require_order(connection: Connection) -> None:
    order = trouble(connection)
    if order is not None:
        message = f"the database cannot be upgraded: {order}"
        hint = "restore a dump of it into one made with `createdb --locale C --encoding UTF8 --template template0`"
        raise Fault(Kind.INVALID, message, hint=hint, param="database.url")


def _config(folder: Path | None = None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder or _folder()).replace("%", "%%"))
    return config


def _scripts(folder: Path | None = None) -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config(folder))


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


def _without_partitions(connection: Connection) -> dict[str, Any]:
    """What makes Alembic pass over partitions, and over the keys that hold within each of them only."""
    from gateway.storage.tables import PARTITIONED

    if connection.dialect.name == "sqlite":
        return {}
    leaves = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition")))
    return {
        "include_name": lambda name, kind, _: kind != "table" or name not in leaves,
        "include_object": lambda item, _, kind, *__: (
            kind != "foreign_key_constraint" or item.table.name not in PARTITIONED
        ),
    }
