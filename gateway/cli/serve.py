"""`tollkeeper serve`: both planes on one port, until a signal."""

import gc
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.frame import FAILED, Config, make_data_folder, outermost, read_settings, tell
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from socket import socket

    from gateway.app import Team
    from gateway.server.workers import Line
    from gateway.settings import Settings


def serve(
    config: Config = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen; else server.host, 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one; else server.port, 4000."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="How many processes serve.")] = 1,
) -> None:
    """Serve calls and the control plane on one port.

    The database is brought up to date before.
    """
    _collect_seldom()
    settings = _placed(read_settings(config), host, port)

    from gateway.server.listener import listen

    listener = listen(settings.server.host, settings.server.port)
    with listener:
        settings = _placed(settings, None, listener.getsockname()[1])
        make_data_folder(settings)
        _bring_up_to_date(settings.database.url)
        if workers == 1:
            _serve(settings, listener)
        else:
            raise typer.Exit(_serve_by_workers(workers, settings, listener))


app = outermost()
"""The program with this command alone."""
app.command("serve")(serve)


def _placed(settings: "Settings", host: str | None, port: int | None) -> "Settings":
    """The settings with what the command line says about the address over them."""
    from dataclasses import replace

    server = settings.server
    if host is not None:
        server = replace(server, host=host)
    if port is not None:
        server = replace(server, port=port)
    return replace(settings, server=server)


def _bring_up_to_date(url: str) -> None:
    """Migrates, if there is anything to do, in a process of its own: it imports 10 MB that serving never needs.

    Raises `Fault` (unavailable) if that process is killed.
    """
    from gateway.storage.engine import current, head, upgrade

    if current(url) == head():
        return
    child = os.fork()  # no thread and no event loop are there yet, nor an open connection
    if child == 0:
        code = _exit_code_of(lambda: upgrade(url))
        sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        message = f"signal {-code} ended the migration of the database"
        raise Fault(Kind.UNAVAILABLE, message, hint="start again: it goes on where it was")
    if code:
        raise typer.Exit(code)


def _exit_code_of(work: Callable[[], object]) -> int:
    """Carries out what another process waits for; an error is told here, as nobody else can."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - this process ends here, whatever it was
        code = tell(error) if isinstance(error, Exception) else FAILED
        if code is None:
            traceback.print_exception(error)
        return FAILED if code is None else code
    return 0


def _serve(settings: "Settings", listener: "socket", team: "Team | None" = None, line: "Line | None" = None) -> None:
    """`team` and `line`: those of a worker."""
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, listener, team, line))


def _serve_by_workers(count: int, settings: "Settings", listener: "socket") -> int:
    """Several processes, each a gateway of its own, on one listener and one database; the exit code."""
    import logging

    from gateway.app import Team, check_room
    from gateway.server.workers import Workers
    from gateway.storage.capacity import too_many
    from gateway.telemetry.board import Board
    from gateway.telemetry.notices import log_without_threads

    check_room(settings, count)
    board = Board(count)

    def work(place: int, line: "Line") -> int:
        try:
            _serve(settings, listener, Team(board, place), line)
        except Exception as error:
            code = tell(error)
            if code is None:
                raise
            return code
        return 0

    log_without_threads(settings.logging.format)
    if warning := too_many(settings.database.url, count):
        logging.getLogger(__name__).warning(warning)
    _import_what_serves()
    gc.freeze()  # what the collector walks over is written to, and no longer shared
    return Workers(count, work, listener, lambda: _tell(settings, listener, count)).run()


def _import_what_serves() -> None:
    """Read once, by the parent, and there in every worker."""
    from importlib import import_module

    for name in ("gateway.app", "gateway.server.server", "uvloop"):
        import_module(name)


async def _run(settings: "Settings", listener: "socket", team: "Team | None", line: "Line | None") -> None:
    from gateway.app import build
    from gateway.server.server import Server

    gateway = build(settings, team=team)
    tls = settings.server.tls
    server = Server(gateway.asgi, *((tls.cert, tls.key) if tls else ()), on_signals=line is None)
    if line is not None:
        line.attend(lambda at_once: server.stop(at_once=at_once))
    await gateway.start()
    sys.setswitchinterval(_TURN)
    gc.freeze()  # what start-up made stays: the collector need not walk it again
    try:
        await server.run_on(listener, lambda: _tell(settings, listener) if line is None else line.ready())
    finally:
        await gateway.stop()


_TURN = 0.0005
"""Seconds that a thread which writes the ledger keeps the interpreter from the event loop, once that wants it back.
Python's own five milliseconds would be added to a call each time that it waits for a byte."""


def _collect_seldom() -> None:
    """Calls make little that is circular, and start-up nothing: walking over it all finds next to nothing to collect.

    Calls wait for the ledger by the hundred, and would be walked again and again, for a tenth of all the time; as would
    the modules while they are imported.
    """
    gc.set_threshold(100_000, 50, 100)


def _tell(settings: "Settings", listener: "socket", workers: int = 1) -> None:
    """Say once where everything is. On stdout: the log has stderr."""
    from gateway.control.signin import token_place
    from gateway.proxy.authenticate import is_loopback
    from gateway.server.listener import address_of

    exposed = settings.server.tls is None and not is_loopback(settings.server.host)
    address = address_of(listener, tls=settings.server.tls is not None)
    providers = ", ".join(f"{name} ({p.kind})" if name != p.kind else name for name, p in settings.providers.items())
    lines = [
        f"Tollkeeper serves calls at {address}/v1, control at {address}/admin (see /admin/docs)",
        *(["  warning      without TLS the network can read keys and prompts: set server.tls"] if exposed else []),
        f"  data         {settings.server.data}",
        f"  admin token  {token_place(settings.server.data, os.environ)}",
        *([f"  workers      {workers}"] if workers > 1 else []),
        f"  providers    {providers or 'none: set OPENAI_API_KEY, or name one under `providers:` in tollkeeper.yaml'}",
        *(f"  note         {note}" for note in settings.notes),
    ]
    print("\n".join(lines), flush=True)
