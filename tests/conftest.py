"""What every test may use: the event loop of the async ones, free ports, a database of each kind."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.storage.engine import Database
from tests import ports
from tests.databases import KINDS, Operator, fresh, opened, operator
from tests.postgres_server import PostgresServer, running

settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a port of the loopback that nobody listens on at this moment."""
    return ports.free_port


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of a run, each in a database of its own."""
    with running() as server:
        yield server


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new, empty database: every test that asks for one runs on SQLite and on PostgreSQL."""
    with fresh(request.param, tmp_path, lambda: request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as db:
        yield db


@pytest.fixture
def sql(database_url: str) -> Iterator[Operator]:
    """A connection of nobody's in particular."""
    with operator(database_url) as connection:
        yield connection
