"""What calls cost after they were corrected; what repricing does with it is tested in `test_repricing`."""

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from gateway.storage.corrections import corrected, corrections_of
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger
from gateway.storage.tables import calls, corrections
from tests.databases import new_database, opened
from tests.storage.calls import a_call, call_id


@pytest.mark.anyio
async def test_the_last_correction_decides(tmp_path: Path) -> None:
    async with opened(new_database(tmp_path)) as db:
        await Ledger(db, DeadLetters(tmp_path)).append("j", [a_call(0), a_call(1)], Mark(1, 1))
        fact = {"call_id": call_id(0), "made_us": 1, "actor": "a", "reason": "r", "price_book": None}
        async with db.write() as session:
            for cost in (5, 7):
                await session.run(insert(corrections).values(**fact, delta_nano=cost, cost_nano=cost))
        async with db.read() as session:
            rows = await session.all(select(*corrected(["id", "cost_nano", "team"])).order_by(calls.c.id))
            assert [tuple(row) for row in rows] == [(call_id(0), 7, "platform"), (call_id(1), 1_600_000, "platform")]
            made = await corrections_of(session, [call_id(0), call_id(1)])
        assert [correction.cost_nano for correction in made] == [5, 7]
