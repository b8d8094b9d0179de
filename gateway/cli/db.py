"""`tollkeeper db`: the database's schema, and copies of the database. What takes long is in `db_upkeep`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.db_upkeep import prune, rebuild_rollups
from gateway.cli.frame import FAILED, Config, group, make_data_folder, read_settings, run
from gateway.core.errors import Fault, Kind

app = group("The database: its schema, its sums, backups.")
app.command("rebuild-rollups")(rebuild_rollups)
app.command("prune")(prune)


@app.command("upgrade")
def upgrade(config: Config = None) -> None:
    """Make the database, or bring it to this version.

    What is in it stays.
    """
    from gateway.storage import engine

    settings = read_settings(config)
    make_data_folder(settings)
    url = settings.database.url
    before = engine.current(url)
    engine.upgrade(url)
    after = engine.current(url)
    print(f"at {after}, as before" if before == after else f"upgraded from {before or 'nothing'} to {after}")


@app.command("current")
def current(config: Config = None) -> None:
    """Print the revision of the database's schema."""
    from gateway.storage import engine

    print(engine.current(read_settings(config).database.url) or "none: there is no database yet")


@app.command("check")
def check(config: Config = None) -> None:
    """Compare the schema with what this version expects.

    Exits 1 if they differ.
    """
    from gateway.storage import engine

    url = read_settings(config).database.url
    found, wanted = engine.current(url), engine.head()
    if found is None:
        hint = "`tollkeeper db upgrade` makes it, and so does the first `tollkeeper serve`"
        raise Fault(Kind.NOT_FOUND, "there is no database yet", hint=hint)
    if found != wanted:
        message = f"the database is at revision {found}, this version needs {wanted}"
        raise Fault(Kind.UNAVAILABLE, message, hint="run `tollkeeper db upgrade`")
    differences = engine.differences(url)
    for difference in differences:
        print(difference)
    if differences:
        raise typer.Exit(FAILED)
    print(f"at {found}, as this version expects")


@app.command("backup")
def backup(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the copy; must not exist yet.")],
    config: Config = None,
) -> None:
    """Copy the database to a file, while the server runs or not.

    For PostgreSQL use its own pg_dump.
    """
    from gateway.storage import engine

    run(engine.backup(read_settings(config).database.url, to))
    print(f"wrote {to} ({to.stat().st_size:,} bytes)")


@app.command("restore")
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A copy that `db backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Replace an existing database without asking.")] = False,
    config: Config = None,
) -> None:
    """Put a copy in the place of the database; stop the server before.

    For PostgreSQL use its own pg_restore.
    """
    from gateway.storage import engine

    url = read_settings(config).database.url
    path = engine.file_of(url)
    if path.exists() and not yes:
        if not sys.stdin.isatty():
            raise Fault(Kind.CONFLICT, f"there is a database at {path}", hint="add --yes to replace it")
        typer.confirm(f"Replace the database at {path}?", abort=True)
    engine.restore(url, source)
    print(f"restored {path} from {source}")
