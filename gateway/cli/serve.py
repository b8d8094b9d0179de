"""`tollkeeper serve`: both planes on one port, until a signal."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.frame import Config, later, make_data_folder, read_settings

if TYPE_CHECKING:
    from socket import socket

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
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes; this version has one.")] = 1,
) -> None:
    """Serve calls and the control plane on one port.

    The database is brought up to date before.
    """
    if workers > 1:
        later("several workers")
    settings = _placed(read_settings(config), host, port)

    from gateway.server.listener import listen

    listener = listen(settings.server.host, settings.server.port)
    with listener:
        _serve(_placed(settings, None, listener.getsockname()[1]), listener)


def _placed(settings: "Settings", host: str | None, port: int | None) -> "Settings":
    """The settings with what the command line says about the address over them."""
    from dataclasses import replace

    server = settings.server
    if host is not None:
        server = replace(server, host=host)
    if port is not None:
        server = replace(server, port=port)
    return replace(settings, server=server)


def _serve(settings: "Settings", listener: "socket") -> None:
    import asyncio

    import uvloop

    from gateway.storage.engine import upgrade

    make_data_folder(settings)
    upgrade(settings.database.url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, listener))


async def _run(settings: "Settings", listener: "socket") -> None:
    from gateway.app import build
    from gateway.server.server import Server

    gateway = build(settings)
    tls = settings.server.tls
    server = Server(gateway.asgi, *((tls.cert, tls.key) if tls else ()))
    await gateway.start()
    _leave_start_up_alone()
    try:
        await server.run_on(listener, lambda: _tell(settings, listener))
    finally:
        await gateway.stop()


def _leave_start_up_alone() -> None:
    """What start-up made stays: the collector need not walk it again, and calls make little that is circular."""
    import gc

    gc.collect()
    gc.freeze()
    # Calls wait for the ledger by the hundred: walking them again and again would cost a tenth of all the time.
    gc.set_threshold(100_000, 50, 100)


def _tell(settings: "Settings", listener: "socket") -> None:
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
        f"  providers    {providers or 'none: set OPENAI_API_KEY, or name one under `providers:` in tollkeeper.yaml'}",
        *(f"  note         {note}" for note in settings.notes),
    ]
    print("\n".join(lines), flush=True)
