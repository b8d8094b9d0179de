"""What every command shares: errors told in one place, the settings file, the database.

Imports nothing heavy: `--help` must not wait for SQL or a web framework.
"""

import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Never, TypeVar

import typer
from typer.core import TyperGroup

from gateway import __version__
from gateway.core.errors import Fault, Kind, not_in_this_version

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.storage.engine import Database

T = TypeVar("T")

FAILED = 1
WRONG_USE = 2

_WRONG_USE_KINDS = frozenset({Kind.INVALID, Kind.UNSUPPORTED})

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings file; else TOLLKEEPER_CONFIG, else tollkeeper.yaml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def group(about: str, cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A noun with its verbs; plain help, because coloured help loads in three times the time."""
    return typer.Typer(
        cls=cls,
        help=about,
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        # Where `--help` was not given, typer would load pydantic to find out that nothing is nothing.
        context_settings={"default_map": {"help": False}},
    )


def outermost() -> typer.Typer:
    """The program's own group, which has no command yet."""
    app = group("An LLM gateway that knows what every call used, took and cost.", Frame)
    app.callback()(_options)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tollkeeper {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    pass


def run(work: Coroutine[Any, Any, T]) -> T:
    """Carry out a command's work in an event loop."""
    import asyncio

    return asyncio.run(work)


class Frame(TyperGroup):
    """The outermost command: turns stated errors of all others into sentences on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            code = tell(error)
            if code is None:
                raise
            raise typer.Exit(code) from None


def tell(error: Exception) -> int | None:
    """Say a stated error on stderr; the exit code. None for one that nobody foresaw, and then nothing is said."""
    told = _told(error)
    if told is None:
        return None
    sentences, code = told
    for sentence in sentences:
        print(f"Error: {sentence}", file=sys.stderr)
    return code


def _told(error: Exception) -> tuple[list[str], int] | None:
    """The sentences and the exit code of a stated error; None for one that nobody foresaw."""
    if isinstance(error, Fault):
        place = f"{error.param}: " if error.param is not None else ""
        return [place + error.sentence], WRONG_USE if error.kind in _WRONG_USE_KINDS else FAILED
    if isinstance(error, OSError) and error.filename is not None:
        return [f"{error.filename}: {error.strerror}"], FAILED
    from gateway.settings import SettingsError

    if isinstance(error, SettingsError):
        return [str(problem) for problem in error.problems], WRONG_USE
    return None


def later(what: str) -> Never:
    """Raises the `Fault` that the contract asks for."""
    raise not_in_this_version(what)


def read_settings(config: Path | None) -> "Settings":
    """The settings in force here. Raises `SettingsError` with every mistake."""
    from gateway.settings import load

    return load(config, os.environ)


@asynccontextmanager
async def opened(config: Path | None, *, read_only: bool) -> AsyncIterator["Database"]:
    """The database that the settings name, while the block runs. Raises `Fault` if it fails or is too old.

    Where there is none yet, one is made to write to; to read from, an empty one stands in for it.
    """
    from gateway.storage.engine import Database

    with _present(read_settings(config), make=not read_only) as url:
        database = Database(url, read_only=read_only)
        try:
            await database.connect()
            yield database
        except Fault as fault:
            raise _explained(fault, url) from None
        finally:
            await database.close()


@contextmanager
def _present(settings: "Settings", *, make: bool) -> Iterator[str]:
    """The address of a database that is there: the one of the settings, else an empty one that goes with the block."""
    from tempfile import TemporaryDirectory

    from gateway.storage.engine import exists, upgrade

    url = settings.database.url
    if exists(url):
        yield url
    elif make:
        make_data_folder(settings)
        upgrade(url)
        yield url
    else:
        with TemporaryDirectory(prefix="tollkeeper-") as folder:
            empty = f"sqlite+aiosqlite:///{folder}/empty.db"
            upgrade(empty)
            yield empty


def make_data_folder(settings: "Settings") -> None:
    """For its owner alone: keys and prices of everybody are in there. Raises `Fault` if it cannot be made."""
    try:
        settings.server.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = f"the data folder {settings.server.data} cannot be made: {error.strerror}"
        raise Fault(Kind.UNAVAILABLE, message, hint="set server.data or TOLLKEEPER_SERVER_DATA") from None


def _explained(fault: Fault, url: str) -> Fault:
    """A database that fails because its tables are another version's, said as that."""
    if fault.kind is not Kind.UNAVAILABLE:
        return fault
    from gateway.storage.engine import current, head

    found, wanted = current(url), head()
    if found == wanted:
        return fault
    message = f"the database is at revision {found or 'none'}, this version needs {wanted}"
    return Fault(Kind.UNAVAILABLE, message, hint="run `tollkeeper db upgrade`")
