"""`tollkeeper db`: the database's schema, and copies of the database. What takes long is in `db_upkeep`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.db_upkeep import prune, rebuild_rollups
from gateway.cli.frame import FAILED, AsJson, Config, group, make_data_folder, read_settings, run
from gateway.cli.tables import print_json
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from gateway.storage.migrate import Step

app = group("The database: its schema, its sums, backups.")

_LONG = 60.0
"""Seconds of an upgrade that are asked about before they begin."""


@app.command("upgrade")
def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do and how long; do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Begin a long one without asking.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make the database, or bring it to this version.

    What is in it stays. Each revision is a transaction of its own, and what takes long goes before it in parts: what is
    stopped goes on where it was. Calls of a running gateway that have to wait are in its journal meanwhile.
    """
    from gateway.storage import engine

    settings = read_settings(config)
    url = settings.database.url
    left, calls = engine.steps(url)
    if not as_json:
        _tell_steps(left, calls, always=dry_run)
    if dry_run:
        if as_json:
            _print_upgrade(left, calls, engine.current(url))
        return
    if sum(step.seconds for step in left) > _LONG and not yes and sys.stdin.isatty():
        typer.confirm("Begin?", abort=True)
    make_data_folder(settings)
    before = engine.current(url)
    teller = _step_teller(left if calls else [])
    engine.upgrade(url, teller, tell_part=_tell_part if calls else lambda part: None)
    after = engine.current(url)
    if as_json:
        _print_upgrade(left, calls, before, after)
    else:
        print(f"at {after}, as before" if before == after else f"upgraded from {before or 'nothing'} to {after}")


def _print_upgrade(left: "Sequence[Step]", calls: int, before: str | None, after: str | None = None) -> None:
    """`after`: null while nothing was done."""
    steps = [{"revision": step.revision, "about": step.about, "seconds": round(step.seconds)} for step in left]
    print_json({"before": before, "after": after, "calls": calls, "revisions": steps})


def _tell_steps(left: "Sequence[Step]", calls: int, *, always: bool) -> None:
    """On stderr, before it begins; of a database without calls only if that was asked for."""
    if not (calls and left) and not always:
        return
    for step in left:
        print(f"{step.revision}  about {step.seconds:,.0f} s  {step.about}", file=sys.stderr)
    total = sum(step.seconds for step in left)
    print(f"{len(left)} revisions to go, {calls:,} calls, about {total:,.0f} s", file=sys.stderr)


def _step_teller(left: "Sequence[Step]") -> "Callable[[str], None]":
    """Says which revision begins, if there is more than one to wait for."""
    numbers = {step.revision: number for number, step in enumerate(left, 1)}

    def tell(revision: str) -> None:
        if len(left) > 1:
            print(f"{numbers.get(revision, '?')} of {len(left)}: {revision}", file=sys.stderr)

    return tell


def _tell_part(part: str) -> None:
    print(f"  {part}", file=sys.stderr)


@app.command("current")
def current(config: Config = None, as_json: AsJson = False) -> None:
    """Print the revision of the database's schema."""
    from gateway.storage import engine

    found = engine.current(read_settings(config).database.url)
    if as_json:
        print_json({"revision": found, "wanted": engine.head()})
    else:
        print(found or "none: there is no database yet")


@app.command("check")
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Compare the schema with what this version expects.

    Exits 1 if they differ.
    """
    from gateway.storage import engine

    url = read_settings(config).database.url
    found, wanted = engine.current(url), engine.head()
    differences = engine.differences(url) if found == wanted else []
    if as_json:
        same = found == wanted and not differences
        print_json({"ok": same, "revision": found, "wanted": wanted, "differences": differences})
        raise typer.Exit(0 if same else FAILED)
    if found is None:
        hint = "`tollkeeper db upgrade` makes it, and so does the first `tollkeeper serve`"
        raise Fault(Kind.NOT_FOUND, "there is no database yet", hint=hint)
    if found != wanted:
        left = "; an upgrade has begun and is not through" if engine.begun(url) else ""
        message = f"the database is at revision {found}, this version needs {wanted}{left}"
        raise Fault(Kind.UNAVAILABLE, message, hint="run `tollkeeper db upgrade`")
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
    """Copy the database to a file, at any time.

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
    """Put a copy in its place; stop the server before.

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


app.command("rebuild-rollups")(rebuild_rollups)
app.command("prune")(prune)
