"""The demo from curtain to curtain: a folder, a gateway in this process, traffic over its real port, the bill."""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

from gateway.app import build
from gateway.cli.demo.progress import watch
from gateway.cli.demo.scenario import TEAMS, write_settings
from gateway.cli.demo.traffic import Traffic
from gateway.cli.tables import console
from gateway.cli.usage import print_usage
from gateway.server.listener import address_of, listen
from gateway.server.server import Server
from gateway.settings import load
from gateway.storage.engine import upgrade

if TYPE_CHECKING:
    from rich.console import Console

_GROUPS = ("team", "model")
_STRONGER = ("TOLLKEEPER_SERVER_DATA", "TOLLKEEPER_DATABASE_URL")
"""Variables that would lead the commands named at the end to another database."""
_SETTLE_SECONDS = 5.0
"""How long the last rows may take to reach the ledger; the promise is 300 ms."""


async def play(seconds: int, keep: bool) -> None:
    """Run a demo. The first SIGINT or SIGTERM ends its traffic, or its serving; never raises for one."""
    out = console()
    folder = Path(tempfile.mkdtemp(prefix="tollkeeper-demo-"))
    stop = asyncio.Event()
    with _signals_set(stop), listen("127.0.0.1", 0) as listener:
        address = address_of(listener)
        settings = write_settings(folder, listener.getsockname()[1])
        out.print(f"SIMULATED: {seconds} s of traffic through a gateway at {address}; nothing is spent.\n")
        async with _served(settings, listener) as admin_token:
            admin = {"authorization": f"Bearer {admin_token}"}
            async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as client:
                secrets = {team: await _make_key(client, admin, team) for team in TEAMS}
                traffic = Traffic(client, secrets, Random(20))  # noqa: S311 - repeatable, not secret
                await watch(out, traffic, traffic.run(seconds, stop), seconds)
                report = await _report(client, admin, traffic.sent)
            _print_report(out, report, traffic)
            _print_further(out, settings, address if keep else None, secrets["support"])
            if keep and not stop.is_set():
                await stop.wait()


@contextlib.contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    kinds = (signal.SIGINT, signal.SIGTERM)
    for kind in kinds:
        loop.add_signal_handler(kind, stop.set)
    try:
        yield
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)


@contextlib.asynccontextmanager
async def _served(settings_file: Path, listener: Any) -> AsyncIterator[str]:
    """The gateway behind the listener while the block runs; gives its admin token.

    Its log goes to a file of the folder, its settings come from the demo's file alone.
    """
    environ: dict[str, str] = {}
    settings = load(settings_file, environ)
    upgrade(settings.database.url)
    with (settings_file.parent / "gateway.log").open("w") as log:
        with contextlib.redirect_stderr(log):
            gateway = build(settings, environ)
        try:
            server = Server(gateway.asgi, on_signals=False)
            await gateway.start()
            serving = asyncio.create_task(server.run_on(listener))
            try:
                yield gateway.admin_token.reveal()
            finally:
                server.stop()
                await serving
        finally:
            await gateway.stop()


async def _make_key(client: httpx.AsyncClient, admin: dict[str, str], team: str) -> str:
    answer = await client.post("/admin/keys", json={"name": f"{team}-app", "team": team}, headers=admin)
    answer.raise_for_status()
    secret: str = answer.json()["key"]
    return secret


async def _report(client: httpx.AsyncClient, admin: dict[str, str], sent: int) -> dict[str, Any]:
    """The usage report as soon as every call that was sent is in it, at the latest when patience ends."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SETTLE_SECONDS
    while True:
        answer = await client.get("/admin/usage", params={"group_by": ",".join(_GROUPS)}, headers=admin)
        answer.raise_for_status()
        report: dict[str, Any] = answer.json()
        if report["totals"]["calls"] >= sent or loop.time() > deadline:
            return report
        await asyncio.sleep(0.1)


def _print_report(out: "Console", report: dict[str, Any], traffic: Traffic) -> None:
    out.print("\nSIMULATED usage by team and model, priced like real providers\n", style="bold")
    print_usage(out, report, _GROUPS)
    rows = report["totals"]["calls"]
    told = (
        f"{traffic.sent} calls sent, {rows} rows in the ledger; {traffic.failed} failed, {traffic.left} hung up early."
    )
    out.print(f"\n{told}")


def _print_further(out: "Console", settings: Path, address: str | None, secret: str) -> None:
    program = "tollkeeper" if Path(sys.argv[0]).name == "tollkeeper" else "python -m gateway"
    out.print("\nLook further:", style="bold")
    if stronger := [name for name in _STRONGER if os.environ.get(name)]:
        out.print(f"  (first unset {', '.join(stronger)}: a variable wins over the file)")
    config = f"--config {shlex.quote(str(settings))}"
    for command in ("usage --by key,target", "calls --end failed", "calls", "calls show ID"):
        out.print(f"  {program} {command} {config}", soft_wrap=True)
    if address is None:
        out.print(f"  {program} serve {config}   (the same providers again)", soft_wrap=True)
    else:
        body = '{"model": "fast", "messages": [{"role": "user", "content": "Hello"}]}'
        out.print(
            f"  curl {address}/v1/chat/completions -H 'authorization: Bearer {secret}' -d '{body}'", soft_wrap=True
        )
        out.print(f"\nServing at {address} (control: {address}/admin/docs) until Ctrl-C.", soft_wrap=True)
        out.print(f"Admin token: {settings.parent / 'admin-token'}", soft_wrap=True)
    out.print(f"Everything of this demo is in {settings.parent}; delete it when you have seen enough.", soft_wrap=True)
