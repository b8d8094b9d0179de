"""A journal, and empty tables on PostgreSQL, for whoever asks for them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.storage.journal import JournalWriter
from tests.databases import Operator, new_postgres, operator
from tests.postgres_server import PostgresServer
from tests.storage.journals import MIB


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    """Small segments, so that they turn over often."""
    writer = JournalWriter(tmp_path, max_bytes=256 * MIB, segment_bytes=256 * 1024)
    await writer.start()
    yield writer
    await writer.stop()


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """Of tables on PostgreSQL alone; `database_url` is of each kind."""
    with new_postgres(postgres) as url:
        yield url


@pytest.fixture
def pg(url: str) -> Iterator[Operator]:
    with operator(url) as connection:
        yield connection
