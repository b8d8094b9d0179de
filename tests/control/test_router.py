"""The control plane on a real server against its own description of itself."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from gateway.control.docs import described
from gateway.control.router import control_app
from gateway.server.listener import address_of, listen
from gateway.server.server import Server
from gateway.storage.engine import Database
from tests.control import seeds
from tests.control.plane import TOKEN, plane_on

# A time that has passed, or a name that is taken, fits the schema and is refused all the same.
EXCLUDED: list[schemathesis.CheckFunction] = [positive_data_acceptance]


@pytest.fixture(scope="module")
def server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running control plane with calls in its ledger."""
    folder = tmp_path_factory.mktemp("served")
    url = f"sqlite+aiosqlite:///{shutil.copy(empty_database, folder / 'tollkeeper.db')}"
    database = Database(url)
    app = control_app(plane_on(database).services)
    server = Server(app, on_signals=False)
    listener, started = listen("127.0.0.1", 0), threading.Event()

    async def serve() -> None:
        await seeds.fill(database, folder)
        await server.run_on(listener, started.set)
        await database.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    yield address_of(listener)
    server.stop()
    thread.join(10)


# The description needs no database, and pytest wants to know the operations before there is a server.
schema = schemathesis.openapi.from_dict(described(control_app(plane_on(Database("sqlite+aiosqlite:///none")).services)))


@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_what_its_openapi_says(case: schemathesis.Case[Any], server: str) -> None:
    case.call_and_validate(base_url=server, headers={"Authorization": f"Bearer {TOKEN}"}, excluded_checks=EXCLUDED)
