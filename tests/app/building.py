"""A gateway from a few lines of settings, for tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.app import Gateway, Team, build
from gateway.settings import load
from gateway.storage.engine import upgrade

ADMIN = {"authorization": "Bearer admin"}
SIMULATED = "sim: {kind: simulated, simulate: {ttft: 1ms, itl: 0ms, output_tokens: 5}}"


def settings_file(folder: Path, **sections: str) -> Path:
    sections = {"server": f"{{data: {folder}, port: 4000}}", "providers": f"\n  {SIMULATED}", **sections}
    path = folder / "tollkeeper.yaml"
    path.write_text("".join(f"{name}: {text}\n" for name, text in sections.items()))
    return path


def built(folder: Path, environ: dict[str, str] | None = None, team: Team | None = None, **sections: str) -> Gateway:
    environ = {"TOLLKEEPER_ADMIN_TOKEN": "admin", **(environ or {})}
    return build(load(settings_file(folder, **sections), environ), environ, team=team)


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    upgrade(gateway.settings.database.url)
    await gateway.start()
    transport = httpx.ASGITransport(gateway.asgi)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client
    finally:
        await gateway.stop()


async def until(get: Callable[[], Any], patience: float = 5.0) -> Any:
    """The first result that is not empty."""
    end = time.monotonic() + patience
    while not (found := await get()):
        assert time.monotonic() < end, "nothing came"
        await asyncio.sleep(0.02)
    return found
