"""Known fault 58: pool size times workers is looked at before the server runs out."""

import pytest

from gateway.storage.capacity import CONNECTIONS, too_many
from tests.databases import operator
from tests.postgres_server import PostgresServer


def test_a_file_has_room_for_all() -> None:
    assert too_many("sqlite+aiosqlite:////nowhere/at/all.db", 10_000) is None


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_server_is_asked_how_many_it_takes(beyond: int, postgres: PostgresServer) -> None:
    url = postgres.url("postgres")
    with operator(url) as sql:
        given = int(sql.one("SHOW max_connections")) - int(sql.one("SHOW superuser_reserved_connections"))
    processes = given // CONNECTIONS + beyond
    warning = too_many(url, processes)
    assert (warning is not None) == bool(beyond)
    if warning is not None:
        assert f"{processes} processes may take {processes * CONNECTIONS} connections" in warning
        assert f"has {given} for all" in warning
