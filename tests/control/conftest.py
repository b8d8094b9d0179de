import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.storage.engine import Database, upgrade
from tests.control.plane import Plane, plane_on


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the tables and nothing in them; migrated once, copied for each test."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
async def plane(anyio_backend: str, empty_database: Path, tmp_path: Path) -> AsyncIterator[Plane]:
    path = tmp_path / "tollkeeper.db"
    shutil.copy(empty_database, path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.connect()
    yield plane_on(database)
    await database.close()


@pytest.fixture
async def admin(plane: Plane) -> AsyncIterator[httpx.AsyncClient]:
    """A client on another machine with the admin token."""
    async with plane.client(peer="192.0.2.7", host="gateway.example") as client:
        yield client
