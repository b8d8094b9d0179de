"""What a self-check asks the database, on both of them."""

import time
from pathlib import Path

import pytest

from gateway.storage.checkup import check_up
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import Mark
from gateway.storage.ledger import Ledger
from tests.databases import Operator
from tests.storage.calls import START_US, a_call


@pytest.mark.anyio
async def test_the_newest_call_and_the_server_s_state(db: Database, sql: Operator) -> None:
    """Known fault 58: how much room a server has for connections is known before it has none."""
    assert (await check_up(db, 5)).newest_call_us is None
    await Ledger(db, DeadLetters(Path("never written"))).append("j", [a_call(1, at_us=START_US + 3)], Mark(1, 1))
    seen = await check_up(db, 5)
    assert (seen.newest_call_us, seen.kept_since_us) == (START_US + 3, 0)
    if sql.dialect == "sqlite":
        assert seen.server is None
        return
    assert seen.server is not None
    assert abs(seen.server.clock_us / 1e6 - time.time()) < 5  # the same machine
    assert 2 <= seen.server.connections < seen.server.connections_allowed
    assert isinstance(seen.server.durable, bool)
